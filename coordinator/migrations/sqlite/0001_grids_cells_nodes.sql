-- Ids are UUIDs as text, so that a person can read the tables. Times are milliseconds since the Unix epoch.

CREATE TABLE grids (
    grid_id          TEXT    NOT NULL PRIMARY KEY,
    -- One submission makes one grid, however often it is sent.
    request_id       TEXT    NOT NULL UNIQUE,
    request_sha256   TEXT    NOT NULL,
    name             TEXT    NOT NULL,
    -- Photos, artists, variants and settings as JSON; it never changes.
    spec             TEXT    NOT NULL,
    state            TEXT    NOT NULL CHECK (state IN ('active', 'paused', 'finished', 'cancelled')),
    priority         INTEGER NOT NULL DEFAULT 0,
    submitted_at_ms  INTEGER NOT NULL,
    finished_at_ms   INTEGER CHECK ((finished_at_ms IS NULL) = (state IN ('active', 'paused'))),
    -- Grows by one with every change to the grid or a cell of it.
    sequence         INTEGER NOT NULL,
    gallery_complete INTEGER NOT NULL DEFAULT 0 CHECK (gallery_complete IN (0, 1))
) STRICT;

CREATE INDEX grids_in_order_of_service ON grids (priority DESC, submitted_at_ms, grid_id) WHERE state = 'active';
CREATE INDEX grids_to_publish ON grids (grid_id) WHERE gallery_complete = 0;

CREATE TABLE nodes (
    node_id          TEXT    NOT NULL PRIMARY KEY,
    name             TEXT    NOT NULL,
    device           TEXT    NOT NULL,
    memory_bytes     INTEGER NOT NULL,
    batch_capacity   INTEGER NOT NULL,
    version          TEXT    NOT NULL,
    instance_id      TEXT    NOT NULL,
    labels           TEXT    NOT NULL,
    registered_at_ms INTEGER NOT NULL,
    last_seen_at_ms  INTEGER NOT NULL
) STRICT;

CREATE TABLE cells (
    cell_id             TEXT    NOT NULL PRIMARY KEY,
    grid_id             TEXT    NOT NULL REFERENCES grids (grid_id),
    -- Place in the order of service, and in the grid's lists.
    place               INTEGER NOT NULL,
    photo               INTEGER NOT NULL,
    artist              INTEGER NOT NULL,
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
    UNIQUE (grid_id, place)
) STRICT;

CREATE INDEX cells_by_state ON cells (grid_id, state);
CREATE INDEX cells_by_change ON cells (grid_id, changed_sequence);
CREATE INDEX cells_queued ON cells (grid_id, place) WHERE state = 'queued';
CREATE INDEX cells_leased ON cells (lease_expires_at_ms) WHERE lease_expires_at_ms IS NOT NULL;
