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
    'SHA-256 over log u32, batch u64, chain, place u64, commitment of each erased leaf, in this order.';
COMMENT ON COLUMN evidence.erasure.older IS 'Rows erased that were stored before there was a log.';

-- What is left of an erased record: its commitment, which nobody can open, so that its chain and its
-- batch can be derived. An erasure without its record above is found by the check.
CREATE TABLE evidence.seal_erased (
    log integer NOT NULL,
    number bigint NOT NULL,
    chain bytea NOT NULL,
    place bigint NOT NULL,
    commitment bytea NOT NULL CHECK (length(commitment) = 32),
    erasure_id uuid NOT NULL REFERENCES evidence.erasure DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (log, number, chain, place)
);
CREATE INDEX seal_erased_by ON evidence.seal_erased (erasure_id);
CREATE INDEX seal_erased_chain ON evidence.seal_erased (chain);

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
    IF EXISTS (SELECT FROM pg_class c WHERE c.oid = format('evidence.%I', of_table)::regclass
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

SELECT evidence.cover(name) FROM unnest(ARRAY['hold', 'hold_release', 'hold_person', 'erasure']) AS covered (name);
DO $$
BEGIN
    PERFORM evidence.set_rights();
    IF to_regrole('cordon_owner') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION evidence.place_hold, evidence.release_hold TO cordon_owner;
        GRANT SELECT ON evidence.hold_in_force TO cordon_owner, cordon_auditor;
        REVOKE ALL ON FUNCTION evidence.place_hold, evidence.release_hold FROM PUBLIC;
    END IF;
END $$;
