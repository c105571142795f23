-- Rights again, all of them in one place. Those on the caseload are given whichever schema is made
-- first: devices.store.update_tables calls set_rights once more, when it has made or changed tables.
-- And two lists for who grants and holds, and has no right to the tables.

-- Who may grant sees every grant, others see their own.
DROP VIEW evidence.my_grants;
CREATE FUNCTION evidence.list_grants() RETURNS TABLE (grant_id uuid, granted_at timestamptz,
    granted_by text, kind text, grantee text, role text, "case" text, subject text, purpose text,
    valid_from timestamptz, valid_to timestamptz, reason text, revoked_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT g.grant_id, g.granted_at, g.granted_by, g.kind, g.grantee, g.role, g."case", g.subject, g.purpose,
        g.valid_from, g.valid_to, g.reason, r.revoked_at
    FROM evidence.access_grant g LEFT JOIN evidence.access_revocation r USING (grant_id)
    WHERE evidence.is_in('cordon_owner') OR pg_has_role(session_user, current_user, 'MEMBER')
        OR (g.kind = 'person' AND g.grantee = session_user)
        OR (g.kind = 'agency' AND evidence.is_in(g.grantee))
$$;

CREATE FUNCTION evidence.people_of_case(in_case text) RETURNS text[]
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('caseload.court_order') IS NULL THEN
        RETURN '{}';
    END IF;
    RETURN ARRAY(SELECT DISTINCT n.id
        FROM caseload.court_order o JOIN caseload.person w ON w.person_no = o.wearer_no
        LEFT JOIN caseload.condition c USING (order_no)
        LEFT JOIN caseload.person p ON p.person_no = c.protected_no
        CROSS JOIN LATERAL unnest(ARRAY[w.id, p.id]) n (id)
        WHERE o.id = in_case AND n.id IS NOT NULL ORDER BY 1);
END $$;
COMMENT ON FUNCTION evidence.people_of_case IS
    'Whom an order is about now: its wearer, and those it protects. Empty: there is no such order.';

CREATE OR REPLACE FUNCTION evidence.set_rights() RETURNS void LANGUAGE plpgsql AS $$
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
    GRANT SELECT ON evidence.sequence_gap, evidence.fix_day, evidence.alert_day TO cordon_writer;
    GRANT SELECT, INSERT, DELETE ON evidence.conduct_act TO cordon_writer; -- what is looked at anew is replaced
    GRANT SELECT, INSERT ON evidence.conduct_pattern, evidence.worker_state TO cordon_writer;
    IF to_regclass('evidence.overlay') IS NOT NULL THEN -- to remove one takes the owner, as erasing does
        GRANT SELECT, INSERT ON evidence.overlay TO cordon_writer;
    END IF;
    GRANT EXECUTE ON FUNCTION evidence.keep_caseload TO cordon_sealer;
    GRANT SELECT ON evidence.break_glass_waiting, evidence.hold_in_force
        TO cordon_writer, cordon_owner, cordon_auditor;
    EXECUTE format('GRANT EXECUTE ON FUNCTION evidence.list_grants TO cordon_owner, %s', readers);
    GRANT EXECUTE ON FUNCTION evidence.people_of_case TO cordon_owner, cordon_writer;
    EXECUTE format('GRANT EXECUTE ON FUNCTION evidence.is_in, evidence.speaker, evidence.us, evidence.kinds_of TO %s', roles);
    GRANT EXECUTE ON FUNCTION evidence.bearer_at, evidence.fixes_of, evidence.events_of, evidence.choices_at,
        evidence.make_piece TO cordon_writer;
    GRANT EXECUTE ON FUNCTION evidence.capacity TO cordon_writer, cordon_owner;
    EXECUTE format('GRANT EXECUTE ON FUNCTION evidence.open_access, evidence.read_records TO %s', readers);
    GRANT EXECUTE ON FUNCTION evidence.break_glass TO cordon_operator, cordon_investigator;
    GRANT EXECUTE ON FUNCTION evidence.grant_access, evidence.revoke_access, evidence.review_break_glass,
        evidence.place_hold, evidence.release_hold TO cordon_owner;
    IF to_regnamespace('caseload') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA caseload TO cordon_writer;
        GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA caseload TO cordon_writer;
    END IF;
    IF to_regclass('caseload.condition') IS NOT NULL THEN -- of an order: they are written anew with it
        GRANT DELETE ON caseload.condition TO cordon_writer;
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

DO $$
BEGIN
    IF to_regnamespace('caseload') IS NOT NULL AND to_regrole('cordon_writer') IS NOT NULL THEN
        REVOKE DELETE ON ALL TABLES IN SCHEMA caseload FROM cordon_writer; -- set_rights gave it before
    END IF;
    PERFORM evidence.set_rights();
END $$;
