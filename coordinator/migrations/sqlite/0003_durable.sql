-- Shares between grids and between submitters, attempts with their reasons, the health of nodes, measured speeds. A cell
-- is named by its grid and its place, from which all that it is of follows; how many of them are in each state is kept
-- with the grid. SQLite cannot alter such a table, so both are made anew.

CREATE TABLE grids_3 (
    grid_id          TEXT    NOT NULL PRIMARY KEY,
    -- One submission makes one grid, however often it is sent.
    request_id       TEXT    NOT NULL UNIQUE,
    request_sha256   TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    submitter        TEXT    NOT NULL DEFAULT '',
    -- Photos, artists, variants and settings as JSON; it never changes.
    spec             TEXT    NOT NULL,
    -- What nodes must have to get cells of it, as JSON.
    labels           TEXT    NOT NULL DEFAULT '{}',
    state            TEXT    NOT NULL CHECK (state IN ('active', 'paused', 'finished', 'cancelled', 'deleted')),
    priority         INTEGER NOT NULL DEFAULT 0,
    -- Work handed out so far, divided by the grid's weight: who has had the least comes next.
    pass             REAL    NOT NULL DEFAULT 0,
    submitted_at_ms  INTEGER NOT NULL,
    finished_at_ms   INTEGER CHECK ((finished_at_ms IS NULL) = (state IN ('active', 'paused'))),
    -- Grows by one with every change to the grid or a cell of it.
    sequence         INTEGER NOT NULL,
    gallery_complete INTEGER NOT NULL DEFAULT 0 CHECK (gallery_complete IN (0, 1)),
    -- Nothing lies in the bucket that does not belong to it, as of some time after it ended.
    swept            INTEGER NOT NULL DEFAULT 0 CHECK (swept IN (0, 1)),
    -- Cells in each state, and the work of those that have not ended.
    queued           INTEGER NOT NULL CHECK (queued >= 0),
    leased           INTEGER NOT NULL DEFAULT 0 CHECK (leased >= 0),
    rendering        INTEGER NOT NULL DEFAULT 0 CHECK (rendering >= 0),
    done             INTEGER NOT NULL DEFAULT 0 CHECK (done >= 0),
    failed           INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled        INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    work_open        REAL    NOT NULL,
    -- Seconds of optimisation and their price, of the cells that are done; the price of those whose node has one.
    seconds_spent    REAL    NOT NULL DEFAULT 0,
    dollars_spent    REAL    NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE cells_3 (
    grid_id             TEXT    NOT NULL REFERENCES grids_3 (grid_id),
    -- Place in the order of service; what the cell is of follows from it and the grid's spec.
    place               INTEGER NOT NULL,
    -- Millions of pixels times evaluations.
    work                REAL    NOT NULL,
    state               TEXT    NOT NULL
        CHECK (state IN ('queued', 'leased', 'rendering', 'done', 'failed', 'cancelled')),
    -- Leases given so far; the fence.
    attempt             INTEGER NOT NULL DEFAULT 0,
    -- How many of them do not count: given back, or made before somebody said that it should be tried again.
    released            INTEGER NOT NULL DEFAULT 0,
    node_id             TEXT,
    failure             TEXT,
    -- Nodes on which it failed or was lost, as JSON.
    failed_on           TEXT    NOT NULL DEFAULT '[]',
    not_before_ms       INTEGER CHECK ((not_before_ms IS NOT NULL) = (state = 'queued')),
    lease_expires_at_ms INTEGER CHECK ((lease_expires_at_ms IS NOT NULL) = (state IN ('leased', 'rendering'))),
    -- The node is taken to be stuck with it unless it makes an evaluation until then.
    stalls_at_ms        INTEGER CHECK (stalls_at_ms IS NULL OR state = 'rendering'),
    -- When the node began to work on it.
    begun_at_ms         INTEGER CHECK ((begun_at_ms IS NOT NULL) = (state = 'rendering')),
    -- Evaluations that it had then.
    evaluations_begun   INTEGER NOT NULL DEFAULT 0,
    evaluations         INTEGER NOT NULL DEFAULT 0,
    evaluations_planned INTEGER NOT NULL DEFAULT 0,
    -- NULL: none reported, or not a number.
    loss                REAL,
    -- What the node delivered, as JSON.
    result              TEXT CHECK ((result IS NOT NULL) = (state = 'done')),
    -- The grid's sequence when this cell last changed.
    changed_sequence    INTEGER NOT NULL DEFAULT 1,
    PRIMARY KEY (grid_id, place)
) STRICT;

INSERT INTO grids_3 (grid_id, request_id, request_sha256, name, spec, state, priority, submitted_at_ms, finished_at_ms,
                     sequence, gallery_complete, queued, leased, rendering, done, failed, cancelled, work_open)
SELECT grid_id, request_id, request_sha256, name, spec, state, priority, submitted_at_ms, finished_at_ms,
       -- The manifests name cells, whose names have changed: they are written once more.
       sequence + 1, 0,
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'queued'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'leased'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'rendering'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'done'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'failed'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state = 'cancelled'),
       (SELECT count(*) FROM cells c WHERE c.grid_id = g.grid_id AND c.state IN ('queued', 'leased', 'rendering'))
