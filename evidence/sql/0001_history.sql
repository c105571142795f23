-- The history of what was received, decided and sent.
--
-- Instants are timestamptz, which PostgreSQL keeps as a 64-bit count of microseconds: exact, and
-- what both servers partition by. Positions, sequence numbers and sizes are bigint throughout.
-- Documents are json and not jsonb: json keeps the text as it came, jsonb would refuse \u0000 and
-- half surrogates and would round and reorder what it does accept.
--
-- One schema serves two kinds of server. Each growing table is written down once, as an ordinary
-- table, and evidence.cut_by_time makes it a TimescaleDB hypertable where the extension is
-- installed and a natively partitioned table where it is not. Whatever must be unique therefore
-- contains the column the table is cut by.

CREATE TABLE evidence.timeline (
    name text PRIMARY KEY,
    time_column text NOT NULL,
    width_days integer NOT NULL CHECK (width_days > 0)
);
COMMENT ON TABLE evidence.timeline IS
    'Tables cut by time. Pieces begin at multiples of width_days since 1970-01-01, UTC.';

CREATE FUNCTION evidence.cut_by_time(name text, time_column text, width_days integer)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    extension_schema text := (
        SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'timescaledb');
BEGIN
    IF extension_schema IS NOT NULL THEN
        EXECUTE format(
            'SELECT %1$I.create_hypertable(%2$L::regclass, '
            '%1$I.by_range(%3$L::name, make_interval(days => %4$s)), '
            'create_default_indexes => false)',
            extension_schema, format('evidence.%I', name), time_column, width_days);
    ELSE
        EXECUTE format('ALTER TABLE evidence.%I RENAME TO %I', name, name || '_shape');
        EXECUTE format('CREATE TABLE evidence.%I (LIKE evidence.%I INCLUDING ALL) '
                       'PARTITION BY RANGE (%I)', name, name || '_shape', time_column);
        EXECUTE format('DROP TABLE evidence.%I', name || '_shape');
    END IF;
    INSERT INTO evidence.timeline VALUES (name, time_column, width_days);
END $$;

