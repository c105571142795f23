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

-- As before, and an open ticket ends with what it rests on: with the glass that is judged, with the time.
CREATE OR REPLACE FUNCTION evidence.used_ticket(of_ticket uuid, kind text) RETURNS evidence.access
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    found_ evidence.access;
    why text;
BEGIN
    SELECT * INTO found_ FROM evidence.access a WHERE a.ticket = of_ticket;
    why := CASE
        WHEN found_.ticket IS NULL THEN 'there is no such record of access'
        WHEN found_.login <> session_user THEN 'the record of access is another login''s'
        WHEN NOT found_.allowed THEN 'the access was refused: ' || found_.refused
        WHEN found_.stored_in IS NOT DISTINCT FROM pg_current_xact_id_if_assigned()::text::bigint
            THEN 'commit the record of access first, then read'
        WHEN found_.at_us < evidence.us(clock_timestamp()) - 300000000
            THEN 'the record of access is older than five minutes: open another'
        WHEN NOT kind = ANY (string_to_array(found_.what, ',')) THEN 'the record of access does not name this'
        WHEN EXISTS (SELECT FROM evidence.access_revocation r WHERE r.grant_id = found_.authority)
            THEN 'the grant has been revoked'
        WHEN EXISTS (SELECT FROM evidence.break_glass_review r WHERE r.glass_id = found_.authority AND NOT r.justified)
            THEN 'the broken glass has been judged not justified'
        WHEN EXISTS (SELECT FROM evidence.access_grant g WHERE g.grant_id = found_.authority AND g.valid_to <= clock_timestamp())
            OR EXISTS (SELECT FROM evidence.break_glass b WHERE b.glass_id = found_.authority AND b.expires_at <= clock_timestamp())
            THEN 'the grant or the broken glass has ended since'
        END;
    IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = why;
    END IF;
    RETURN found_;
END $$;

SELECT evidence.cover('hold_device');
SELECT evidence.keep_devices(h.hold_id) FROM evidence.hold_in_force h;
SELECT evidence.set_rights();
