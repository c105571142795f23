-- Who may read what is stored, of whom, for what and how long; and the record of every reading.
--
-- Nobody but the service's writer and the sealer has a right to a table of the history, to its
-- partitions or its chunks. Everybody else reads through evidence.read_records, with a ticket that
-- evidence.open_access gave in an earlier, committed transaction: so no rollback erases the record of
-- a reading. Roles are groups without a login; logins are made by the site and put into them.

CREATE FUNCTION evidence.role_names() RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN ARRAY['cordon_owner', 'cordon_writer', 'cordon_sealer', 'cordon_operator',
    'cordon_investigator', 'cordon_prosecutor', 'cordon_agency', 'cordon_auditor'];

DO $$
DECLARE
    role text;
BEGIN
    FOREACH role IN ARRAY evidence.role_names() LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role);
            EXCEPTION
                WHEN duplicate_object OR unique_violation THEN NULL; -- another database of this server
                WHEN insufficient_privilege THEN NULL; -- made by hand: docs/operations.md
            END;
        END IF;
    END LOOP;
END $$;

CREATE FUNCTION evidence.is_in(role text) RETURNS boolean LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
RETURN EXISTS (SELECT FROM pg_catalog.pg_roles r
    WHERE r.rolname = role AND pg_catalog.pg_has_role(session_user, r.oid, 'MEMBER'));
COMMENT ON FUNCTION evidence.is_in IS
    'Whether who signed in is in a group of that name; a superuser is in all.';

-- Every reading, asked for and granted or not. The console writes its own here, too.
CREATE TABLE IF NOT EXISTS evidence.access (
    id text NOT NULL PRIMARY KEY,
    at_us bigint NOT NULL,
    who text NOT NULL,
    role text NOT NULL,
    purpose text NOT NULL,
    subject text NOT NULL,
    "case" text NOT NULL,
    what text NOT NULL,
    from_us bigint,
    to_us bigint,
    at timestamptz GENERATED ALWAYS AS (to_timestamp(at_us / 1000000.0)) STORED
);
ALTER TABLE evidence.access
    ALTER COLUMN id SET DEFAULT gen_random_uuid()::text,
    ADD COLUMN IF NOT EXISTS ticket uuid NOT NULL DEFAULT gen_random_uuid(),
    ADD COLUMN IF NOT EXISTS login text NOT NULL DEFAULT session_user,
    ADD COLUMN IF NOT EXISTS allowed boolean NOT NULL DEFAULT true,
    ADD COLUMN IF NOT EXISTS note text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS refused text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS authority uuid;
COMMENT ON COLUMN evidence.access.authority IS 'The grant or the break-glass that it rests on.';
CREATE INDEX IF NOT EXISTS access_ticket ON evidence.access (ticket);
CREATE INDEX IF NOT EXISTS access_subject ON evidence.access (subject, at_us);

-- Nothing here is changed or deleted: a revocation is a row of its own, and the log covers all.
CREATE TABLE evidence.access_grant (
    grant_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    granted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    granted_by text NOT NULL CHECK (granted_by <> ''),
    kind text NOT NULL CHECK (kind IN ('person', 'agency')),
    grantee text NOT NULL CHECK (grantee <> ''),
    role text NOT NULL CHECK (role IN ('investigator', 'prosecutor', 'agency', 'auditor')),
    "case" text NOT NULL CHECK ("case" <> ''),
    subject text NOT NULL CHECK (subject <> ''),
    purpose text NOT NULL CHECK (purpose IN ('investigation', 'prosecution', 'safeguarding',
        'disclosure', 'subject_access', 'audit')),
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    CHECK (valid_from < valid_to AND valid_to <= valid_from + interval '400 days'),
    CHECK (kind <> 'person' OR grantee <> granted_by),
    CHECK ((subject = '*') = (role = 'auditor'))
);
COMMENT ON TABLE evidence.access_grant IS
    'A person, or whoever is in the database role of an agency, may read of one subject in one case.
The subject * is for auditors, who read records of access and none of positions.';

CREATE TABLE evidence.access_revocation (
    grant_id uuid PRIMARY KEY REFERENCES evidence.access_grant,
    revoked_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    revoked_by text NOT NULL CHECK (revoked_by <> ''),
    reason text NOT NULL CHECK (reason <> '')
);

