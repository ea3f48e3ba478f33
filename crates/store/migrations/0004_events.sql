-- Asynchronous events that wait for their function or are worked on.
CREATE TABLE event (
    number      INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL UNIQUE CHECK (length(id) = 16), -- UUID
    function    TEXT    NOT NULL, -- ARN with qualifier
    accepted_at INTEGER NOT NULL, -- microseconds since 1970
    due_at      INTEGER NOT NULL, -- microseconds since 1970
    attempts    INTEGER NOT NULL,
    refusals    INTEGER NOT NULL,
    taken       INTEGER NOT NULL CHECK (taken IN (0, 1)) -- 1: by the process that works with the file
) STRICT;
CREATE INDEX event_due ON event (function, due_at) WHERE taken = 0;
CREATE INDEX event_taken ON event (function) WHERE taken = 1;
CREATE INDEX event_accepted ON event (accepted_at, id);
-- What never changes of an event, apart, so that a change of the rest doesn't write it anew.
CREATE TABLE event_content (
    number         INTEGER PRIMARY KEY,
    trace          TEXT NOT NULL,
    client_context TEXT,
    payload        BLOB NOT NULL
) STRICT;
