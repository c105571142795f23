-- What a replay needs beside the rows: see docs/decisions/0021.

-- What a worker was told beside batches, and in which order: devices.course.CourseStep. A run is one
-- life of a worker, from its start; it is named by when it began.
CREATE TABLE evidence.course (
    at timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    number bigint NOT NULL,
    stream_position bigint NOT NULL,
    ticked_at timestamptz NOT NULL,
    position bigint NOT NULL,
    upto bigint NOT NULL,
    kind text NOT NULL,
    after text NOT NULL,
    batch text NOT NULL,
    caseload_version text NOT NULL,
    detail json NOT NULL,
    PRIMARY KEY (run_at, number, at)
);
COMMENT ON COLUMN evidence.course.after IS
    'Name (gateway/number) of the batch that was taken in last before; empty: none.';

-- What of a batch the other tables do not say: the fixes and events in it that a device had sent
-- before, and the order of its fixes where that is not by message, time and number. Most batches
-- need none. The content is evidence.rest.Rest, MessagePack.
CREATE TABLE evidence.batch_rest (
    received_at timestamptz NOT NULL,
    number bigint NOT NULL,
    journal_position bigint NOT NULL,
    gateway text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (received_at, gateway, number)
);
SELECT evidence.cut_by_time('course', 'at', 28);
SELECT evidence.cut_by_time('batch_rest', 'received_at', 28);

-- States of workers to begin a replay from, so that it need not begin with the first fix ever. Not
-- covered by the log: a replay from a state that was altered does not come to the stored decisions.
CREATE TABLE evidence.worker_state (
    ticked_at timestamptz NOT NULL,
    run_at timestamptz NOT NULL,
    steps bigint NOT NULL,
    build text NOT NULL,
    content bytea NOT NULL,
    PRIMARY KEY (ticked_at, run_at, steps)
);

-- A replay reads in the order of receipt; fixes are cut by their own time.
CREATE INDEX fix_journal_position ON evidence.fix USING brin (journal_position);
CREATE INDEX event_journal_position ON evidence.event USING brin (journal_position);

SELECT evidence.cover(name) FROM unnest(ARRAY['course', 'batch_rest']) AS covered (name);
SELECT evidence.set_rights();
