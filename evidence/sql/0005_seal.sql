-- The tamper-evident log over all that is stored. docs/evidence.md says what it proves.
--
-- Which rows a batch of the log covers is decided by the transaction that stored them: every row
-- carries its number. A batch takes the rows of all transactions from one number to before another
-- that have ended for good, so a writer can neither slip a row into a sealed batch nor be missed.
-- Rows stored before this migration carry none and are not covered.

CREATE FUNCTION evidence.cover(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE evidence.%I ADD COLUMN stored_in bigint', name);
    EXECUTE format('ALTER TABLE evidence.%I ALTER COLUMN stored_in '
                   'SET DEFAULT pg_current_xact_id()::text::bigint', name);
    -- Rows are appended in about this order, so a few bytes for every hundred pages find them.
    EXECUTE format('CREATE INDEX %I ON evidence.%I USING brin (stored_in) '
                   'WITH (autosummarize = on)', name || '_stored_in', name);
END $$;
COMMENT ON FUNCTION evidence.cover IS 'Have the log cover a table, from now on.';

-- One row per log. A second one is begun only by people, after a restore; see seal_recovery.
CREATE TABLE evidence.seal_log (
    log integer PRIMARY KEY CHECK (log > 0),
    origin text NOT NULL UNIQUE,
    size bigint NOT NULL CHECK (size >= 0),
    next_transaction bigint NOT NULL,
    closed_us bigint NOT NULL,
    fence bigint NOT NULL,
    opened_at timestamptz NOT NULL
);
COMMENT ON COLUMN evidence.seal_log.fence IS
    'Grows with every sealer that starts; one that holds an older number writes nothing.';

-- The batches. Leaves are not stored: they are derived anew from the rows.
CREATE TABLE evidence.seal_batch (
    log integer NOT NULL REFERENCES evidence.seal_log,
    number bigint NOT NULL,
    from_transaction bigint NOT NULL,
    to_transaction bigint NOT NULL,
    segment bigint NOT NULL,
    layout integer NOT NULL,
    program text NOT NULL,
    header bytea NOT NULL,
    PRIMARY KEY (log, number)
);
COMMENT ON COLUMN evidence.seal_batch.segment IS
    'First batch from which the chains are derived to reach this one; see seal_chain_start.';

-- Complete nodes of the log's tree: about two for each batch.
CREATE TABLE evidence.seal_node (
    log integer NOT NULL REFERENCES evidence.seal_log,
    level smallint NOT NULL,
    place bigint NOT NULL,
    hash bytea NOT NULL,
    PRIMARY KEY (log, level, place)
);

-- Where each chain stands, and where it stood when it was first needed in a segment.
CREATE TABLE evidence.seal_chain (
    chain bytea PRIMARY KEY,
    length bigint NOT NULL,
    leaf bytea NOT NULL
);
CREATE TABLE evidence.seal_chain_start (
    log integer NOT NULL REFERENCES evidence.seal_log,
    segment bigint NOT NULL,
    chain bytea NOT NULL,
    length bigint NOT NULL,
    leaf bytea NOT NULL,
    PRIMARY KEY (log, segment, chain)
);

CREATE TABLE evidence.seal_checkpoint (
    log integer NOT NULL REFERENCES evidence.seal_log,
    size bigint NOT NULL,
    note text NOT NULL,
    signed_at timestamptz NOT NULL,
    PRIMARY KEY (log, size)
);
CREATE TABLE evidence.seal_cosignature (
    log integer NOT NULL,
    size bigint NOT NULL,
    witness text NOT NULL,
    lines text NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (log, size, witness),
    FOREIGN KEY (log, size) REFERENCES evidence.seal_checkpoint
);

-- Answers of time stamping authorities (RFC 3161), DER, over the text of a head.
CREATE TABLE evidence.seal_stamp (
    log integer NOT NULL,
    size bigint NOT NULL,
    authority text NOT NULL,
    response bytea NOT NULL,
    stamped_at timestamptz NOT NULL,
    PRIMARY KEY (log, size, authority),
    FOREIGN KEY (log, size) REFERENCES evidence.seal_checkpoint
);

-- Keys of the salts, by chain and day of the record. Deleting one makes that day's payloads
-- unprovable and unguessable. Keep them out of the long-lived backups of everything else.
CREATE TABLE evidence.seal_key (
    chain bytea NOT NULL,
    day integer NOT NULL,
    key bytea NOT NULL CHECK (length(key) = 32),
    PRIMARY KEY (chain, day)
);

-- Why a log ends below what was signed of it, and another goes on. Covered by that other.
CREATE TABLE evidence.seal_recovery (
    time timestamptz NOT NULL,
    log integer NOT NULL PRIMARY KEY REFERENCES evidence.seal_log,
    old_log integer NOT NULL,
    old_origin text NOT NULL,
    restored_size bigint NOT NULL,
    signed_size bigint NOT NULL,
    signed_root bytea NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL
);

SELECT evidence.cover(name) FROM unnest(ARRAY[
    'batch', 'message', 'fix', 'event', 'receipt', 'status', 'refusal', 'decision', 'anomaly',
    'device_health', 'sequence_step', 'command',
    'alert_change', 'delivery', 'damaged_entry', 'gap', 'seal_recovery']) AS covered (name);
