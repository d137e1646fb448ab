-- Class-epochs that were disposed of: their keys are gone, and so are the objects of their segments. id_first and id_last are those of their
-- records, at is in Unix seconds.
CREATE TABLE disposed (
    class_epoch BLOB PRIMARY KEY NOT NULL,
    class       TEXT NOT NULL,
    month       TEXT NOT NULL,
    id_first    BLOB NOT NULL,
    id_last     BLOB NOT NULL,
    at          BIGINT NOT NULL,
    ordered_by  TEXT NOT NULL
);

-- The segments of these.
CREATE TABLE disposed_segment (
    log_index   BIGINT PRIMARY KEY NOT NULL,
    id          BLOB NOT NULL,
    class_epoch BLOB NOT NULL
);

-- Holds in force. The body is encrypted under a key derived from the lookup key.
CREATE TABLE hold (
    id   BLOB PRIMARY KEY NOT NULL,
    body BLOB NOT NULL
);
