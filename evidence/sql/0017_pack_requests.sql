-- A pack of a case goes out after a second person has approved exactly it: case, window, side, purpose,
-- recipient and what is withheld. Requests, decisions and uses are rows that nothing changes; the log covers them.

CREATE TABLE evidence.pack_request (
    request_id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    requested_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_by text NOT NULL CHECK (btrim(requested_by) <> ''),
    login text NOT NULL DEFAULT session_user,
    "case" text NOT NULL CHECK (btrim("case") <> ''),
    side text NOT NULL CHECK (side IN ('court', 'protected', 'wearer')),
    recipient text NOT NULL CHECK (btrim(recipient) <> ''),
    purpose text NOT NULL CHECK (btrim(purpose) <> ''),
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    withheld text NOT NULL,
    charged text NOT NULL,
    role text NOT NULL,
    grant_case text NOT NULL CHECK (btrim(grant_case) <> ''),
    grant_purpose text NOT NULL CHECK (btrim(grant_purpose) <> ''),
    note text NOT NULL,
    CHECK (window_from < window_to AND window_to <= window_from + interval '366 days'),
    CHECK ("case" NOT LIKE 'device/%' OR side = 'court')
);
COMMENT ON COLUMN evidence.pack_request."case" IS 'An order, or device/ID: the records of one device.';
COMMENT ON COLUMN evidence.pack_request.withheld IS
    'Intervals FROM/TO of which only the places of records are shown, separated by spaces.';
COMMENT ON COLUMN evidence.pack_request.charged IS 'Alerts that the wearer is charged with, separated by spaces.';

COMMENT ON COLUMN evidence.pack_request.grant_case IS
    'With role, purpose and note what a reading claims when the pack is made: it takes a grant then, too.';

-- Says again what was decided about: in a pack for a side it stands without the request, which says what is withheld.
CREATE TABLE evidence.pack_decision (
    request_id uuid PRIMARY KEY REFERENCES evidence.pack_request,
    decided_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    decided_by text NOT NULL CHECK (btrim(decided_by) <> ''),
    login text NOT NULL DEFAULT session_user,
    "case" text NOT NULL,
    side text NOT NULL,
    recipient text NOT NULL,
    purpose text NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL,
    approved boolean NOT NULL,
    note text NOT NULL
);

CREATE TABLE evidence.pack_use (
    disclosure text PRIMARY KEY,
    request_id uuid NOT NULL REFERENCES evidence.pack_request,
    used_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    used_by text NOT NULL CHECK (btrim(used_by) <> ''),
    login text NOT NULL DEFAULT session_user,
    "case" text NOT NULL
);
COMMENT ON TABLE evidence.pack_use IS
    'By which request a pack was made (evidence.disclosure). One that failed uses nothing up.';
CREATE INDEX pack_use_request ON evidence.pack_use (request_id);

CREATE FUNCTION evidence.request_pack(requested_by text, in_case text, for_side text, recipient text,
    purpose text, window_from timestamptz, window_to timestamptz, withheld text, charged text,
    role text, grant_case text, grant_purpose text, note text)
