-- The sealer finds rows by their transaction, with BRIN indexes. Of what was appended lately these know
-- nothing until autovacuum comes by, in a minute or so; meanwhile each search goes through all of it.

CREATE FUNCTION evidence.summarize(of_table text) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '5ms' AS $$
DECLARE
    index_ regclass;
BEGIN
    FOR index_ IN
        SELECT x.indexrelid FROM (
            SELECT h.inhrelid FROM pg_inherits h WHERE h.inhparent = format('evidence.%I', of_table)::regclass
            ORDER BY h.inhrelid DESC LIMIT 4) AS piece
        JOIN pg_index x ON x.indrelid = piece.inhrelid
        JOIN pg_class c ON c.oid = x.indexrelid JOIN pg_am a ON a.oid = c.relam
        JOIN pg_attribute n ON n.attrelid = c.oid
        WHERE a.amname = 'brin' AND n.attname = 'stored_in'
    LOOP
        PERFORM brin_summarize_new_values(index_);
    END LOOP;
EXCEPTION
    WHEN lock_not_available THEN NULL; -- autovacuum is at work on it, and does the same
END $$;
COMMENT ON FUNCTION evidence.summarize IS
    'Bring the indexes of a table''s newest pieces up to date by which rows are found by transaction.';

DO $$
BEGIN
    PERFORM evidence.set_rights();
    IF to_regrole('cordon_owner') IS NOT NULL THEN
        GRANT EXECUTE ON FUNCTION evidence.summarize TO cordon_sealer;
    END IF;
END $$;
