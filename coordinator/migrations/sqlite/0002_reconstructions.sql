-- Cells of a photo alone or of an artist alone. SQLite cannot take a NOT NULL from a column, so the table is made anew.

CREATE TABLE cells_2 (
    cell_id             TEXT    NOT NULL PRIMARY KEY,
    grid_id             TEXT    NOT NULL REFERENCES grids (grid_id),
    -- Place in the order of service, and in the grid's lists.
    place               INTEGER NOT NULL,
    -- NULL: the reconstruction of an artist.
    photo               INTEGER,
    -- NULL: the reconstruction of a photo.
    artist              INTEGER,
    variant             INTEGER NOT NULL,
    state               TEXT    NOT NULL
        CHECK (state IN ('queued', 'leased', 'rendering', 'done', 'failed', 'cancelled')),
    -- Leases given so far; the fence.
    attempt             INTEGER NOT NULL,
    -- How many of them were given back.
    released            INTEGER NOT NULL,
    node_id             TEXT REFERENCES nodes (node_id),
    failure             TEXT,
    not_before_ms       INTEGER CHECK ((not_before_ms IS NOT NULL) = (state = 'queued')),
    lease_expires_at_ms INTEGER CHECK ((lease_expires_at_ms IS NOT NULL) = (state IN ('leased', 'rendering'))),
    evaluations         INTEGER NOT NULL DEFAULT 0,
    evaluations_planned INTEGER NOT NULL DEFAULT 0,
    -- NULL: none reported, or not a number.
    loss                REAL,
    -- What the node delivered, as JSON.
    result              TEXT CHECK ((result IS NOT NULL) = (state = 'done')),
    -- The grid's sequence when this cell last changed.
    changed_sequence    INTEGER NOT NULL,
    UNIQUE (grid_id, place),
    CHECK (photo IS NOT NULL OR artist IS NOT NULL)
) STRICT;

INSERT INTO cells_2 (cell_id, grid_id, place, photo, artist, variant, state, attempt, released, node_id, failure,
                     not_before_ms, lease_expires_at_ms, evaluations, evaluations_planned, loss, result,
                     changed_sequence)
SELECT cell_id, grid_id, place, photo, artist, variant, state, attempt, released, node_id, failure,
       not_before_ms, lease_expires_at_ms, evaluations, evaluations_planned, loss, result,
       changed_sequence
FROM cells;

DROP TABLE cells;
ALTER TABLE cells_2 RENAME TO cells;

CREATE INDEX cells_by_state ON cells (grid_id, state);
CREATE INDEX cells_by_change ON cells (grid_id, changed_sequence);
CREATE INDEX cells_queued ON cells (grid_id, place) WHERE state = 'queued';
CREATE INDEX cells_leased ON cells (lease_expires_at_ms) WHERE lease_expires_at_ms IS NOT NULL;
-- No two cells of a grid are of the same. A NULL equals no other NULL in an index, so it is given a number there.
CREATE UNIQUE INDEX cells_by_subject ON cells (grid_id, variant, coalesce(photo, -1), coalesce(artist, -1));