CREATE FUNCTION evidence.us(moment timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (extract(epoch FROM moment) * 1000000)::bigint;
COMMENT ON FUNCTION evidence.us IS
    'Microseconds since 1970, exact: extract gives a numeric, not a float.';

-- How far each stream has been stored. Changes only in the transaction that stores the rows.
CREATE TABLE evidence.position (
    stream text NOT NULL,
    partition integer NOT NULL,
    last_sequence bigint NOT NULL CHECK (last_sequence >= 0),
    PRIMARY KEY (stream, partition)
);

-- One row for each journal entry, and what became of its contents.
CREATE TABLE evidence.batch (
    received_at timestamptz NOT NULL,
    gateway text NOT NULL,
    number bigint NOT NULL,
    partition integer NOT NULL,
    journal_position bigint NOT NULL,
    messages integer NOT NULL,
    fixes integer NOT NULL,
    duplicate_fixes integer NOT NULL,
    events integer NOT NULL,
    duplicate_events integer NOT NULL,
    receipts integer NOT NULL,
    statuses integer NOT NULL,
    refusals integer NOT NULL,
    PRIMARY KEY (received_at, gateway, number)
);
COMMENT ON COLUMN evidence.batch.duplicate_fixes IS
    'Fixes of a device, time and sequence number that were stored before; their bytes are kept.';

-- Every message as received: the bytes, the topic, the time. Rows made from it carry the same
-- received_at and journal_position, and its item as their message.
CREATE TABLE evidence.message (
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    item integer NOT NULL,
    device text,
    topic text NOT NULL,
    payload bytea NOT NULL,
    PRIMARY KEY (received_at, journal_position, item)
);
COMMENT ON COLUMN evidence.message.device IS
    'Device the decoded rows name; null for a message from which no row was made.';
-- Decoded fixes, in the integers the engine computes on. The widest columns stand first, so that
-- alignment wastes nothing.
CREATE TABLE evidence.fix (
    time timestamptz NOT NULL,
    seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    message integer NOT NULL,
    lat_e7 integer NOT NULL,
    lon_e7 integer NOT NULL,
    accuracy_cm integer NOT NULL,
    speed_cms integer NOT NULL,
    course_cdeg integer NOT NULL,
    altitude_dm integer NOT NULL,
    satellites smallint NOT NULL,
    hdop_c smallint NOT NULL,
    kind smallint NOT NULL,
    battery_pct smallint NOT NULL,
    charging smallint NOT NULL,
    buffered boolean NOT NULL,
    device text NOT NULL,
    PRIMARY KEY (device, time, seq)
);
-- Rows arrive in the order of received_at, so a few bytes for every hundred pages find them by it.
CREATE INDEX fix_received_at ON evidence.fix USING brin (received_at);

CREATE TABLE evidence.event (
    time timestamptz NOT NULL,
    seq bigint NOT NULL,
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    message integer NOT NULL,
    device text NOT NULL,
    type text NOT NULL,
    peer text,
    detail json NOT NULL,
    PRIMARY KEY (device, time, seq, type)
);

CREATE TABLE evidence.receipt (
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    item integer NOT NULL,
    message integer NOT NULL,
    device text NOT NULL,
    command_id text NOT NULL,
    state text NOT NULL,
    time timestamptz NOT NULL,
    answer text,
    PRIMARY KEY (received_at, journal_position, item)
);

CREATE TABLE evidence.status (
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    item integer NOT NULL,
    message integer NOT NULL,
    device text NOT NULL,
    online boolean NOT NULL,
    time timestamptz NOT NULL,
    PRIMARY KEY (received_at, journal_position, item)
);

-- What could not be accepted, and why. The bytes stand in evidence.message.
CREATE TABLE evidence.refusal (
    received_at timestamptz NOT NULL,
    journal_position bigint NOT NULL,
    item integer NOT NULL,
    message integer NOT NULL,
    device text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    array_item bigint,
    size_bytes bigint NOT NULL,
    sha256 bytea NOT NULL,
    PRIMARY KEY (received_at, journal_position, item)
);

-- Every transition of the engine, with the numbers it rests on, bit for bit: NaN where there was
-- nothing to measure, Infinity where they are not closing. Null instants: there was no fix.
CREATE TABLE evidence.decision (
    decided_at timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    number bigint NOT NULL,
    onset_at timestamptz,
    fix_time_a timestamptz,
    fix_time_b timestamptz,
    distance_m double precision NOT NULL,
    distance_low_m double precision NOT NULL,
    distance_high_m double precision NOT NULL,
    probability double precision NOT NULL,
    time_to_contact_s double precision NOT NULL,
    after_position bigint NOT NULL,
    previous smallint NOT NULL,
    level smallint NOT NULL,
    swept boolean NOT NULL,
    watch text NOT NULL,
    condition_id text NOT NULL,
    order_id text NOT NULL,
    agency text NOT NULL,
    wearer text NOT NULL,
    protected text,
    tag text NOT NULL,
    handset text,
    rules text NOT NULL,
    build text NOT NULL,
    caseload_version text NOT NULL,
    PRIMARY KEY (watch, decided_at, number)
);

-- Every change of an alert. The document is the CloudEvent as it was sent.
CREATE TABLE evidence.alert_change (
    time timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    version integer NOT NULL,
    tier smallint NOT NULL,
    alert_id text NOT NULL,
    id text NOT NULL,
    type text NOT NULL,
    agency text NOT NULL,
    actor text NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (alert_id, version, time)
);

-- What became of each attempt to tell someone. The document is the record as it was written.
CREATE TABLE evidence.delivery (
    time timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    id text NOT NULL,
    delivery_id text NOT NULL,
    alert_id text NOT NULL,
    change_id text NOT NULL,
    channel text NOT NULL,
    recipient text NOT NULL,
    state text NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (alert_id, id, time)
);

SELECT evidence.cut_by_time('message', 'received_at', 1);
SELECT evidence.cut_by_time('fix', 'time', 1);
-- The others grow more slowly: cut by the day they would be thousands of tiny pieces in a year.
SELECT evidence.cut_by_time('batch', 'received_at', 7);
SELECT evidence.cut_by_time('event', 'time', 28);
SELECT evidence.cut_by_time('receipt', 'received_at', 28);
SELECT evidence.cut_by_time('status', 'received_at', 28);
SELECT evidence.cut_by_time('refusal', 'received_at', 28);
SELECT evidence.cut_by_time('decision', 'decided_at', 28);
SELECT evidence.cut_by_time('alert_change', 'time', 28);
SELECT evidence.cut_by_time('delivery', 'time', 28);

-- Entries of a stream that cannot be read or stored, whole, with the reason.
CREATE TABLE evidence.damaged_entry (
    stream text NOT NULL,
    partition integer NOT NULL,
    position bigint NOT NULL,
    sha256 bytea NOT NULL,
    found_at timestamptz NOT NULL,
    name text NOT NULL,
    reason text NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (stream, partition, position, sha256)
);

-- Breaks in a stream. "expired": what was to be read after from_position was gone up to
-- to_position before it could be stored here. "replaced": stored up to from_position, but the stream
-- had been set up anew and was read again after to_position.
CREATE TABLE evidence.gap (
    stream text NOT NULL,
    partition integer NOT NULL,
    kind text NOT NULL CHECK (kind IN ('expired', 'replaced')),
    from_position bigint NOT NULL,
    to_position bigint NOT NULL,
    found_at timestamptz NOT NULL,
    PRIMARY KEY (stream, partition, from_position, to_position, found_at)
);
