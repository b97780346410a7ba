-- Who may call, and whose a node is.

CREATE TABLE tokens (
    token_id        TEXT    NOT NULL PRIMARY KEY,
    name            TEXT    NOT NULL,
    role            TEXT    NOT NULL CHECK (role IN ('client', 'node', 'operator', 'read-only')),
    -- Of the secret, which is kept nowhere.
    secret_sha256   TEXT    NOT NULL,
    created_at_ms   BIGINT  NOT NULL,
    created_by      TEXT    NOT NULL,
    -- NULL: it never does.
    expires_at_ms   BIGINT,
    revoked_at_ms   BIGINT,
    -- To the minute.
    last_used_at_ms BIGINT
);

-- Those who are logged in at the board, whichever coordinator they asked.
CREATE TABLE sessions (
    secret_sha256 TEXT    NOT NULL PRIMARY KEY,
    -- NULL: whoever has the board's key.
    name          TEXT,
    role          TEXT    CHECK (role IN ('client', 'node', 'operator', 'read-only')),
    -- What was shown: a kind of proof, the token if it is one, and a mark of the key or the token in a coordinator's files.
    proof         TEXT    NOT NULL,
    token_id      TEXT,
    mark          TEXT    NOT NULL,
    created_at_ms BIGINT  NOT NULL,
    expires_at_ms BIGINT  NOT NULL,
    CHECK ((name IS NULL) = (role IS NULL))
);

CREATE INDEX sessions_by_end ON sessions (expires_at_ms);

-- The identity that registered the node first; empty: nobody was asked.
ALTER TABLE nodes ADD COLUMN identity TEXT NOT NULL DEFAULT '';
