"""Bounds of the package, each with its unit and its reason."""

WATCH_PERIOD_S = 2.0
"""Between two looks whether the engine lives: a connect costs some 30 µs, and until it is started again the spool holds what comes."""

START_BACKOFF_MAX_S = 60.0
"""Between two tries to start an engine that does not start: each try is a process, and the cause is seldom gone by itself."""

START_TIMEOUT_S = 45.0
"""For an engine to answer: one of another version is waited for up to 30 s until it has sealed and gone."""

FIRST_ANSWER_TIMEOUT_S = 15.0
"""For a shipper that another process began to know which trail the server has: it waits up to 10 s for the first answer."""

CONNECT_TIMEOUT_S = 2.0
"""For a local socket to accept: an engine that needs longer is as good as dead."""

REQUEST_TIMEOUT_S = 30.0
"""For an answer that reads: a record that waits in the spool is sealed first."""

SEAL_TIMEOUT_S = 120.0
"""For what was handed over to be sealed: a slow disk takes seconds, a full one is told by then."""

SHIP_TIMEOUT_S = 60.0
"""For what was handed over to be on a server's disk: a spool of some GiB that waited for an hour; a server that is away is told at once."""

ROOM_PAUSE_S = 0.1
"""Between two tries to open a spool that is full: an engine that was killed is started again, and other processes look as often."""

ROOM_TRIES = 3
"""So often a spool that is full all the same while nothing is left to seal is tried: another process may have just taken the room."""

GIT_TIMEOUT_S = 2.0
"""For one answer of git: a repository on a slow network must not hold up the start of a service."""

OUTPUT_BYTES_MAX = 64 << 10
"""Of what a program says that is read: the engine's line and git's answers have some hundred bytes."""

SOCKET_PATH_BYTES_MAX = 107
"""A path in `sockaddr_un` on Linux, without the NUL that ends it."""

SPILL_BYTES = 1 << 30
"""What the spool of a producer may take on disk with `full="spill"` and `"block"`: about 10 minutes at full rate without an engine."""

DROP_BYTES = 64 << 20
"""The same with `full="drop"`: who would rather lose numbers than disk."""

PART_BYTES = 16 << 20
"""A file of the spool, where the limit has room for `PARTS_MAX`: making one is rare, and an idle producer costs little disk."""

PARTS_MAX = 64
"""Files that the limit has room for: each process of a service holds one."""

PART_BYTES_WHOLE = 2 << 20
"""A file of this size holds the largest record; smaller ones only where the limit has no room for four of it."""

PARTS_MIN = 4
"""So many at least: while one is written the engine can free another."""

PART_BYTES_MIN = 64 << 10
"""Less holds hardly a record."""

COLUMNS_MAX = 4096
"""Columns of a table that become a field each; a wider row is one tensor. A record holds 16,384 fields, outputs among them."""

SPARSE_CELLS_MAX = 1 << 24
"""Cells of a sparse matrix that is made dense to be recorded: 128 MiB of float64."""

STREAM_CHARACTERS_MAX = 768 << 10
"""Of a streamed answer that are kept for its record, which holds 1 MiB of values in all."""

REASONS_MOST = 4
"""Principal reasons that a decision is given: more are not likely to help, says the commentary on Regulation B (12 CFR 1002.9(b)(2))."""

REDACTION_KEY_BYTES_MIN = 16
"""Of the key of keyed hashes: what nobody guesses, when it is random."""

REDACTION_WARNINGS_MAX = 256
"""Warnings about redactions that are kept apart: one for each path and type, which a model has a handful of."""

EXPLAIN_LIMIT_S = 0.1
"""For an explanation in the call of a prediction, where no other limit is given: a person waits."""

SLOW_EXPLANATIONS_MAX = 5
"""Explanations in a row over their limit, until there are no more in this process: one may be slow for a cold cache."""

EXPLAIN_QUEUE_MAX = 1024
"""Decisions that wait to be explained behind the call: each holds its inputs."""

EXPLAIN_IDLE_S = 10.0
"""Until the thread that explains behind the call ends for want of work: it holds the trail, which may be used by nobody else any more."""

EXPLAIN_CLOSE_S = 5.0
"""For what waits to be explained when the trail is closed: the end of a process must not hang on it."""

EXPLANATION_BYTES_MAX = 512 << 10
"""Of attributions that an explainer makes: a record holds 1 MiB of values, and the decision's own go first."""
