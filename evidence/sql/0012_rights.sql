-- Rights again, all of them in one place. Those on the caseload are given whichever schema is made
-- first: devices.store.update_tables calls set_rights once more, when it has made or changed tables.

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
    GRANT EXECUTE ON FUNCTION evidence.keep_caseload TO cordon_sealer;
    GRANT SELECT ON evidence.break_glass_waiting, evidence.hold_in_force
        TO cordon_writer, cordon_owner, cordon_auditor;
    EXECUTE format('GRANT SELECT ON evidence.my_grants TO %s', readers);
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
