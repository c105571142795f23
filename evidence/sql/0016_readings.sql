-- Readings that a command makes of many records at once (who was near a place, a case's time line, a
-- pack, a replay, ...) need a grant as single records do: for everybody whom they are about, in the
-- case, for the purpose. They are opened by evidence.open_access, and named there as kinds.

CREATE FUNCTION evidence.readings() RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN ARRAY['near', 'timeline', 'approaches', 'overlay', 'overlay compare', 'conduct', 'replay', 'export'];
COMMENT ON FUNCTION evidence.readings IS
    'Kinds that are no table: a command reads several tables for each, with the login that runs it.';

-- As before, and readings, each for the roles that may read every table that it is made of.
CREATE OR REPLACE FUNCTION evidence.kinds_of(role text) RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN CASE role
    WHEN 'investigator' THEN ARRAY['fix', 'event', 'status', 'receipt', 'refusal', 'message',
        'anomaly', 'device_health', 'sequence_step', 'command', 'decision', 'alert_change', 'delivery',
        'near', 'timeline', 'approaches', 'overlay', 'overlay compare', 'conduct', 'replay', 'export']
    WHEN 'prosecutor' THEN ARRAY['fix', 'event', 'status', 'receipt', 'refusal', 'message',
        'anomaly', 'device_health', 'sequence_step', 'decision', 'alert_change', 'delivery',
        'timeline', 'approaches', 'overlay', 'overlay compare', 'conduct', 'replay']
    WHEN 'agency' THEN ARRAY['decision', 'alert_change', 'delivery', 'device_health']
    WHEN 'auditor' THEN ARRAY['access', 'access_grant', 'access_revocation', 'break_glass',
        'break_glass_review', 'hold', 'hold_person', 'hold_release', 'erasure', 'disclosure']
    ELSE ARRAY[]::text[] END;
COMMENT ON FUNCTION evidence.kinds_of IS
    'What a role may read with a grant: records of tables, and readings (evidence.readings).';

-- Some questions are about nobody yet: who was near a place. They are asked of everybody, subject *.
ALTER TABLE evidence.access_grant
    DROP CONSTRAINT access_grant_check2,
    ADD CONSTRAINT access_grant_of_everybody CHECK (CASE WHEN subject = '*'
        THEN role = 'auditor' OR (role = 'investigator' AND purpose = 'investigation')
        ELSE role <> 'auditor' END);
COMMENT ON TABLE evidence.access_grant IS
    'A person, or whoever is in the database role of an agency, may read of one subject in one case.
The subject * is for auditors, who read records of access and none of positions, and for investigators,
who ask of everybody at once: who was near a place, courses of conduct, a replay. It opens no record of
anybody.';
ALTER TABLE evidence.break_glass
    DROP CONSTRAINT break_glass_subject_check,
    ADD CONSTRAINT break_glass_subject_check CHECK (subject <> '');

CREATE FUNCTION evidence.people_ever_of_case(in_case text) RETURNS text[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(DISTINCT person ORDER BY person), '{}') FROM (
        SELECT unnest(evidence.people_of_case(in_case)) AS person
        UNION ALL
        SELECT e.document ->> 'wearer' FROM evidence.caseload_entry e WHERE e.entry = 'order/' || in_case
        UNION ALL
        SELECT e.document ->> 'protected' FROM evidence.caseload_entry e
        WHERE e.kind = 'condition' AND e.document ->> 'order' = in_case) AS named
    WHERE person <> ''
$$;
COMMENT ON FUNCTION evidence.people_ever_of_case IS
    'Whom an order is about now, and was about by any version that is in the record.';

-- As before, and: readings; the service's login names who asks, since it runs commands for people and
-- could read without asking; an order has to be about the subject, where the case is an order.
CREATE OR REPLACE FUNCTION evidence.open_access(who text, agency text, as_role text, in_case text, of_subject text,
    for_purpose text, kinds text[], from_time timestamptz, to_time timestamptz, note text,
    OUT ticket uuid, OUT allowed boolean, OUT refused text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    speaks text := CASE WHEN who <> '' AND evidence.is_in('cordon_writer') THEN who
        ELSE evidence.speaker(who) END;
    moment timestamptz := clock_timestamp();
    authority uuid := evidence.authority_for(
        speaks, agency, as_role, in_case, of_subject, for_purpose, moment);
    of_order text[] := evidence.people_ever_of_case(in_case);
    is_reading boolean := coalesce(kinds <@ evidence.readings(), false);
BEGIN
    IF '' IN (coalesce(in_case, ''), coalesce(of_subject, ''), coalesce(for_purpose, '')) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a reading names its case, its subject and its purpose';
    END IF;
    refused := CASE
        WHEN NOT evidence.is_in('cordon_' || as_role) AND NOT evidence.is_in('cordon_operator')
                AND NOT evidence.is_in('cordon_writer')
            THEN 'who asks is not in the database role cordon_' || as_role
        WHEN coalesce(cardinality(kinds), 0) = 0 OR NOT kinds <@ evidence.kinds_of(as_role)
            THEN 'the role ' || as_role || ' does not read all that is asked for'
        WHEN of_subject = '*' AND as_role <> 'auditor' AND NOT kinds <@ ARRAY['near', 'conduct', 'replay']
            THEN 'this is read of one person, not of everybody at once'
        WHEN of_subject <> '*' AND 'near' = ANY (kinds)
            THEN 'who was near a place is asked of everybody at once, subject *'
        WHEN NOT coalesce(from_time < to_time, is_reading) -- of readings an end may be open
            THEN 'the window of a reading begins before it ends'
        WHEN NOT is_reading AND to_time > from_time + interval '366 days'
            THEN 'a reading has a window, of 366 days at most'
        WHEN cardinality(of_order) > 0 AND of_subject <> ALL (of_order || ARRAY['*', 'case:' || in_case])
            THEN 'this case is not about this person'
        WHEN authority IS NULL THEN 'no grant is in force for this person, role, case, subject and purpose'
        ELSE '' END;
    allowed := refused = '';
    ticket := gen_random_uuid();
    INSERT INTO evidence.access AS a (at_us, who, role, purpose, subject, "case", what, from_us, to_us,
        ticket, login, allowed, note, refused, authority)
    VALUES (evidence.us(moment), speaks, coalesce(as_role, ''), for_purpose, of_subject, in_case,
        coalesce(array_to_string(kinds, ','), ''), evidence.us(from_time), evidence.us(to_time),
        open_access.ticket, session_user, open_access.allowed, coalesce(open_access.note, ''),
        open_access.refused, authority);
END $$;

-- Rights, as before and those of functions that came later.
ALTER FUNCTION evidence.set_rights() RENAME TO set_rights_before_readings;
CREATE FUNCTION evidence.set_rights() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM evidence.set_rights_before_readings();
    IF (SELECT count(*) FROM pg_roles WHERE rolname = ANY (evidence.role_names()))
            = cardinality(evidence.role_names()) THEN
        GRANT EXECUTE ON FUNCTION evidence.open_access, evidence.people_ever_of_case TO cordon_writer;
        GRANT EXECUTE ON FUNCTION evidence.summarize TO cordon_sealer;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'rights were not set: % (run evidence.set_rights() as the owner)', SQLERRM;
END $$;
SELECT evidence.set_rights();
