-- What a protected person has chosen, what was held back by it, and who looked at where she was.

-- Every choice and every refusal of one. Rows are only ever added: what applied at an instant is the
-- newest accepted one before it.
CREATE TABLE evidence.choice (
    time timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    version integer NOT NULL,
    asked_at timestamptz NOT NULL,
    accepted boolean NOT NULL,
    id text NOT NULL PRIMARY KEY,
    person text NOT NULL,
    actor text NOT NULL,
    way text NOT NULL,
    device text NOT NULL,
    document json NOT NULL
);
CREATE INDEX choice_person ON evidence.choice (person, time);
COMMENT ON COLUMN evidence.choice.actor IS
    'Who set it: her own id where she did it herself, else a name of the staff.';

CREATE FUNCTION evidence.choices_at(of_person text, moment timestamptz) RETURNS json
LANGUAGE sql STABLE STRICT AS $$
    SELECT document->'choices' FROM evidence.choice
    WHERE person = of_person AND accepted AND time <= moment
    ORDER BY time DESC, version DESC LIMIT 1
$$;
COMMENT ON FUNCTION evidence.choices_at IS
    'What applied for a person at an instant; null: nothing chosen, everything is told at once.';

-- Every message with what was held back. That it arrived stands in evidence.delivery.
CREATE TABLE evidence.digest (
    time timestamptz NOT NULL,
    stream_position bigint NOT NULL,
    number bigint NOT NULL,
    items integer NOT NULL,
    id text NOT NULL PRIMARY KEY,
    person text NOT NULL,
    document json NOT NULL
);
CREATE INDEX digest_person ON evidence.digest (person, time);

-- Every reading of positions: who, when, in which role, what for, of whom, what, and of which time.
CREATE TABLE evidence.access (
    id text NOT NULL PRIMARY KEY,
    at_us bigint NOT NULL,
    who text NOT NULL,
    role text NOT NULL,
    purpose text NOT NULL,
    subject text NOT NULL,
    "case" text NOT NULL,
    what text NOT NULL,
    from_us bigint,
    to_us bigint,
    at timestamptz GENERATED ALWAYS AS (to_timestamp(at_us / 1000000.0)) STORED
);
CREATE INDEX access_subject ON evidence.access (subject, at_us);
COMMENT ON COLUMN evidence.access.subject IS
    'Id of the person; * for everybody who was in force, as on the map.';

SELECT evidence.cover(name) FROM unnest(ARRAY['choice', 'digest', 'access']) AS covered (name);