CREATE TABLE evidence.break_glass (
    glass_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    opened_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    who text NOT NULL CHECK (who <> ''),
    "case" text NOT NULL CHECK ("case" <> ''),
    subject text NOT NULL CHECK (subject NOT IN ('', '*')),
    reason text NOT NULL CHECK (length(reason) >= 10),
    expires_at timestamptz NOT NULL,
    CHECK (opened_at < expires_at AND expires_at <= opened_at + interval '60 minutes')
);

CREATE TABLE evidence.break_glass_review (
    glass_id uuid PRIMARY KEY REFERENCES evidence.break_glass,
    reviewed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    reviewer text NOT NULL CHECK (reviewer <> ''),
    justified boolean NOT NULL,
    note text NOT NULL CHECK (note <> '')
);

CREATE FUNCTION evidence.kinds_of(role text) RETURNS text[] LANGUAGE sql IMMUTABLE
RETURN CASE role
    WHEN 'investigator' THEN ARRAY['fix', 'event', 'status', 'receipt', 'refusal', 'message',
        'anomaly', 'device_health', 'sequence_step', 'command', 'decision', 'alert_change', 'delivery']
    WHEN 'prosecutor' THEN ARRAY['fix', 'event', 'status', 'receipt', 'refusal', 'message',
        'anomaly', 'device_health', 'sequence_step', 'decision', 'alert_change', 'delivery']
    WHEN 'agency' THEN ARRAY['decision', 'alert_change', 'delivery', 'device_health']
    WHEN 'auditor' THEN ARRAY['access', 'access_grant', 'access_revocation', 'break_glass',
        'break_glass_review', 'hold', 'hold_person', 'hold_release', 'erasure', 'disclosure']
    ELSE ARRAY[]::text[] END;
COMMENT ON FUNCTION evidence.kinds_of IS 'Tables whose records a role may read with a grant.';

-- Who speaks. Software that signs people in by itself is in cordon_operator, and names them.
CREATE FUNCTION evidence.speaker(named text) RETURNS text LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(named, '') = '' OR named = session_user THEN
        RETURN session_user;
    ELSIF evidence.is_in('cordon_operator') THEN
        RETURN named;
    END IF;
    RAISE insufficient_privilege USING MESSAGE = 'only who is in cordon_operator names another person';
END $$;

CREATE FUNCTION evidence.grant_access(granted_by text, kind text, grantee text, role text, in_case text,
    subject text, purpose text, valid_from timestamptz, valid_to timestamptz, reason text)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO evidence.access_grant (granted_by, kind, grantee, role, "case", subject, purpose,
        valid_from, valid_to, reason)
    VALUES (evidence.speaker($1), $2, $3, $4, $5, $6, $7, $8, $9, $10) RETURNING grant_id
$$;

CREATE FUNCTION evidence.revoke_access(of_grant uuid, revoked_by text, reason text)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH done AS (
        INSERT INTO evidence.access_revocation (grant_id, revoked_by, reason)
        SELECT grant_id, evidence.speaker($2), $3 FROM evidence.access_grant g WHERE g.grant_id = $1
        ON CONFLICT DO NOTHING RETURNING 1)
    SELECT EXISTS (SELECT FROM done)
$$;

CREATE FUNCTION evidence.break_glass(who text, in_case text, subject text, reason text, minutes integer)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened uuid;
BEGIN
    INSERT INTO evidence.break_glass AS b (opened_at, who, "case", subject, reason, expires_at)
    VALUES (now(), evidence.speaker($1), $2, $3, $4, now() + make_interval(mins => $5))
    RETURNING b.glass_id INTO opened;
    PERFORM pg_notify('cordon_break_glass', opened::text);
    RETURN opened;
END $$;

CREATE FUNCTION evidence.review_break_glass(of_glass uuid, reviewer text, justified boolean, note text)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    opened_by text := (SELECT b.who FROM evidence.break_glass b WHERE b.glass_id = of_glass);
    speaks text := evidence.speaker(reviewer);
BEGIN
    IF opened_by = speaks THEN
        RAISE insufficient_privilege USING MESSAGE = 'nobody reviews what they opened themselves';
    END IF;
    INSERT INTO evidence.break_glass_review AS r (glass_id, reviewer, justified, note)
    SELECT $1, speaks, $3, $4 WHERE opened_by IS NOT NULL ON CONFLICT DO NOTHING;
    RETURN FOUND;
END $$;

