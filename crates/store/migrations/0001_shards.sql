-- One row a shard: how far it is settled, and who works on it.
CREATE TABLE shard (
    mapping     TEXT    NOT NULL, -- UUID
    incarnation TEXT    NOT NULL, -- tells a stream from an earlier one of the same name
    partition   TEXT    NOT NULL,
    parents     TEXT    NOT NULL, -- JSON array of names
    position    TEXT    NOT NULL, -- JSON: "TrimHorizon", {"AtTimestamp": …}, {"After": …} or "End"
    arrived_at  TEXT,             -- when the record at the position arrived in the stream, RFC 3339
    lanes       TEXT,             -- JSON array; NULL without
    owner       TEXT,             -- NULL: nobody
    counter     INTEGER NOT NULL, -- rises with every take: the fencing token
    renewals    INTEGER NOT NULL,
    PRIMARY KEY (mapping, incarnation, partition)
) STRICT;
