-- Why a level changed, and what was wrong with devices.

-- Null in rows of versions that did not say it. NaN: there was nothing to measure, or the way
-- between two fixes was not looked at (then closest_at is null). The cause is
-- geofence.levels.Cause: 0 position, 1 ahead, 2 path, 3 beacon, 4 silence, 5 calm, 6 plan.
ALTER TABLE evidence.decision
    ADD COLUMN cause smallint,
    ADD COLUMN sigma_m double precision,
    ADD COLUMN ring_m double precision,
    ADD COLUMN closest_m double precision,
    ADD COLUMN closest_at timestamptz;

-- Every beginning and end of an anomaly of a device. The kind is geofence.anomaly_state.Anomaly:
-- 0 frozen, 1 speed, 2 clone, 3 clock, 4 clock_gps, 5 minutes, 6 stays_behind; what quantity and
-- count hold stands there. The companion is empty for an anomaly of one device, so that it can be
-- part of the key.
CREATE TABLE evidence.anomaly (
    decided_at timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    number bigint NOT NULL,
    onset_at timestamptz,
    quantity double precision NOT NULL,
    count bigint NOT NULL,
    after_position bigint NOT NULL,
    kind smallint NOT NULL,
    began boolean NOT NULL,
    device text NOT NULL,
    companion text NOT NULL,
    person text,
    role text,
    agency text NOT NULL,
    rules text NOT NULL,
    build text NOT NULL,
    caseload_version text NOT NULL,
    PRIMARY KEY (device, kind, companion, decided_at, number, began)
);
SELECT evidence.cut_by_time('anomaly', 'decided_at', 28);
