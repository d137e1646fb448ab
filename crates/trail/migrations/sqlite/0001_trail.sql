-- The catalog: places, wrapped keys, progress. Nothing here is evidence, and nothing here names a person.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
);

-- Segments that have a place in the log. id_span is n when first and last id are less than 2^n ms apart; none without records.
CREATE TABLE segment (
    id           BLOB PRIMARY KEY NOT NULL,
    log_index    BIGINT NOT NULL,
    class        TEXT NOT NULL,
    class_epoch  BLOB NOT NULL,
    records      BIGINT NOT NULL,
    kinds        BIGINT NOT NULL,
    id_first     BLOB NOT NULL,
    id_last      BLOB NOT NULL,
    id_span      BIGINT,
    time_first   BIGINT NOT NULL,
    time_last    BIGINT NOT NULL
);
CREATE UNIQUE INDEX segment_by_index ON segment (log_index);
CREATE INDEX segment_by_id ON segment (id_span, id_first);

-- When the events of a segment were, for finding segments by time: a row for all its records (kind 0) and one for each kind that it has.
-- span is n when first and last event are less than 2^n ns apart. Follows from `segment`.
CREATE TABLE timeline (
    kind       BIGINT NOT NULL,
    span       BIGINT NOT NULL,
    time_first BIGINT NOT NULL,
    time_last  BIGINT NOT NULL,
    log_index  BIGINT NOT NULL,
    PRIMARY KEY (kind, span, time_last, log_index)
) WITHOUT ROWID;
CREATE INDEX timeline_by_first ON timeline (kind, span, time_first, log_index);

-- Which spans occur: some dozens of rows. axis is -1 for ids, else the kind of `timeline`.
CREATE TABLE span (
    axis BIGINT NOT NULL,
    span BIGINT NOT NULL,
    PRIMARY KEY (axis, span)
);

-- Segments that are being written; what is left of them is removed on opening.
CREATE TABLE intent (
    id    BLOB PRIMARY KEY NOT NULL,
    blobs BLOB NOT NULL
);

-- Log entries that are not published yet, in the order of the log.
CREATE TABLE pending_entry (
    log_index BIGINT PRIMARY KEY NOT NULL,
    entry     BLOB NOT NULL
);

CREATE TABLE class_epoch (
    id      BLOB PRIMARY KEY NOT NULL,
    class   TEXT NOT NULL,
    month   TEXT NOT NULL,
    wrapped BLOB NOT NULL,
    UNIQUE (class, month)
);

CREATE TABLE bucket (
    bucket     BIGINT PRIMARY KEY NOT NULL,
    generation BIGINT NOT NULL
);

-- Rows are appended by number and found by lookup. The bucket is the first 12 bits of lookup; those of one bucket are found as a range of lookups.
-- New lookups hit pages of the index all over, and a page is written whole: so it has no more of each than finds it. That none is there twice is
-- for the engine to see to.
CREATE TABLE subject (
    number  INTEGER PRIMARY KEY NOT NULL,
    lookup  BLOB NOT NULL,
    wrapped BLOB NOT NULL
);
CREATE INDEX subject_by_lookup ON subject (substr(lookup, 1, 8));

-- Which numbers are accounted for: the encoded ranges of one (producer, epoch, class).
CREATE TABLE coverage (
    producer BLOB NOT NULL,
    epoch    BIGINT NOT NULL,
    class    TEXT NOT NULL,
    ranges   BLOB NOT NULL,
    PRIMARY KEY (producer, epoch, class)
);

CREATE TABLE epoch (
    producer BLOB NOT NULL,
    epoch    BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    PRIMARY KEY (producer, epoch)
);

-- The last number of each class as the latest mark in the log says, of an epoch that has not ended: all up to there have to be accounted for.
CREATE TABLE drawn (
    producer BLOB NOT NULL,
    epoch    BIGINT NOT NULL,
    counts   BLOB NOT NULL,
    PRIMARY KEY (producer, epoch)
);

-- Blobs about somebody: what an erasure takes along.
CREATE TABLE blob (
    subject BIGINT NOT NULL,
    id      BLOB NOT NULL,
    PRIMARY KEY (subject, id)
);
CREATE INDEX blob_by_id ON blob (id);

-- Acts of the engine that are done and have no record yet, such as an erasure.
CREATE TABLE act (
    id   BLOB PRIMARY KEY NOT NULL,
    kind TEXT NOT NULL,
    body BLOB NOT NULL
);
