"""The fixed texts of the report, in plain words."""

VIEW = (
    "This report is made from the sealed records in records.jsonl, for reading. The records are the "
    "evidence; where the two differ, the records count."
)

CAN_SAY = (
    (
        "That each record shown is, bit for bit, the one that was stored, and was not changed since the "
        "independent witnesses signed (run verify.py with keys published elsewhere)."
    ),
    "That within each run of places no record was left out: one that is withheld shows its place.",
    "When a position was taken by the device's clock, and, apart from that, when it arrived by ours.",
    "What the program decided, on which positions, by which rules and build, and what people then did.",
)

CANNOT_SAY = (
    (
        "That a position was true. Receivers err, most of all between buildings and indoors, and can be "
        "deceived or shielded."
    ),
    "That the person was where the device was. A tag can be taken off, a handset left behind.",
    "Where anybody was between two positions, or while a device was silent.",
    "What anybody intended.",
    (
        "That a program has no errors. Its version is named, so that its tests and known errors can be "
        "asked for."
    ),
)

ACCURACY = (
    "A circle is the accuracy that the receiver itself states: by its own reckoning the device is "
    "inside with a probability of 68 %, so one time in three it is outside. A cross is a position "
    "whose accuracy the device did not state. Lines join positions in order of time; they are no path."
)

OTHERS = (
    "Dashed outlines with a square are not positions of this system: areas that files of others speak of, teal where "
    "the positions support them, orange where they contradict, grey where they say nothing."
)

TIMES = (
    "All times are UTC. 'Device' is the time that the device itself states; 'received' is when it "
    "reached the service, by the service's clock. A large difference means that it was sent later "
    "from a buffer, or that a clock was wrong."
)

NO_ALERTS = (
    "None is in this pack. That means either that there was none, or that this side is not shown "
    "any: see 'What is withheld'."
)

DOUBTS = (
    "Whoever relies on this record has to know what weakens it. The following was looked for in the "
    "records shown, each time, whatever they say otherwise."
)

CERTIFICATE = (
    (
        "DRAFT. To be read, corrected and signed by the custodian of the record, and by nobody else. "
        "It is not legal advice: the form that a court asks for may differ."
    ),
    (
        "I am responsible for the operation of the system named above, and I make this statement from "
        "my own knowledge of it and from the records of the organisation."
    ),
    (
        "1. The records in this pack were generated automatically by that system in the ordinary course "
        "of its operation, at or near the times that they state."
    ),
    (
        "2. They were exported by the command and for the purpose stated above. The SHA-256 digests of "
        "the files are printed above; any copy with the same digests is the same."
    ),
    (
        "3. To the best of my knowledge the system was working properly at the relevant times, or, where "
        "it was not, that did not affect the records other than as set out here:"
    ),
    (
        "4. I know that the report is a view of the records, what it says it cannot say, and what it "
        "lists as speaking against."
    ),
)
