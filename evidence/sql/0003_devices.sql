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

-- Every command on how often a device is to report: issued (and why), received, or unanswered. The
-- reason is for the file; a device is never told.
CREATE TABLE evidence.command (
    decided_at timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    issued_at timestamptz NOT NULL,
    interval_s double precision NOT NULL,
    after_position bigint NOT NULL,
    device text NOT NULL,
    command_id text NOT NULL,
    state text NOT NULL,
    reason text NOT NULL,
    build text NOT NULL,
    PRIMARY KEY (command_id, state, decided_at)
);
SELECT evidence.cut_by_time('command', 'decided_at', 28);
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

-- Whose a report is: whoever carried its device when it was made. Asked when it is read, not written
-- beside it, so that a corrected assignment corrects every answer. The caseload's tables may be made
-- after these, so the bodies are looked at only when they run.
CREATE FUNCTION evidence.bearer_at(of_device text, moment timestamptz) RETURNS text
LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN (
        SELECT p.id FROM caseload.assignment a
        JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no)
        WHERE d.id = of_device AND a.valid_from <= moment
            AND (a.valid_to IS NULL OR moment < a.valid_to));
END $$;
COMMENT ON FUNCTION evidence.bearer_at IS
    'Person who carried a device at an instant; null: nobody. At most one (assignment_one_bearer).';

CREATE FUNCTION evidence.fixes_of(of_person text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF evidence.fix LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN QUERY
        SELECT f.* FROM caseload.assignment a
        JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no)
        CROSS JOIN LATERAL (
            SELECT * FROM evidence.fix found
            WHERE found.device = d.id
                AND found.time >= greatest(a.valid_from, from_time)
                AND found.time < least(coalesce(a.valid_to, 'infinity'), to_time)) f
        WHERE p.id = of_person
            AND a.valid_from < to_time AND (a.valid_to IS NULL OR a.valid_to > from_time)
        ORDER BY f.time, f.device, f.seq;
END $$;
COMMENT ON FUNCTION evidence.fixes_of IS
    'Fixes a person made, with whichever device, from an instant to before another.';

CREATE FUNCTION evidence.events_of(of_person text, from_time timestamptz, to_time timestamptz)
RETURNS SETOF evidence.event LANGUAGE plpgsql STABLE STRICT AS $$
BEGIN
    RETURN QUERY
        SELECT e.* FROM caseload.assignment a
        JOIN caseload.device d USING (device_no) JOIN caseload.person p USING (person_no)
        CROSS JOIN LATERAL (
            SELECT * FROM evidence.event found
            WHERE found.device = d.id
                AND found.time >= greatest(a.valid_from, from_time)
                AND found.time < least(coalesce(a.valid_to, 'infinity'), to_time)) e
        WHERE p.id = of_person
            AND a.valid_from < to_time AND (a.valid_to IS NULL OR a.valid_to > from_time)
        ORDER BY e.time, e.device, e.seq;
END $$;
