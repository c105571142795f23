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
SELECT evidence.cut_by_time('device_health', 'decided_at', 28);
