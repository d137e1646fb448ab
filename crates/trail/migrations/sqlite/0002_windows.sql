-- Windows that decisions were counted into and that have no record yet. The body is encrypted under the class-epoch key of class `system`.
CREATE TABLE pending_window (
    id          BLOB PRIMARY KEY NOT NULL,
    class_epoch BLOB NOT NULL,
    body        BLOB NOT NULL
);
