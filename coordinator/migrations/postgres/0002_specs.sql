-- What was submitted, apart: a row of grids is written with every cell of it that changes.

CREATE TABLE specs (
    grid_id TEXT NOT NULL PRIMARY KEY REFERENCES grids (grid_id),
    -- Photos, artists, variants and settings as JSON; it never changes.
    spec    TEXT NOT NULL
);

INSERT INTO specs (grid_id, spec) SELECT grid_id, spec FROM grids;

ALTER TABLE grids DROP COLUMN spec;
