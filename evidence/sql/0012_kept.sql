-- Which devices a hold is about is written down with it, as those were assigned then: an assignment
-- that is corrected later frees nothing. What is assigned otherwise by now is held as well.

CREATE TABLE evidence.hold_device (
    hold_id uuid NOT NULL REFERENCES evidence.hold,
    device text NOT NULL,
    from_at timestamptz NOT NULL,
    to_at timestamptz NOT NULL,
    placed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (hold_id, device, from_at, to_at),
    CHECK (from_at < to_at)
);
COMMENT ON TABLE evidence.hold_device IS
    'What the people of a hold carried, within its window; up to its end where no end of that was known.';

CREATE FUNCTION evidence.keep_devices(of_hold uuid) RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF to_regclass('caseload.assignment') IS NULL THEN
        RETURN; -- made by migrations of its own
    END IF;
    INSERT INTO evidence.hold_device (hold_id, device, from_at, to_at)
    SELECT DISTINCT h.hold_id, d.id, greatest(a.valid_from, h.from_at), least(coalesce(a.valid_to, h.to_at), h.to_at)
    FROM evidence.hold h JOIN evidence.hold_person p USING (hold_id)
    JOIN caseload.person n ON n.id = p.person
    JOIN caseload.assignment a USING (person_no) JOIN caseload.device d USING (device_no)
    WHERE h.hold_id = of_hold AND a.valid_from < h.to_at AND coalesce(a.valid_to, h.to_at) > h.from_at;
END $$;

CREATE OR REPLACE FUNCTION evidence.place_hold(placed_by text, in_case text, people text[], from_at timestamptz,
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
    PERFORM evidence.keep_devices(made);
    RETURN made;
END $$;

SELECT evidence.cover('hold_device');
SELECT evidence.keep_devices(h.hold_id) FROM evidence.hold_in_force h;
SELECT evidence.set_rights();
