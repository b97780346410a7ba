-- Ids are UUIDs as text, so that a person can read the tables. Times are milliseconds since the Unix epoch. Types are
-- those that SQLite has, too: both stores share their statements.

CREATE TABLE grids (
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
    priority         BIGINT  NOT NULL DEFAULT 0,
    -- Work handed out so far, divided by the grid's weight: who has had the least comes next.
    pass             DOUBLE PRECISION    NOT NULL DEFAULT 0,
    submitted_at_ms  BIGINT  NOT NULL,
    finished_at_ms   BIGINT  CHECK ((finished_at_ms IS NULL) = (state IN ('active', 'paused'))),
    -- Grows by one with every change to the grid or a cell of it.
    sequence         BIGINT  NOT NULL,
    gallery_complete BIGINT  NOT NULL DEFAULT 0 CHECK (gallery_complete IN (0, 1)),
    -- Nothing lies in the bucket that does not belong to it, as of some time after it ended.
    swept            BIGINT  NOT NULL DEFAULT 0 CHECK (swept IN (0, 1)),
    -- Cells in each state, and the work of those that have not ended.
    queued           BIGINT  NOT NULL CHECK (queued >= 0),
    leased           BIGINT  NOT NULL DEFAULT 0 CHECK (leased >= 0),
    rendering        BIGINT  NOT NULL DEFAULT 0 CHECK (rendering >= 0),
    done             BIGINT  NOT NULL DEFAULT 0 CHECK (done >= 0),
    failed           BIGINT  NOT NULL DEFAULT 0 CHECK (failed >= 0),
    cancelled        BIGINT  NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    work_open        DOUBLE PRECISION    NOT NULL,
    -- Seconds of optimisation and their price, of the cells that are done; the price of those whose node has one.
    seconds_spent    DOUBLE PRECISION    NOT NULL DEFAULT 0,
    dollars_spent    DOUBLE PRECISION    NOT NULL DEFAULT 0
);

CREATE TABLE cells (
    grid_id             TEXT    NOT NULL REFERENCES grids (grid_id),
    -- Place in the order of service; what the cell is of follows from it and the grid's spec.
    place               BIGINT  NOT NULL,
    -- Millions of pixels times evaluations.
    work                DOUBLE PRECISION    NOT NULL,
    state               TEXT    NOT NULL
        CHECK (state IN ('queued', 'leased', 'rendering', 'done', 'failed', 'cancelled')),
    -- Leases given so far; the fence.
    attempt             BIGINT  NOT NULL DEFAULT 0,
    -- How many of them do not count: given back, or made before somebody said that it should be tried again.
    released            BIGINT  NOT NULL DEFAULT 0,
    node_id             TEXT,
    failure             TEXT,
    -- Nodes on which it failed or was lost, as JSON.
    failed_on           TEXT    NOT NULL DEFAULT '[]',
    not_before_ms       BIGINT  CHECK ((not_before_ms IS NOT NULL) = (state = 'queued')),
    lease_expires_at_ms BIGINT  CHECK ((lease_expires_at_ms IS NOT NULL) = (state IN ('leased', 'rendering'))),
    -- The node is taken to be stuck with it unless it makes an evaluation until then.
    stalls_at_ms        BIGINT  CHECK (stalls_at_ms IS NULL OR state = 'rendering'),
    -- When the node began to work on it.
    begun_at_ms         BIGINT  CHECK ((begun_at_ms IS NOT NULL) = (state = 'rendering')),
    -- Evaluations that it had then.
    evaluations_begun   BIGINT  NOT NULL DEFAULT 0,
    evaluations         BIGINT  NOT NULL DEFAULT 0,
    evaluations_planned BIGINT  NOT NULL DEFAULT 0,
    -- NULL: none reported, or not a number.
    loss                DOUBLE PRECISION,
    -- What the node delivered, as JSON.
    result              TEXT CHECK ((result IS NOT NULL) = (state = 'done')),
    -- The grid's sequence when this cell last changed.
    changed_sequence    BIGINT  NOT NULL DEFAULT 1,
    PRIMARY KEY (grid_id, place)
);

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
    place       BIGINT  NOT NULL,
    attempt     BIGINT  NOT NULL,
    node_id     TEXT    NOT NULL,
    ended_at_ms BIGINT  NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('failed', 'refused', 'lost', 'stuck', 'released')),
    reason      TEXT    NOT NULL,
    -- The end of the node's log, if it sent some.
    log         TEXT    NOT NULL,
    PRIMARY KEY (grid_id, place, attempt)
);

CREATE TABLE nodes (
    node_id          TEXT   NOT NULL PRIMARY KEY,
    name             TEXT   NOT NULL,
    device           TEXT   NOT NULL,
    memory_bytes     BIGINT NOT NULL,
    batch_capacity   BIGINT NOT NULL,
    version          TEXT   NOT NULL,
    instance_id      TEXT   NOT NULL,
    labels           TEXT   NOT NULL,
    registered_at_ms BIGINT NOT NULL,
    last_seen_at_ms  BIGINT NOT NULL,
    state            TEXT   NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'draining', 'quarantined')),
    reason           TEXT   NOT NULL DEFAULT '',
    -- Grids of which a cell failed there since it last completed one, as JSON.
    failing_grids    TEXT   NOT NULL DEFAULT '[]',
    cells_done       BIGINT NOT NULL DEFAULT 0,
    dollars_per_hour DOUBLE PRECISION
);

CREATE INDEX nodes_by_sight ON nodes (last_seen_at_ms);

CREATE TABLE submitters (
    submitter TEXT NOT NULL PRIMARY KEY,
    -- Work handed out so far, divided by the submitter's weight.
    pass      DOUBLE PRECISION NOT NULL
);

INSERT INTO submitters (submitter, pass) VALUES ('', 0);

-- How long cells take: a running mean over the cells that were done.
CREATE TABLE speeds (
    device           TEXT    NOT NULL,
    -- What the cells have in common: shape and settings, as far as they count.
    kind             TEXT    NOT NULL,
    seconds_per_work DOUBLE PRECISION    NOT NULL,
    -- How many cells have been measured, up to some.
    cells            BIGINT  NOT NULL,
    PRIMARY KEY (device, kind)
);
