-- What must stay, what has to go, and what is left of what went: its place in the log.

CREATE TABLE evidence.hold (
    hold_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    placed_by text NOT NULL CHECK (placed_by <> ''),
    "case" text NOT NULL CHECK ("case" <> ''),
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    review_at timestamptz NOT NULL,
    CHECK (from_at < to_at)
);
COMMENT ON TABLE evidence.hold IS
    'Nothing of the people of a case in a window is erased. Ends by a release alone, not by review_at.';

CREATE TABLE evidence.hold_release (
    hold_id uuid PRIMARY KEY REFERENCES evidence.hold,
    released_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    released_by text NOT NULL CHECK (released_by <> ''),
    reason text NOT NULL CHECK (reason <> '')
);

-- Who a hold is about is written down when it is placed: a caseload that changes later frees nobody.
CREATE TABLE evidence.hold_person (
    hold_id uuid NOT NULL REFERENCES evidence.hold,
    person text NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (hold_id, person)
);

CREATE TABLE evidence.erasure (
    erasure_id uuid PRIMARY KEY,
    erased_at timestamptz NOT NULL,
    kind text NOT NULL CHECK (kind IN ('retention', 'erasure')),
    asked_by text NOT NULL CHECK (asked_by <> ''),
    approved_by text NOT NULL CHECK (approved_by <> ''),
    subject text NOT NULL CHECK (subject <> ''),
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    reason text NOT NULL CHECK (reason <> ''),
    leaves bigint NOT NULL,
    older bigint NOT NULL,
    digest bytea NOT NULL,
    CHECK (kind = 'retention' OR asked_by <> approved_by)
);
COMMENT ON COLUMN evidence.erasure.digest IS
    'SHA-256 over log u32, batch u64 and the erased leaves of each batch, in their order.';
COMMENT ON COLUMN evidence.erasure.older IS 'Rows erased that were stored before there was a log.';

-- What is left of an erased record: its commitment, which nobody can open, so that its chain and its
-- batch can be derived. An erasure without its record above is found by the check.
CREATE TABLE evidence.seal_erased (
    log integer NOT NULL,
    number bigint NOT NULL,
    erasure_id uuid NOT NULL REFERENCES evidence.erasure DEFERRABLE INITIALLY DEFERRED,
    leaves bytea NOT NULL CHECK (length(leaves) > 0 AND length(leaves) % 72 = 0),
    PRIMARY KEY (log, number, erasure_id)
);
COMMENT ON COLUMN evidence.seal_erased.leaves IS
    'Chain (32 bytes), place u64, commitment (32) of each, by chain and place.';
CREATE TABLE evidence.seal_erased_chain (
    chain bytea NOT NULL,
    erasure_id uuid NOT NULL REFERENCES evidence.erasure DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (chain, erasure_id)
);

-- Salts of records that stay, of a chain and day whose key was destroyed for others.
CREATE TABLE evidence.seal_kept_salt (
    chain bytea NOT NULL,
    place bigint NOT NULL,
    salt bytea NOT NULL CHECK (length(salt) = 16),
    PRIMARY KEY (chain, place)
);

CREATE FUNCTION evidence.place_hold(placed_by text, in_case text, people text[], from_at timestamptz,
    to_at timestamptz, reason text, review_at timestamptz)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made uuid;
BEGIN
    IF coalesce(cardinality(people), 0) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a hold is about somebody: the case is not in the caseload, so name people';
    END IF;
    INSERT INTO evidence.hold AS h (placed_by, "case", from_at, to_at, reason, review_at)
    VALUES (evidence.speaker($1), $2, $4, $5, $6, $7) RETURNING h.hold_id INTO made;
    INSERT INTO evidence.hold_person (hold_id, person) SELECT DISTINCT made, p FROM unnest(people) p;
    RETURN made;
END $$;

CREATE FUNCTION evidence.release_hold(of_hold uuid, released_by text, reason text)
RETURNS boolean LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH done AS (
        INSERT INTO evidence.hold_release (hold_id, released_by, reason)
        SELECT h.hold_id, evidence.speaker($2), $3 FROM evidence.hold h WHERE h.hold_id = $1
        ON CONFLICT DO NOTHING RETURNING 1)
    SELECT EXISTS (SELECT FROM done)
$$;

CREATE VIEW evidence.hold_in_force WITH (security_barrier) AS
SELECT h.*, ARRAY(SELECT p.person FROM evidence.hold_person p WHERE p.hold_id = h.hold_id ORDER BY 1) AS people
FROM evidence.hold h WHERE NOT EXISTS (SELECT FROM evidence.hold_release r WHERE r.hold_id = h.hold_id);

-- Pieces of a table that end before an instant: partitions, or chunks.
CREATE FUNCTION evidence.pieces_before(of_table text, moment timestamptz)
RETURNS TABLE (piece text, hypertable boolean) LANGUAGE plpgsql STABLE AS $$
DECLARE
    width interval := (SELECT make_interval(days => width_days) FROM evidence.timeline t WHERE t.name = of_table);
BEGIN
    IF width IS NULL THEN
        RETURN; -- not cut
    ELSIF EXISTS (SELECT FROM pg_class c WHERE c.oid = format('evidence.%I', of_table)::regclass
            AND c.relkind = 'p') THEN
        RETURN QUERY SELECT c.oid::regclass::text, false FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('evidence.%I', of_table)::regclass
                AND to_date(right(c.relname, 8), 'YYYYMMDD')::timestamp AT TIME ZONE 'UTC' + width <= moment
            ORDER BY c.relname;
    ELSE
        RETURN QUERY EXECUTE 'SELECT format(''%I.%I'', chunk_schema, chunk_name), true
            FROM timescaledb_information.chunks WHERE hypertable_schema = ''evidence'' AND hypertable_name = $1
                AND range_end <= $2 ORDER BY range_start' USING of_table, moment;
    END IF;