CREATE VIEW evidence.break_glass_waiting WITH (security_barrier) AS
SELECT b.*, b.opened_at + interval '24 hours' AS review_due
FROM evidence.break_glass b LEFT JOIN evidence.break_glass_review r USING (glass_id)
WHERE r.glass_id IS NULL;
COMMENT ON VIEW evidence.break_glass_waiting IS 'What was opened in an emergency and not reviewed yet.';

CREATE VIEW evidence.my_grants WITH (security_barrier) AS
SELECT g.*, r.revoked_at FROM evidence.access_grant g
LEFT JOIN evidence.access_revocation r USING (grant_id)
WHERE (g.kind = 'person' AND g.grantee = session_user)
    OR (g.kind = 'agency' AND evidence.is_in(g.grantee));

CREATE FUNCTION evidence.authority_for(person text, agency text, as_role text, in_case text,
    of_subject text, for_purpose text, moment timestamptz)
RETURNS uuid LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.grant_id FROM evidence.access_grant g
    WHERE ((g.kind = 'person' AND g.grantee = $1) OR (g.kind = 'agency' AND g.grantee = $2
            AND (evidence.is_in('cordon_operator') OR evidence.is_in(g.grantee))))
        AND g.role = $3 AND g."case" = $4 AND g.subject = $5 AND g.purpose = $6
        AND g.valid_from <= $7 AND $7 < g.valid_to
        AND NOT EXISTS (SELECT FROM evidence.access_revocation r WHERE r.grant_id = g.grant_id)
    UNION ALL
    SELECT b.glass_id FROM evidence.break_glass b
    WHERE b.who = $1 AND b."case" = $4 AND b.subject = $5 AND $6 = 'emergency'
        AND $3 = 'investigator' AND b.opened_at <= $7 AND $7 < b.expires_at
        AND NOT EXISTS (SELECT FROM evidence.break_glass_review r
            WHERE r.glass_id = b.glass_id AND NOT r.justified)
    LIMIT 1
$$;
COMMENT ON FUNCTION evidence.authority_for IS 'The grant or break-glass that is in force; null: none.';

-- First step. The record stands also when it is refused; commit it, then read.
CREATE FUNCTION evidence.open_access(who text, agency text, as_role text, in_case text, of_subject text,
    for_purpose text, kinds text[], from_time timestamptz, to_time timestamptz, note text,
    OUT ticket uuid, OUT allowed boolean, OUT refused text)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    speaks text := evidence.speaker(who);
    moment timestamptz := clock_timestamp();
    authority uuid := evidence.authority_for(
        speaks, agency, as_role, in_case, of_subject, for_purpose, moment);
BEGIN
    IF '' IN (coalesce(in_case, ''), coalesce(of_subject, ''), coalesce(for_purpose, '')) THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a reading names its case, its subject and its purpose';
    END IF;
    refused := CASE
        WHEN NOT evidence.is_in('cordon_' || as_role) AND NOT evidence.is_in('cordon_operator')
            THEN 'who asks is not in the database role cordon_' || as_role
        WHEN coalesce(cardinality(kinds), 0) = 0 OR NOT kinds <@ evidence.kinds_of(as_role)
            THEN 'the role ' || as_role || ' does not read all that is asked for'
        WHEN (from_time < to_time AND to_time <= from_time + interval '366 days') IS NOT TRUE
            THEN 'a reading has a window, of 366 days at most'
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

-- What a ticket allows: its record, if it may be used now, in this transaction.
CREATE FUNCTION evidence.used_ticket(of_ticket uuid, kind text) RETURNS evidence.access
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_ evidence.access;
    why text;
BEGIN
    SELECT * INTO found_ FROM evidence.access a WHERE a.ticket = of_ticket;
    why := CASE
        WHEN found_.ticket IS NULL THEN 'there is no such record of access'
        WHEN found_.login <> session_user THEN 'the record of access is another login''s'
        WHEN NOT found_.allowed THEN 'the access was refused: ' || found_.refused
        WHEN found_.stored_in IS NOT DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint
            THEN 'commit the record of access first, then read'
        WHEN found_.at_us < evidence.us(clock_timestamp()) - 300000000
            THEN 'the record of access is older than five minutes: open another'
        WHEN NOT kind = ANY (string_to_array(found_.what, ',')) THEN 'the record of access does not name this'
        WHEN EXISTS (SELECT FROM evidence.access_revocation r WHERE r.grant_id = found_.authority)
            THEN 'the grant has been revoked'
        END;
    IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = why;
    END IF;
    RETURN found_;
