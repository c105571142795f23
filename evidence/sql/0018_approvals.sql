-- A pack of an order takes grants of that order's case, and who decides sees by which grant it will be made; who asked is
-- known in other letters than ASCII, too; and what is withheld are intervals that verifiers read.
-- Requests of before stay, whatever they say: what they may not say any more is refused when they are used.

-- Of two people, however they write their names: letters beyond ASCII, too, by a collation that knows them whatever
-- locale the database has. A server may have none: then `evidence.approvals` alone sees to it.
DO $$
DECLARE
    knows_letters text;
BEGIN
    SELECT collname INTO knows_letters FROM pg_collation
    WHERE collnamespace = 'pg_catalog'::regnamespace AND getdatabaseencoding() = 'UTF8'
        AND collname IN ('pg_unicode_fast', 'und-x-icu', 'pg_c_utf8')
    ORDER BY array_position(ARRAY['pg_unicode_fast', 'und-x-icu', 'pg_c_utf8'], collname::text) LIMIT 1;
    IF knows_letters IS NOT NULL THEN
        EXECUTE format($function$
            CREATE OR REPLACE FUNCTION evidence.same_person(one text, other text) RETURNS boolean LANGUAGE sql IMMUTABLE
            SET search_path = pg_catalog, pg_temp
            RETURN lower(regexp_replace(one COLLATE %1$I, '\s', '', 'g')) = lower(regexp_replace(other COLLATE %1$I, '\s', '', 'g'))
        $function$, knows_letters);
    END IF;
END $$;

-- Both verifiers read what is withheld from a sealed record, in this form; anything else they could not read.
CREATE FUNCTION evidence.are_intervals(parts text) RETURNS boolean LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
RETURN parts = '' OR (SELECT parts = string_agg(one, ' ' ORDER BY one COLLATE "C") AND bool_and(
        one ~ '^[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}[.][0-9]{6}Z/[0-9]{4}(-[0-9]{2}){2}T([0-9]{2}:){2}[0-9]{2}[.][0-9]{6}Z$'
        AND split_part(one, '/', 1) COLLATE "C" < split_part(one, '/', 2) COLLATE "C")
    FROM regexp_split_to_table(parts, ' ') AS one);
COMMENT ON FUNCTION evidence.are_intervals IS
    'Intervals FROM/TO, each beginning before it ends, in order, with one space between: as evidence.approvals writes them.';

-- As before, and: what no pack can be made of is refused.
CREATE OR REPLACE FUNCTION evidence.request_pack(requested_by text, in_case text, for_side text, recipient text,
    purpose text, window_from timestamptz, window_to timestamptz, withheld text, charged text,
    role text, grant_case text, grant_purpose text, note text)
RETURNS uuid LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    made uuid;
    why text := CASE
        WHEN in_case NOT LIKE 'device/%' AND grant_case <> in_case -- who carried a device may be of another file
            THEN 'a pack of an order takes a grant of the same case'
        WHEN NOT evidence.are_intervals(withheld)
            THEN 'what is withheld are intervals FROM/TO in UTC with microseconds and Z, each beginning before it ends, in order'
        END;
BEGIN
    IF why IS NOT NULL THEN
        RAISE insufficient_privilege USING MESSAGE = why;
    END IF;
    INSERT INTO evidence.pack_request (requested_by, "case", side, recipient, purpose, window_from,
        window_to, withheld, charged, role, grant_case, grant_purpose, note)
    VALUES (evidence.speaker($1), $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
    RETURNING request_id INTO made;
    RETURN made;
END $$;

-- As before, and: not where who asked decided, the grant is of another case, or what is withheld cannot be read.
CREATE OR REPLACE FUNCTION evidence.use_pack_request(of_request uuid, used_by text, for_disclosure text)
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
        WHEN evidence.same_person(asked.requested_by, decided.decided_by)
            THEN 'who approved this request is who asked for it: somebody else has to'
        WHEN asked."case" NOT LIKE 'device/%' AND asked.grant_case <> asked."case"
            THEN 'the request names a grant of another case than its own: make another'
        WHEN NOT evidence.are_intervals(asked.withheld)
            THEN 'the request does not say what is withheld in a way that can be read: make another'
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

-- As before, and: by which grant the pack will be made.
DROP FUNCTION evidence.list_pack_requests();
CREATE FUNCTION evidence.list_pack_requests() RETURNS TABLE (request_id uuid, requested_at timestamptz,
    requested_by text, "case" text, side text, recipient text, purpose text, window_from timestamptz,
    window_to timestamptz, withheld text, charged text, role text, grant_case text, grant_purpose text,
    decided_at timestamptz, decided_by text, approved boolean, note text, used_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.request_id, r.requested_at, r.requested_by, r."case", r.side, r.recipient, r.purpose,
        r.window_from, r.window_to, r.withheld, r.charged, r.role, r.grant_case, r.grant_purpose,
        d.decided_at, d.decided_by, d.approved, d.note,
        (SELECT max(u.used_at) FROM evidence.pack_use u WHERE u.request_id = r.request_id AND NOT EXISTS (
            SELECT FROM evidence.disclosure f WHERE f.disclosure = u.disclosure AND f.step = 'failed'))
    FROM evidence.pack_request r LEFT JOIN evidence.pack_decision d USING (request_id)
    WHERE evidence.is_in('cordon_owner') OR evidence.is_in('cordon_auditor') OR evidence.is_in('cordon_operator')
        OR pg_has_role(session_user, current_user, 'MEMBER') OR r.requested_by = session_user
$$;
COMMENT ON FUNCTION evidence.list_pack_requests IS 'Who decides or audits sees every request, others see their own.';

-- set_rights names the function that was made anew, so it gives its rights again.
SELECT evidence.set_rights();
