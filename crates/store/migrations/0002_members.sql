-- One row for each process that works on a mapping.
CREATE TABLE member (
    mapping TEXT    NOT NULL, -- UUID
    owner   TEXT    NOT NULL,
    beats   INTEGER NOT NULL,
    PRIMARY KEY (mapping, owner)
) STRICT, WITHOUT ROWID;