FROM grids g;

INSERT INTO cells_3 (grid_id, place, work, state, attempt, released, node_id, failure, not_before_ms,
                     lease_expires_at_ms, begun_at_ms, evaluations_begun, evaluations, evaluations_planned, loss,
                     result, changed_sequence)
SELECT grid_id, place, 1, state, attempt, released, node_id, failure, not_before_ms,
       lease_expires_at_ms,
       -- Close enough for cells that the nodes of the earlier version hold.
       CASE WHEN state = 'rendering' THEN lease_expires_at_ms END, evaluations, evaluations, evaluations_planned, loss,
       result, changed_sequence
FROM cells;

DROP TABLE cells;
DROP TABLE grids;
ALTER TABLE grids_3 RENAME TO grids;
ALTER TABLE cells_3 RENAME TO cells;

CREATE INDEX grids_in_line ON grids (grid_id) WHERE state IN ('active', 'paused');
CREATE INDEX grids_to_publish ON grids (grid_id) WHERE gallery_complete = 0;
CREATE INDEX grids_ended ON grids (finished_at_ms) WHERE finished_at_ms IS NOT NULL;
CREATE INDEX grids_to_sweep ON grids (finished_at_ms) WHERE swept = 0 AND finished_at_ms IS NOT NULL;
CREATE INDEX cells_by_change ON cells (grid_id, changed_sequence);
CREATE INDEX cells_queued ON cells (grid_id, place) WHERE state = 'queued';
CREATE INDEX cells_leased ON cells (lease_expires_at_ms) WHERE lease_expires_at_ms IS NOT NULL;

-- Attempts that brought no picture.
CREATE TABLE attempts (
    grid_id     TEXT    NOT NULL REFERENCES grids (grid_id),
    place       INTEGER NOT NULL,
    attempt     INTEGER NOT NULL,
    node_id     TEXT    NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('failed', 'refused', 'lost', 'stuck', 'released')),
    reason      TEXT    NOT NULL,
    -- The end of the node's log, if it sent some.
    log         TEXT    NOT NULL,
    PRIMARY KEY (grid_id, place, attempt)
) STRICT;

ALTER TABLE nodes ADD COLUMN state TEXT NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'quarantined'));
ALTER TABLE nodes ADD COLUMN reason TEXT NOT NULL DEFAULT '';
-- Grids of which a cell failed there since it last completed one, as JSON.
ALTER TABLE nodes ADD COLUMN failing_grids TEXT NOT NULL DEFAULT '[]';
ALTER TABLE nodes ADD COLUMN cells_done INTEGER NOT NULL DEFAULT 0;
ALTER TABLE nodes ADD COLUMN dollars_per_hour REAL;

CREATE INDEX nodes_by_sight ON nodes (last_seen_at_ms);

CREATE TABLE submitters (
    submitter TEXT NOT NULL PRIMARY KEY,
    -- Work handed out so far, divided by the submitter's weight.
    pass      REAL NOT NULL
) STRICT;

INSERT INTO submitters (submitter, pass) VALUES ('', 0);

-- How long cells take: a running mean over the cells that were done.
CREATE TABLE speeds (
    device           TEXT    NOT NULL,
    -- What the cells have in common: shape and settings, as far as they count.
    kind             TEXT    NOT NULL,
    seconds_per_work REAL    NOT NULL,
    -- How many cells have been measured, up to some.
    cells            INTEGER NOT NULL,
    PRIMARY KEY (device, kind)
) STRICT;
