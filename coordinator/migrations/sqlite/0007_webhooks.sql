-- How grids ended, until it is known which webhooks are to hear of it: a row is written in the transaction in which its
-- grid ends, so that no end is missed and none is told that did not happen.
CREATE TABLE endings (
    -- Tells receivers one end from another, however often they hear of it.
    ending_id   TEXT    NOT NULL PRIMARY KEY,
    -- No reference: a grid may be forgotten before its end is told.
    grid_id     TEXT    NOT NULL,
    ended_at_ms INTEGER NOT NULL,
    -- What there is to tell, as JSON.
    ending      TEXT    NOT NULL,
    -- The grid's labels, as JSON.
    labels      TEXT    NOT NULL
) STRICT;

-- What webhooks are still to be told.
CREATE TABLE deliveries (
    -- Name of the webhook.
    webhook     TEXT    NOT NULL,
    ending_id   TEXT    NOT NULL,
    -- What is sent, the same each time.
    body        TEXT    NOT NULL,
    begun_at_ms INTEGER NOT NULL,
    -- Attempts that failed.
    attempts    INTEGER NOT NULL DEFAULT 0,
    due_at_ms   INTEGER NOT NULL,
    PRIMARY KEY (webhook, ending_id)
) STRICT;

CREATE INDEX deliveries_due ON deliveries (webhook, due_at_ms);

-- What became of deliveries, counted.
CREATE TABLE webhooks (
    webhook   TEXT    NOT NULL PRIMARY KEY,
    delivered INTEGER NOT NULL DEFAULT 0,
    -- Attempts that were not taken.
    failed    INTEGER NOT NULL DEFAULT 0,
    given_up  INTEGER NOT NULL DEFAULT 0
) STRICT;
