-- What a pack for a court needs beside the history: orders, zones and who carried which device, as
-- they were in force, and who was given which part of the record. Both are covered by the log.

CREATE TABLE evidence.caseload_entry (
    loaded_at timestamptz NOT NULL,
    version bigint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('order', 'condition', 'device')),
    entry text NOT NULL,
    sha256 text NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (entry, version)
);
COMMENT ON TABLE evidence.caseload_entry IS
    'Each order, condition and device with who carries it, in each version that changed it.';
COMMENT ON COLUMN evidence.caseload_entry.entry IS
    'order/ID (without its conditions), condition/ID, or device/ID (with its assignments).';
COMMENT ON COLUMN evidence.caseload_entry.document IS 'JSON null: it is no longer in the caseload.';

-- Not evidence, only how far keep_caseload() has come.
CREATE TABLE evidence.caseload_kept (version bigint NOT NULL);
INSERT INTO evidence.caseload_kept VALUES (0);

CREATE FUNCTION evidence.caseload_parts(document jsonb)
RETURNS TABLE (kind text, entry text, part jsonb) LANGUAGE sql IMMUTABLE AS $$
    SELECT 'order', 'order/' || (o ->> 'id'), o - 'conditions'
    FROM jsonb_array_elements(document -> 'orders') o
    UNION ALL
    SELECT 'condition', 'condition/' || (c ->> 'id'), c || jsonb_build_object('order', o ->> 'id')
    FROM jsonb_array_elements(document -> 'orders') o, jsonb_array_elements(o -> 'conditions') c
    UNION ALL
    SELECT 'device', 'device/' || id,
        d.item || jsonb_build_object('assignments', coalesce(a.carried, '[]'::jsonb))
    FROM (SELECT i ->> 'id' AS id, i AS item
          FROM jsonb_array_elements(document -> 'devices') i) d
    LEFT JOIN (SELECT i ->> 'device' AS id, jsonb_agg(i - 'device' ORDER BY i ->> 'from') AS carried
               FROM jsonb_array_elements(document -> 'assignments') i GROUP BY 1) a USING (id)
$$;

-- With the rights of its owner: whoever seals needs none on the caseload, and writes no entry itself.
CREATE FUNCTION evidence.keep_caseload() RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    one record;
    made bigint := 0;
    added bigint;
    kept bigint;
BEGIN
    IF to_regclass('caseload.caseload_version') IS NULL THEN
        RETURN 0;
    END IF;
    SELECT version INTO kept FROM evidence.caseload_kept FOR UPDATE;
    FOR one IN
        SELECT v.version, v.sha256, v.loaded_at, v.document FROM caseload.caseload_version v
        WHERE v.version > kept ORDER BY v.version
    LOOP
        INSERT INTO evidence.caseload_entry
        SELECT one.loaded_at, one.version, coalesce(n.kind, w.kind), coalesce(n.entry, w.entry),
            one.sha256, coalesce(n.part::text, 'null')::json
        FROM evidence.caseload_parts(one.document) n
        FULL JOIN (
            SELECT DISTINCT ON (e.entry) e.entry, e.kind, e.document::text AS part
            FROM evidence.caseload_entry e ORDER BY e.entry, e.version DESC) w USING (entry)
        WHERE coalesce(n.part::text, 'null') <> coalesce(w.part, 'null');
        GET DIAGNOSTICS added = ROW_COUNT;
        made := made + added;
        UPDATE evidence.caseload_kept SET version = one.version;
    END LOOP;
    RETURN made;
END $$;
COMMENT ON FUNCTION evidence.keep_caseload IS
    'Take over what new versions of the caseload changed. Called before each batch is sealed.';

CREATE TABLE evidence.disclosure (
    time timestamptz NOT NULL,
    disclosure text NOT NULL,
    step text NOT NULL CHECK (step IN ('opened', 'written', 'failed')),
    case_id text NOT NULL,
    actor text NOT NULL,
    purpose text NOT NULL,
    recipient text NOT NULL,
    side text NOT NULL,
    window_from timestamptz NOT NULL,
    window_to timestamptz NOT NULL,
    shown bigint NOT NULL,
    withheld bigint NOT NULL,
    manifest_sha256 bytea NOT NULL,
    PRIMARY KEY (disclosure, step)
);
COMMENT ON TABLE evidence.disclosure IS
    'The custody log of exports: opened before anything is read, then written or failed.';

SELECT evidence.cover('caseload_entry');
SELECT evidence.cover('disclosure');

-- Exports look for the batches of single transactions.
CREATE INDEX seal_batch_from ON evidence.seal_batch (log, from_transaction);
CREATE INDEX seal_batch_to ON evidence.seal_batch (log, to_transaction);
