-- How devices are: what began and ended to be wrong with them.

-- Every beginning and end of a trouble with the health of a device. Kinds and causes are those of
-- devices.health_changes. For fleet_silent (very many devices at once) the device is empty, and
-- there is a row for each agency.
CREATE TABLE evidence.device_health (
    decided_at timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    number bigint NOT NULL,
    onset_at timestamptz,
    quantity double precision NOT NULL,
    after_position bigint NOT NULL,
    began boolean NOT NULL,
    kind text NOT NULL,
    cause text NOT NULL,
    device text NOT NULL,
    person text,
    role text,
    agency text NOT NULL,
    build text NOT NULL,
    caseload_version text NOT NULL,
    PRIMARY KEY (device, kind, agency, decided_at, number, began)
);

-- Numbers of a device's reports that are missing, and what became of each such gap: opened when it
-- had lasted a minute, filled when all of them came late, merged when there were too many gaps to
-- follow this one further, abandoned when the device began to count anew.
CREATE TABLE evidence.sequence_step (
    decided_at timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    number bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    missing bigint NOT NULL,
    opened_at timestamptz NOT NULL,
    after_position bigint NOT NULL,
    state text NOT NULL,
    device text NOT NULL,
    build text NOT NULL,
    PRIMARY KEY (device, opened_at, number, state, decided_at)
);
SELECT evidence.cut_by_time('device_health', 'decided_at', 28);
SELECT evidence.cut_by_time('sequence_step', 'decided_at', 28);

CREATE VIEW evidence.sequence_gap AS
SELECT device, number, first_seq, last_seq, opened_at,
    min(decided_at) FILTER (WHERE state = 'opened') AS told_at,
    min(decided_at) FILTER (WHERE state <> 'opened') AS closed_at,
    coalesce(min(state) FILTER (WHERE state <> 'opened'), 'opened') AS state,
    min(missing) AS missing
FROM evidence.sequence_step
GROUP BY device, number, first_seq, last_seq, opened_at;
COMMENT ON VIEW evidence.sequence_gap IS
    'One row for each gap. Open: closed_at is null, and missing is as it was when it was told.';
