-- What an operator wants of the fleet, and how it stood when it was last looked at: one row, of JSON.

CREATE TABLE fleet (
    only_row SMALLINT NOT NULL PRIMARY KEY CHECK (only_row = 1),
    -- NULL: what the coordinator was started with.
    bounds   TEXT,
    -- NULL: nobody has looked yet.
    standing TEXT
);

INSERT INTO fleet (only_row) VALUES (1);
