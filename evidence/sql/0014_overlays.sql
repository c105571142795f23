-- Location events of third parties: each file whole, with who gave it, who brought it, and what for.
-- Read anew from its bytes whenever it is compared. Its SHA-256 stands in the record of the import
-- (evidence.access, column note), which the log covers.
CREATE TABLE evidence.overlay (
    overlay_id uuid PRIMARY KEY,
    imported_at timestamptz NOT NULL,
    imported_by text NOT NULL CHECK (imported_by <> ''),
    "case" text NOT NULL CHECK ("case" <> ''),
    kind text NOT NULL CHECK (kind IN ('anpr', 'cell', 'photo')),
    source text NOT NULL CHECK (source <> ''),
    purpose text NOT NULL CHECK (purpose <> ''),
    name text NOT NULL,
    zone text,
    clock_error_s double precision CHECK (clock_error_s >= 0),
    events integer NOT NULL,
    refused integer NOT NULL,
    sha256 bytea NOT NULL,
    content bytea NOT NULL CHECK (sha256 = sha256(content)),
    UNIQUE ("case", kind, sha256)
);
COMMENT ON COLUMN evidence.overlay.refused IS 'Lines that could not be read. They are in the content.';
SELECT evidence.set_rights();