END $$;

-- Second step. Of devices: what was sent while the subject carried them.
CREATE FUNCTION evidence.read_records(of_ticket uuid, kind text, most integer DEFAULT 100000)
RETURNS TABLE (at timestamptz, record json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    t evidence.access := evidence.used_ticket(of_ticket, kind);
    begins timestamptz := 'epoch'::timestamptz + t.from_us * interval '1 microsecond';
    ends timestamptz := 'epoch'::timestamptz + t.to_us * interval '1 microsecond';
    moment text := CASE
        WHEN kind IN ('fix', 'event', 'alert_change', 'delivery') THEN 'time'
        WHEN kind IN ('status', 'receipt', 'refusal', 'message') THEN 'received_at'
        WHEN kind IN ('anomaly', 'device_health', 'sequence_step', 'command', 'decision') THEN 'decided_at'
        ELSE (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = format('evidence.%I', kind)::regclass
            AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'timestamptz'::regtype
            ORDER BY a.attnum LIMIT 1) END;
    whole text := format('SELECT r.%1$I AS at, to_json(r) AS record FROM evidence.%2$I r '
        'WHERE r.%1$I >= $3 AND r.%1$I < $4', moment, kind);
BEGIN
    whole := CASE
        WHEN kind = 'decision' THEN whole || ' AND r.order_id = $1 AND $2 IN (r.wearer, r.protected)'
        WHEN kind IN ('alert_change', 'delivery') THEN whole || ' AND EXISTS (SELECT FROM evidence.alert_change c
            WHERE c.alert_id = r.alert_id
                AND $2 IN (c.document->''data''->>''wearer'', c.document->''data''->>''protected'')
                AND NOT EXISTS (SELECT FROM caseload.condition n JOIN caseload.court_order o USING (order_no)
                    WHERE n.id = c.document->''data''->>''condition_id'' AND o.id <> $1))'
        WHEN t.subject = '*' THEN whole
        ELSE format('SELECT r.%1$I, to_json(r) FROM caseload.assignment a
            JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no)
            CROSS JOIN LATERAL (SELECT * FROM evidence.%2$I f WHERE f.device = d.id
                AND f.%1$I >= greatest(a.valid_from, $3)
                AND f.%1$I < least(coalesce(a.valid_to, ''infinity''), $4)) r
            WHERE p.id = $2', moment, kind) END;
    IF t.role <> 'auditor' AND NOT EXISTS (SELECT FROM caseload.court_order o
        JOIN caseload.person p ON p.person_no = o.wearer_no
        LEFT JOIN caseload.condition c USING (order_no) LEFT JOIN caseload.person s ON s.person_no = c.protected_no
        WHERE o.id = t."case" AND t.subject IN (p.id, s.id)) THEN
        RAISE insufficient_privilege USING MESSAGE = 'this case is not about this person, or is not in the caseload';
    END IF;
    RETURN QUERY EXECUTE whole || ' ORDER BY 1 LIMIT $5'
        USING t."case", t.subject, begins, ends, most;
END $$;