RETURNS uuid LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO evidence.pack_request (requested_by, "case", side, recipient, purpose, window_from,
        window_to, withheld, charged, role, grant_case, grant_purpose, note)
    VALUES (evidence.speaker($1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING request_id
$$;

-- Of two people, however they write their names.
CREATE FUNCTION evidence.same_person(one text, other text) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN lower(regexp_replace(one, '\s', '', 'g')) = lower(regexp_replace(other, '\s', '', 'g'));

CREATE FUNCTION evidence.decide_pack(of_request uuid, decided_by text, approved boolean, note text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked evidence.pack_request;
    speaks text := evidence.speaker(decided_by);
    why text;
BEGIN
    SELECT * INTO asked FROM evidence.pack_request r WHERE r.request_id = of_request;
    why := CASE
        WHEN asked.request_id IS NULL THEN 'there is no such request'
        WHEN evidence.same_person(asked.requested_by, speaks) THEN 'nobody decides about their own request'
        WHEN EXISTS (SELECT FROM evidence.pack_decision d WHERE d.request_id = of_request)
            THEN 'it is decided already'
        WHEN asked.requested_at + interval '7 days' <= clock_timestamp()
            THEN 'the request is older than seven days: make another'
        END;
    IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = why;
    END IF;
    INSERT INTO evidence.pack_decision (request_id, decided_by, "case", side, recipient, purpose, window_from,
        window_to, requested_by, requested_at, approved, note)
    VALUES (asked.request_id, speaks, asked."case", asked.side, asked.recipient, asked.purpose,
        asked.window_from, asked.window_to, asked.requested_by, asked.requested_at, $3, $4);
END $$;

-- Uses an approval for one pack, and says what was approved. Who is not named is the one who asked.
CREATE FUNCTION evidence.use_pack_request(of_request uuid, used_by text, for_disclosure text)
RETURNS evidence.pack_request LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    asked evidence.pack_request;
    decided evidence.pack_decision;
    speaks text;
    why text;
BEGIN
    SELECT * INTO asked FROM evidence.pack_request r WHERE r.request_id = of_request FOR UPDATE;
    SELECT * INTO decided FROM evidence.pack_decision d WHERE d.request_id = of_request;
    speaks := CASE WHEN coalesce(used_by, '') = '' THEN asked.requested_by ELSE evidence.speaker(used_by) END;
    why := CASE
        WHEN asked.request_id IS NULL THEN 'there is no such request'
        WHEN decided.request_id IS NULL THEN 'nobody has approved this request yet'
        WHEN NOT decided.approved THEN format('%s refused this request: %s', decided.decided_by, decided.note)
        WHEN decided.decided_at + interval '7 days' <= clock_timestamp()
            THEN 'the approval has ended: it is good for seven days'
        WHEN EXISTS (SELECT FROM evidence.pack_use u WHERE u.request_id = of_request AND NOT EXISTS (
            SELECT FROM evidence.disclosure d WHERE d.disclosure = u.disclosure AND d.step = 'failed'))
            THEN 'the approval was used: it is good for one pack'
        END;
    IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = why;
    END IF;
    INSERT INTO evidence.pack_use (disclosure, request_id, used_by, "case")
    VALUES (for_disclosure, asked.request_id, speaks, asked."case");
    RETURN asked;
END $$;

CREATE FUNCTION evidence.list_pack_requests() RETURNS TABLE (request_id uuid, requested_at timestamptz,
    requested_by text, "case" text, side text, recipient text, purpose text, window_from timestamptz,
    window_to timestamptz, withheld text, charged text, decided_at timestamptz, decided_by text,
    approved boolean, note text, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.request_id, r.requested_at, r.requested_by, r."case", r.side, r.recipient, r.purpose,
        r.window_from, r.window_to, r.withheld, r.charged, d.decided_at, d.decided_by, d.approved, d.note,
        (SELECT max(u.used_at) FROM evidence.pack_use u WHERE u.request_id = r.request_id AND NOT EXISTS (
            SELECT FROM evidence.disclosure f WHERE f.disclosure = u.disclosure AND f.step = 'failed'))
    FROM evidence.pack_request r LEFT JOIN evidence.pack_decision d USING (request_id)
    WHERE evidence.is_in('cordon_owner') OR evidence.is_in('cordon_auditor') OR evidence.is_in('cordon_operator')
        OR pg_has_role(session_user, current_user, 'MEMBER') OR r.requested_by = session_user
$$;
COMMENT ON FUNCTION evidence.list_pack_requests IS 'Who decides or audits sees every request, others see their own.';

SELECT evidence.cover('pack_request');
SELECT evidence.cover('pack_decision');
SELECT evidence.cover('pack_use');

-- The rights that there were, and those of these tables: whoever calls set_rights sets both.
ALTER FUNCTION evidence.set_rights() RENAME TO set_rights_before_packs;
CREATE FUNCTION evidence.set_rights() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM evidence.set_rights_before_packs();
    IF (SELECT count(*) FROM pg_roles WHERE rolname = ANY (evidence.role_names()))
            < cardinality(evidence.role_names()) THEN
        RETURN;
    END IF;
    -- Rows come by these functions alone. A pack is made by the owner of the tables, who reads record and log.
    REVOKE ALL ON evidence.pack_request, evidence.pack_decision, evidence.pack_use FROM cordon_writer;
    GRANT EXECUTE ON FUNCTION evidence.request_pack
        TO cordon_owner, cordon_operator, cordon_investigator, cordon_prosecutor;
    GRANT EXECUTE ON FUNCTION evidence.decide_pack TO cordon_owner;
    GRANT EXECUTE ON FUNCTION evidence.list_pack_requests
        TO cordon_owner, cordon_operator, cordon_investigator, cordon_prosecutor, cordon_auditor;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE WARNING 'rights on requests for packs were not set: % (run evidence.set_rights() as the owner)', SQLERRM;
END $$;
SELECT evidence.set_rights();
