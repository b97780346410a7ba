-- What nodes logged of attempts that brought a picture, too. SQLite cannot alter the check, so the table is made anew.

CREATE TABLE attempts_8 (
    grid_id     TEXT    NOT NULL REFERENCES grids (grid_id),
    place       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    node_id     TEXT    NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('done', 'failed', 'refused', 'lost', 'stuck', 'released')),
    reason      TEXT    NOT NULL,
    -- What the node logged at last, if it sent some.
    log         TEXT    NOT NULL,
    PRIMARY KEY (grid_id, place, attempt)
) STRICT;

INSERT INTO attempts_8 (grid_id, place, attempt, node_id, ended_at_ms, outcome, reason, log)
SELECT grid_id, place, attempt, node_id, ended_at_ms, outcome, reason, log FROM attempts;

DROP TABLE attempts;
ALTER TABLE attempts_8 RENAME TO attempts;

-- The trace that a grid was submitted in, as W3C has it; empty: in none.
ALTER TABLE specs ADD COLUMN trace_parent TEXT NOT NULL DEFAULT '';