END $$;

CREATE FUNCTION evidence.drop_piece(chunk text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb');
    found_ record;
BEGIN
    EXECUTE 'SELECT hypertable_name AS name, range_start AS starts, range_end AS ends
        FROM timescaledb_information.chunks WHERE format(''%I.%I'', chunk_schema, chunk_name) = $1'
        INTO STRICT found_ USING chunk;
    EXECUTE format('SELECT %I.drop_chunks(%L::regclass, older_than => %L::timestamptz, newer_than => %L::timestamptz)',
        extension_schema, format('evidence.%I', found_.name), found_.ends, found_.starts);
END $$;

-- How large the database is and by how much it grows a day, from the sizes of the pieces of the last
-- week: what arrives late, in old pieces, is not in it.
CREATE FUNCTION evidence.capacity(moment timestamptz, OUT used_bytes bigint, OUT growth_bytes_per_day double precision)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    installed timestamptz := (SELECT min(applied_at) FROM evidence.migration);
    since timestamptz := greatest(moment - interval '7 days', least(installed, moment - interval '1 hour'));
    age_days double precision := extract(epoch FROM moment - since) / 86400;
    growth double precision := 0;
    cut record;
    piece_ record;
BEGIN
    FOR cut IN SELECT t.name, make_interval(days => t.width_days) AS width FROM evidence.timeline t LOOP
        FOR piece_ IN
            SELECT p.starts, p.starts + cut.width AS ends, p.bytes FROM evidence.piece_sizes(cut.name) p
            WHERE p.starts < moment AND p.starts + cut.width > since
        LOOP
            growth := growth + piece_.bytes
                * extract(epoch FROM least(piece_.ends, moment) - greatest(piece_.starts, since))
                / extract(epoch FROM least(piece_.ends, moment) - piece_.starts) / age_days;
        END LOOP;
    END LOOP;
    used_bytes := pg_database_size(current_database());
    growth_bytes_per_day := growth + (
        SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class c
        WHERE c.relnamespace = 'evidence'::regnamespace AND c.relkind = 'r' AND c.relname LIKE 'seal\_%')
        / greatest(extract(epoch FROM moment - installed) / 86400, 1);
END $$;

CREATE FUNCTION evidence.piece_sizes(of_table text) RETURNS TABLE (starts timestamptz, bytes bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb');
BEGIN
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = format('evidence.%I', of_table)::regclass
            AND c.relkind = 'p') THEN
        RETURN QUERY SELECT to_date(right(c.relname, 8), 'YYYYMMDD')::timestamptz, pg_total_relation_size(c.oid)
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = format('evidence.%I', of_table)::regclass;
    ELSE
        RETURN QUERY EXECUTE format('SELECT c.range_start, s.total_bytes FROM timescaledb_information.chunks c
            JOIN %1$I.chunks_detailed_size(%2$L) s ON (s.chunk_schema, s.chunk_name) = (c.chunk_schema, c.chunk_name)
            WHERE c.hypertable_schema = ''evidence'' AND c.hypertable_name = %3$L',
            extension_schema, format('evidence.%I', of_table), of_table);
    END IF;
END $$;

-- Figures by day for reports; nothing in them is about anybody. Continuous aggregates where the server
-- has them, else views that count when they are asked.
DO $$
DECLARE
    bucket text := (
        SELECT format('%I.time_bucket(interval ''1 day'', %%s)', n.nspname)
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'timescaledb');
    report record;
BEGIN
    FOR report IN SELECT * FROM (VALUES
        ('fix_day', 'fix', 'time', 'count(*) AS fixes, count(*) FILTER (WHERE buffered) AS buffered, '
            'count(*) FILTER (WHERE received_at > time + interval ''5 minutes'') AS late', ''),
        ('alert_day', 'alert_change', 'time', 'type, tier, count(*) AS changes', ', type, tier')
    ) AS r (name, source, moment, columns, groups) LOOP
        BEGIN
            IF bucket IS NULL THEN
                RAISE feature_not_supported;
            END IF;
            EXECUTE format('CREATE MATERIALIZED VIEW evidence.%I WITH (timescaledb.continuous, '
                'timescaledb.materialized_only = false) AS SELECT %s AS day, %s FROM evidence.%I '
                'GROUP BY 1%s WITH NO DATA', report.name, format(bucket, report.moment), report.columns,
                report.source, report.groups);
            EXECUTE format('SELECT %s.add_continuous_aggregate_policy(%L, interval ''30 days'', interval ''1 hour'', '
                'interval ''1 hour'')', split_part(bucket, '.', 1), format('evidence.%I', report.name));
        EXCEPTION WHEN OTHERS THEN
            EXECUTE format('CREATE VIEW evidence.%I AS SELECT date_trunc(''day'', %I, ''UTC'') AS day, %s '
                'FROM evidence.%I GROUP BY 1%s', report.name, report.moment, report.columns, report.source,
                report.groups);
        END;
    END LOOP;
END $$;

SELECT evidence.cover(name) FROM unnest(ARRAY['hold', 'hold_release', 'hold_person', 'erasure']) AS covered (name);
DO $$
BEGIN
    PERFORM evidence.set_rights();
    IF to_regrole('cordon_owner') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION evidence.place_hold, evidence.release_hold TO cordon_owner;
        GRANT SELECT ON evidence.hold_in_force TO cordon_owner, cordon_auditor;
        GRANT EXECUTE ON FUNCTION evidence.capacity TO cordon_writer, cordon_owner;
        GRANT SELECT ON evidence.hold_in_force, evidence.fix_day, evidence.alert_day TO cordon_writer;
    END IF;
END $$;
