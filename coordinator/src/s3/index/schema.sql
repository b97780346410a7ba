-- Keys are blobs: they are listed in the order of their UTF-8 bytes, and ranges of them need bounds that are not text.
CREATE TABLE objects (
    key         BLOB PRIMARY KEY NOT NULL,
    file        TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    properties  TEXT NOT NULL,
    checksum    TEXT
) STRICT;

CREATE TABLE uploads (
    id           TEXT PRIMARY KEY NOT NULL,
    key          BLOB NOT NULL,
    initiated_ms INTEGER NOT NULL,
    properties   TEXT NOT NULL,
    checksum     TEXT
) STRICT;

CREATE INDEX uploads_by_key ON uploads (key, id);

CREATE TABLE parts (
    upload      TEXT NOT NULL REFERENCES uploads (id),
    number      INTEGER NOT NULL,
    file        TEXT NOT NULL UNIQUE,
    bytes       INTEGER NOT NULL,
    etag        TEXT NOT NULL,
    modified_ms INTEGER NOT NULL,
    checksum    TEXT,
    PRIMARY KEY (upload, number)
) STRICT;

PRAGMA user_version = 1;