-- A partition of a natively cut table, for a writer that owns nothing.
CREATE FUNCTION evidence.make_piece(of_table text, first_day integer, piece text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    width integer := (SELECT width_days FROM evidence.timeline t WHERE t.name = of_table);
    first timestamptz := 'epoch'::timestamptz + make_interval(days => first_day);
BEGIN
    IF width IS NULL OR first_day % width <> 0 OR piece <> of_table || '_' || to_char(
            first AT TIME ZONE 'UTC', 'YYYYMMDD') THEN
        RAISE invalid_parameter_value USING MESSAGE = 'no table has such a piece';
    END IF;
    EXECUTE format('CREATE TABLE evidence.%I (LIKE evidence.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS '
        'INCLUDING STORAGE)', piece, of_table);
    EXECUTE format('ALTER TABLE evidence.%I ATTACH PARTITION evidence.%I FOR VALUES FROM (%L) TO (%L)',
        of_table, piece, first, first + make_interval(days => width));
END $$;

-- Gives every table and function its rights, by rule: run at the end of each migration, and by hand
-- when roles were made later. What no rule names, nobody but the owner may touch.
CREATE FUNCTION evidence.set_rights() RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    roles text := array_to_string(evidence.role_names(), ', ');
    readers text := 'cordon_operator, cordon_investigator, cordon_prosecutor, cordon_agency, cordon_auditor';
    kept record;
    risky text;
BEGIN
    IF (SELECT count(*) FROM pg_roles WHERE rolname = ANY (evidence.role_names()))
            < cardinality(evidence.role_names()) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('cordon.migrate.evidence', 0)); -- one after another
    REVOKE ALL ON SCHEMA evidence FROM PUBLIC;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA evidence FROM PUBLIC;
    EXECUTE format('GRANT USAGE ON SCHEMA evidence TO %s', roles);
    FOR kept IN
        SELECT c.relname AS name,
            EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'stored_in') AS covered,
            c.relname ~ '^(access_.+|break_glass.*|hold|hold_.+|erasure|caseload_entry)$' AS control,
            c.relname LIKE 'seal\_%' AS log
        FROM pg_class c
        WHERE c.relnamespace = 'evidence'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition
    LOOP
        IF kept.log THEN
            EXECUTE format('GRANT SELECT%s ON evidence.%I TO cordon_sealer',
                CASE WHEN kept.name IN ('seal_erased', 'seal_erased_chain', 'seal_kept_salt') THEN '' ELSE ', INSERT' END, kept.name);
        ELSIF kept.covered THEN
            EXECUTE format('GRANT SELECT ON evidence.%I TO cordon_sealer', kept.name);
            IF NOT kept.control THEN
                EXECUTE format('GRANT SELECT, INSERT ON evidence.%I TO cordon_writer', kept.name);
            END IF;
        END IF;
    END LOOP;
    GRANT UPDATE ON evidence.seal_log, evidence.seal_chain TO cordon_sealer;
    GRANT SELECT ON evidence.timeline, evidence.migration TO cordon_writer, cordon_sealer;
    GRANT SELECT, INSERT, UPDATE ON evidence.position TO cordon_writer;
    GRANT SELECT ON evidence.sequence_gap TO cordon_writer;
    GRANT SELECT, INSERT, DELETE ON evidence.conduct_act TO cordon_writer; -- what is looked at anew is replaced
    GRANT SELECT, INSERT ON evidence.conduct_pattern TO cordon_writer;
    IF to_regclass('evidence.worker_state') IS NOT NULL THEN -- a later migration makes it
        GRANT SELECT, INSERT ON evidence.worker_state TO cordon_writer;
    END IF;
    GRANT EXECUTE ON FUNCTION evidence.keep_caseload TO cordon_sealer;
    GRANT SELECT ON evidence.break_glass_waiting TO cordon_writer, cordon_owner, cordon_auditor;
    EXECUTE format('GRANT SELECT ON evidence.my_grants TO %s', readers);
    EXECUTE format('GRANT EXECUTE ON FUNCTION evidence.is_in, evidence.speaker, evidence.us, evidence.kinds_of TO %s', roles);
    GRANT EXECUTE ON FUNCTION evidence.bearer_at, evidence.fixes_of, evidence.events_of, evidence.choices_at,
        evidence.make_piece TO cordon_writer;
    EXECUTE format('GRANT EXECUTE ON FUNCTION evidence.open_access, evidence.read_records TO %s', readers);
    GRANT EXECUTE ON FUNCTION evidence.break_glass TO cordon_operator, cordon_investigator;
    GRANT EXECUTE ON FUNCTION evidence.grant_access, evidence.revoke_access, evidence.review_break_glass
        TO cordon_owner;
    IF to_regnamespace('caseload') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA caseload TO cordon_writer;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA caseload TO cordon_writer;
    END IF;
    -- Before 2.29.1 whoever may read a hypertable may drop its chunks through these.
    FOR risky IN
        SELECT p.oid::regprocedure::text FROM pg_proc p
        WHERE p.pronamespace = to_regnamespace('_timescaledb_functions')
            AND p.proname IN ('drop_chunk', 'freeze_chunk', 'drop_osm_chunk', 'create_compressed_chunk')
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', risky);
    END LOOP;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'rights were not set: % (run evidence.set_rights() as the owner)', SQLERRM;
END $$;

SELECT evidence.cover(name) FROM unnest(ARRAY['access', 'access_grant', 'access_revocation', 'break_glass',
    'break_glass_review']) AS covered (name)
WHERE NOT EXISTS (SELECT FROM pg_attribute a
    WHERE a.attrelid = format('evidence.%I', name)::regclass AND a.attname = 'stored_in');
SELECT evidence.set_rights();
