-- Courses of conduct: what was recognised in the history, by alerts.conduct. Everything here can be
-- made again from what it rests on; it is kept because people acted on it.

-- What he did, one row each. Rows of the time that is looked at anew are replaced.
CREATE TABLE evidence.conduct_act (
    wearer text NOT NULL,
    protected text NOT NULL,
    began_at timestamptz NOT NULL,
    id text NOT NULL,
    kind text NOT NULL,
    from_tracks boolean NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (wearer, protected, began_at, id)
);
COMMENT ON COLUMN evidence.conduct_act.protected IS
    'Person id; empty where orders name zones and nobody.';
COMMENT ON COLUMN evidence.conduct_act.from_tracks IS
    'Made of two tracks; else of decisions, events and anomalies.';

-- Every version of a pattern; none is changed or taken away.
CREATE TABLE evidence.conduct_pattern (
    pattern_id text NOT NULL,
    version integer NOT NULL CHECK (version > 0),
    kept_at timestamptz NOT NULL,
    wearer text NOT NULL,
    protected text NOT NULL,
    agency text NOT NULL,
    state text NOT NULL CHECK (state IN ('going_on', 'over', 'withdrawn')),
    began_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    document json NOT NULL,
    PRIMARY KEY (pattern_id, version)
);
CREATE INDEX conduct_pattern_subject ON evidence.conduct_pattern (wearer, protected);

-- What concerns one wearer is read by him.
CREATE INDEX decision_wearer ON evidence.decision (wearer, decided_at);
CREATE INDEX anomaly_person ON evidence.anomaly (person, decided_at);

