"""What each story comes to: the expectation of the play on the desk and of the play on real servers.

Whoever changes a profile changes its table here, by hand, and sees what that means for people.
"""

TABLES = {
    "default": """\
  0:10  he comes into the outer ring
        she                handset  Please be aware
        centre             stream   raised, tier 3: proximity pre_alert; staff: call wearer, watch on
  0:55  her handset loses its network
  1:00  he comes into the alert ring
        she                handset  Someone you are protected from may be near (no receipt)
        centre             stream   now, tier 2: proximity alert; staff: call wearer, call police, call protected
  1:30  nobody has acted
        centre             stream   asked: Her other phone, protected (sms)
        Her other phone    sms      Someone you are protected from may be near
  3:00  nobody has acted
        centre             stream   asked: operators (console)
  4:00  he comes to her
        she                handset  Someone you are protected from may be very near (no receipt)
        centre             stream   now, tier 1: proximity contact; staff: call police, call protected
  4:10  her handset is back
  4:20  nobody has acted
        centre             stream   asked: Her other phone, protected (sms)
        Her other phone    sms      Someone you are protected from may be very near
  4:30  nobody has acted
        centre             stream   asked: operators (console)
  5:00  nobody has acted
        centre             stream   asked: First supervisor, supervisor (push)
        First supervisor   push     an id, no word (no receipt)
  5:30  nobody has acted
        centre             stream   asked: First supervisor, supervisor (sms); Second supervisor, supervisor (sms)
        First supervisor   sms      Cordon: an alert waits
        Second supervisor  sms      Cordon: an alert waits
  6:00  nobody has acted
        centre             stream   asked: Control room, police (webhook)
        Control room       webhook  Cordon: an alert waits
  6:30  Kim takes it in hand, as the police do
        centre             stream   acknowledged by Kim
  7:00  he has gone
        she                handset  The warning is over
        centre             stream   over: proximity
        centre             stream   closed by itself
  8:20  she presses the alarm
        she                handset  Your call for help has reached us
        centre             stream   raised, tier 1: panic panic; staff: call protected, call police
  8:35  Ada takes it in hand
        centre             stream   acknowledged by Ada
 10:00  Ada closes it
        centre             stream   closed: help_given, by Ada
""",
    "spain": """\
  0:10  he comes into the outer ring
        she                handset  Por favor, esté atenta
        centre             stream   raised, tier 3: proximity pre_alert; staff: call wearer, watch on
  0:25  Kim takes it in hand and calls him first
        centre             stream   acknowledged by Kim
  1:40  he has turned round
        she                handset  El aviso ha terminado
        centre             stream   over: proximity
        centre             stream   closed by itself
  3:20  the case of his tag is opened
        she                handset  Hay que revisar un dispositivo
        centre             stream   raised, tier 2: tamper case_open; staff: call protected, call wearer, inspect device
  3:35  Kim takes it in hand and calls her first
        centre             stream   acknowledged by Kim
  5:00  Kim has had the tag looked at
        centre             stream   checked by Kim: inspected
  5:10  and closes it
        centre             stream   closed: device_at_fault, by Kim
  6:40  the strap is cut; nobody is at the console
        she                handset  Hay que revisar un dispositivo
        centre             stream   raised, tier 1: tamper strap_cut; staff: call protected, call wearer, call police, inspect device
  7:05  the supervisor answers his push
  7:10  nobody has acted
        centre             stream   asked: operators (console)
  7:40  nobody has acted
        centre             stream   asked: First supervisor, supervisor (push)
        First supervisor   push     an id, no word
  8:10  nobody has acted
        centre             stream   asked: Second supervisor, supervisor (sms)
        Second supervisor  sms      Cordon: an alert waits
  8:40  nobody has acted
        centre             stream   asked: Control room, police (webhook)
        Control room       webhook  Cordon: an alert waits
  9:00  Ada takes it in hand and calls her first
        centre             stream   acknowledged by Ada
  9:20  Ada sends a patrol to him
        centre             stream   dispatched by Ada: patrol 7
 15:00  the patrol has put another tag on
        centre             stream   checked by Ada: replaced
 15:10  and Ada closes it
        centre             stream   closed: breach, by Ada
""",
    "france": """\
  0:10  he comes into the outer ring
        centre             stream   raised, tier 3: proximity pre_alert; staff: call wearer, tell protected, call police
  0:20  Kim takes it in hand and calls him
        centre             stream   acknowledged by Kim
  1:40  he complies: she is told nothing
        centre             stream   over: proximity
        centre             stream   closed by itself
  5:00  he comes into the outer ring again
        centre             stream   raised, tier 3: proximity pre_alert; staff: call wearer, tell protected, call police
  5:10  Kim takes it in hand and calls him
        centre             stream   acknowledged by Kim
  6:00  he does not comply: Kim tells her to go north
        she                handset  Allez maintenant vers le nord, si vous pouvez le faire sans danger. Soyez attentive, s'il vous plaît
        centre             stream   told by Kim: north
  7:00  he comes into the alert ring
        she                handset  Elle est peut-être proche
        centre             stream   now, tier 2: proximity alert; staff: call police, tell protected, call protected
  7:10  Kim calls the police
        centre             stream   dispatched by Kim: police secours
  7:15  and tells her to stay inside
        she                handset  Restez où vous êtes, à l'intérieur, porte fermée à clé. Elle est peut-être proche
        centre             stream   told by Kim: stay
 10:00  he has been led away
        she                handset  L'avertissement est terminé
        centre             stream   over: proximity
 11:40  Kim closes it
        centre             stream   closed: breach, by Kim
""",
    "uruguay": """\
  0:10  he comes into the warning ring: no breach
        she                handset  Por favor, esté atenta
        centre             stream   raised, tier 3: proximity pre_alert; staff: call protected, call wearer, send patrol
  0:20  Kim, who knows them, calls her first, then him
        centre             stream   acknowledged by Kim
  2:00  he comes into the restriction ring
        she                handset  Puede que esté cerca
        centre             stream   now, tier 2: proximity alert; staff: call protected, call wearer, send patrol
  2:10  Kim calls her, calls him, sends a patrol
        centre             stream   acknowledged by Kim
  2:20  the patrol is on its way
        centre             stream   dispatched by Kim: móvil 3
  4:00  he comes into the emergency ring
        she                handset  Puede que esté muy cerca
        centre             stream   now, tier 1: proximity contact; staff: send patrol, call protected, call police
  4:10  Kim has the patrol hurry
        centre             stream   acknowledged by Kim
  8:00  he has been led away
        she                handset  El aviso ha terminado
        centre             stream   over: proximity
  8:40  Kim closes it
        centre             stream   closed: breach, by Kim
""",
    "england-wales": """\
  0:10  he comes near the school
        centre             stream   raised, tier 3: exclusion pre_alert; staff: watch on
  1:00  he is in the zone: she is told by a call, not by her handset
        centre             stream   now, tier 2: exclusion alert; staff: call wearer, call police, call protected
  1:25  Kim takes it in hand
        centre             stream   acknowledged by Kim
  3:20  he has left
        centre             stream   over: exclusion
        centre             stream   closed by itself
  6:40  he comes into the outer ring around her
        centre             stream   raised, tier 3: proximity pre_alert; staff: call wearer, call protected, watch on
 21:40  nobody has acted
        centre             stream   asked: operators (console)
 21:50  Kim takes it in hand and calls both
        centre             stream   acknowledged by Kim
 22:10  he comes into the alert ring
        she                handset  Someone you are protected from may be near
        centre             stream   now, tier 2: proximity alert; staff: call police, call protected, call wearer
 22:30  Kim calls the police
        centre             stream   dispatched by Kim: police 41
 25:00  he has gone
        she                handset  The warning is over
        centre             stream   over: proximity
 25:50  Kim closes it
        centre             stream   closed: breach, by Kim
""",
}
