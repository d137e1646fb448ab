//! Bounds of the engine process, each with its reason.

use std::time::Duration;

/// Between two rounds of sealing: what is handed over is in the log soon, and a segment holds more than a few records.
pub(crate) const SEAL_PERIOD: Duration = Duration::from_secs(1);

/// Between a failed round and the next one, at first; doubled with each failure.
pub(crate) const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The same at most: a disk that was full has room again some time, and then producers should not wait long.
pub(crate) const RETRY_MAX: Duration = Duration::from_secs(60);

/// Requests to seal that one sealing answers together.
pub(crate) const ASKED_AT_ONCE: usize = 1_024;

/// Between two looks at what happens around: connections, folder, the size of the log file.
pub(crate) const LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Bytes of `tmp/engine.log` after which it is begun anew: a failure that goes on for months must not fill the disk.
pub(crate) const LOG_BYTES_MAX: u64 = 4 << 20;

/// How long the answers that are on their way have when the engine ends; sealing itself takes the time that it takes.
pub(crate) const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How long an engine has to say who it is. It answers without looking at a disk.
pub(crate) const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// How long to wait for somebody who has the lock and does not listen: an engine that begins or ends, or a command that seals.
pub(crate) const HOLDER_WAIT: Duration = Duration::from_secs(10);

/// How long an engine of another version has to seal what there is and to end.
pub(crate) const REPLACE_WAIT: Duration = Duration::from_secs(30);

/// Between two looks for a lock or a socket.
pub(crate) const WAIT_STEP: Duration = Duration::from_millis(20);

/// Bytes of a path that fit into a socket's address with the zero behind them (unix(7), `sun_path`).
pub(crate) const SOCKET_PATH_BYTES: usize = 107;

/// Records of a listing that does not say how many.
pub(crate) const LIST_RECORDS: usize = 20;

/// Records of one page of a listing at most: who wants more asks for the next.
pub(crate) const LIST_RECORDS_MAX: usize = 10_000;

/// Records of the first answer to who follows a trail and does not say how many: what fits on a screen.
pub(crate) const TAIL_LINES: usize = 10;

/// Records of each further answer.
pub(crate) const TAIL_RECORDS: usize = 1_000;

/// How long an answer may wait for something new: proxies between give up on silence after a minute or so.
pub(crate) const TAIL_WAIT_MAX: Duration = Duration::from_secs(60);

/// Bytes of one page of a listing at most: it is in memory whole, and beside others.
pub(crate) const LIST_BYTES_MAX: usize = 64 << 20;

/// Columns of a page at least: with fewer the names of fields have no room.
pub(crate) const PAGE_COLUMNS_MIN: usize = 40;

/// Bytes of an engine's answer that a client takes: none of those that it asks for is larger than some kilobytes.
pub(crate) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Windows in an answer: a week by the minute, some hundred features each at most.
pub(crate) const STATS_WINDOWS_MAX: usize = 10_080;

/// Quantiles of each feature in an answer.
pub(crate) const STATS_QUANTILES_MAX: usize = 101;

/// Bars of each feature's histogram in an answer.
pub(crate) const STATS_BINS_MAX: usize = 1_000;

/// Frequent values of each feature in an answer: as many as a window keeps.
pub(crate) const STATS_VALUES_MAX: usize = 64;

/// Between two looks of the index for what was sealed, when no round of sealing says so.
pub(crate) const INDEX_PERIOD: Duration = Duration::from_secs(1);

/// How long a question waits for the index of an engine that has just begun: an index is read in some milliseconds, and one that is made anew answers
/// with what it has by then.
pub(crate) const INDEX_BEGIN_WAIT: Duration = Duration::from_secs(10);

/// Rows of a search that does not say how many.
pub(crate) const SEARCH_ROWS: usize = 100;

/// Rows of an answer in JSON, which is held in memory; an Arrow stream is not.
pub(crate) const JSON_ROWS_MAX: usize = 100_000;

/// Bytes of rows that a client takes: what an engine holds in memory for one answer, in Arrow's form.
pub(crate) const ROWS_BYTES_MAX: usize = 1 << 30;

/// Where `serve` listens when nobody says where: loopback, and MBNB on the keys of a telephone.
pub(crate) const DEFAULT_PORT: u16 = 6262;

/// TCP connections at once: each takes a descriptor and some kilobytes. Further ones wait in the system's queue.
pub(crate) const CONNECTIONS_MAX: usize = 512;

/// Requests over TCP that are worked on at once. Further ones are told to come again: a queue without a bound is memory without one.
pub(crate) const REQUESTS_AT_ONCE: usize = 64;

/// How long a client has for the head of a request, from when it is awaited: who holds a connection open for longer connects again.
pub(crate) const HEAD_WAIT: Duration = Duration::from_secs(15);

/// How long a client may take nothing of an answer that waits: a dashboard that pauses for longer asks again.
pub(crate) const TAKING_WAIT: Duration = Duration::from_secs(60);

/// Between two questions whether whoever holds an HTTP/2 connection is still there.
pub(crate) const ALIVE_PERIOD: Duration = Duration::from_secs(30);

/// Bytes of the head of a request: names, a key and a path take some hundred.
pub(crate) const HEAD_BYTES_MAX: usize = 64 << 10;

/// How long a client has for the body of a request: the largest one at 5 Mbit/s.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(60);

/// Bytes of a body, other than records: a policy or a query has far less.
pub(crate) const BODY_BYTES_MAX: usize = 2 << 20;

/// Bytes of a body with records, as sent and when unpacked: some 30,000 decisions. It is in memory whole, since all of it is recorded or nothing.
pub(crate) const RECORDS_BYTES_MAX: usize = 32 << 20;

/// Lines of a stream of records that are taken at once: what a client sends again when it learns nothing of them.
pub(crate) const BLOCK_LINES: u64 = 1_000;

/// Bytes of a stream that are taken at once, to the end of a line.
pub(crate) const BLOCK_BYTES: usize = 1 << 20;

/// How long lines that have come wait for more of their block.
pub(crate) const BLOCK_WAIT: Duration = Duration::from_millis(500);

/// Bytes of a line of a stream: a record has 1 MiB at most, and its text is longer.
pub(crate) const LINE_BYTES_MAX: usize = 8 << 20;

/// What a stream has of the bytes of all bodies: a block, its last line, and what is made of them.
pub(crate) const STREAM_BYTES: usize = 16 << 20;

/// How long a stream may be silent: a line, be it empty, shows that somebody is there.
pub(crate) const STREAM_WAIT: Duration = Duration::from_secs(60);

/// Bytes of all bodies that are in memory or on their way over TCP at once: eight of the largest.
pub(crate) const BODIES_BYTES_MAX: usize = 256 << 20;

/// Between two looks at the API keys: one that is revoked is refused after this at the latest.
pub(crate) const KEYS_LOOK_PERIOD: Duration = Duration::from_millis(250);

/// Keys that are wrong, of one address in [`FAILURES_PERIOD`]: a person who mistypes needs two.
pub(crate) const FAILURES_MAX: u32 = 10;

/// How long wrong keys of an address are counted together.
pub(crate) const FAILURES_PERIOD: Duration = Duration::from_secs(1);

/// Addresses whose wrong keys are counted apart; further ones are counted together until some are forgotten.
pub(crate) const FAILURES_ADDRESSES: usize = 4_096;

/// Characters of a trail's name among those of a server: it stands in every path.
pub(crate) const TRAIL_NAME_BYTES_MAX: usize = 64;

/// Trails of one server: each has an index with threads of its own, some memory, and some ten files that are open.
pub const TRAILS_MAX: usize = 64;

/// Shapes declared to the producer that are found again without asking it.
pub(crate) const SHAPES_DECLARED: usize = 1_024;

/// Records of one request: each takes a kilobyte while the others are read.
pub(crate) const RECORDS_MAX: usize = 50_000;

/// Bytes of the records that are made of one request of OpenTelemetry: what its resource says stands in each of them. Four times the largest body.
pub(crate) const MADE_BYTES_MAX: usize = 128 << 20;
/// Bytes that the rows of a table may take as records, with their shapes: a table holds a label once that each of its records has. Four times the
/// body.
pub(crate) const RECORDS_HELD_BYTES_MAX: usize = 128 << 20;

/// Parts in which one dictionary of a table may come: each row looks through them.
pub(crate) const DICTIONARY_PARTS_MAX: usize = 1_024;

/// Wrong lines of one request that are told: who wrote them sees by then what is wrong.
pub(crate) const WRONG_TOLD: usize = 100;

/// How long a request is remembered under its idempotency key: clients try again within minutes, jobs within the day.
pub(crate) const REPEAT_WINDOW: Duration = Duration::from_secs(86_400);

/// Records of a request whose numbers are drawn, and noted, before the first of them is handed over: as many as a spool has slots
/// for what is in flight.
pub(crate) const DRAWN_AT_ONCE: usize = 1_024;

/// Requests with records, or with halves of calls, that are taken together: by then a flush is a small part of what they take.
pub(crate) const TOGETHER_MAX: usize = 256;

/// Bytes of what they sent: read, it takes some times as much.
pub(crate) const TOGETHER_BYTES: usize = 1 << 20;

/// Ids that are remembered for requests that come again, 16 bytes each; a request counts as eight more.
pub(crate) const REPEAT_IDS_MAX: usize = 1_000_000;

/// Characters of an idempotency key.
pub(crate) const REPEAT_KEY_BYTES_MAX: usize = 255;

/// How long nobody records over HTTP before the run of its producer ends: a run that is open keeps an engine from ending.
pub(crate) const INTAKE_REST: Duration = Duration::from_secs(5);

/// Sealings that make room in a spool that is full, before a request is told so.
pub(crate) const FULL_SEALS: u32 = 2;

/// Bytes of the spools of other machines that may wait of one API key: some minutes of a hundred processes while the engine is behind.
pub(crate) const SPOOL_BYTES_PER_KEY: u64 = 16 << 30;

/// Epochs of the same: each is a process, and takes the engine a descriptor or two and some kilobytes.
pub(crate) const SPOOL_EPOCHS_PER_KEY: u64 = 4_096;

/// Between two looks at what waits of each key: a look reads the folders of all mirrors.
pub(crate) const SPOOL_LOOK_PERIOD: Duration = Duration::from_secs(2);

/// Producers whose requests wait for each other: more than the processors that a server has.
pub(crate) const MIRROR_LOCKS: usize = 64;

/// Between two looks for the versions of a model: a deployment counts for calls this much later at the latest.
pub(crate) const VERSIONS_LOOK_PERIOD: Duration = Duration::from_secs(5);

/// Records that are looked at for the version of a model, the latest first: calls come within minutes, and models change by the day.
pub(crate) const VERSIONS_KEPT: usize = 64;

/// Versions of models in an answer: as many as ten thousand lines are.
pub(crate) const VERSIONS_MAX: usize = 10_000;

/// Records that register or deploy versions in an answer, the latest: a model that is deployed every day has three years of them.
pub(crate) const VERSION_RECORDS_MAX: usize = 1_000;

/// Jobs of a trail at work at once: each reads the whole trail with every processor.
pub(crate) const JOBS_AT_ONCE: usize = 2;

/// Jobs of a trail that are kept after their end, with their reports.
pub(crate) const JOBS_KEPT_MAX: usize = 16;

/// How long a job is kept after its end: who began it asks within minutes.
pub(crate) const JOB_KEPT: Duration = Duration::from_secs(3_600);

/// Models whose versions are kept: a server has some hundred.
pub(crate) const VERSIONS_MODELS: usize = 1_024;

/// Decisions about models and fields that are kept for one key: a trail with 1,000 models of 200 fields.
pub(crate) const DECIDED_MAX: usize = 200_000;

/// Keys and purposes for which what they see is kept at hand.
pub(crate) const HOLDERS_MAX: usize = 256;

/// Denials of one key in [`DENIALS_PERIOD`] that have a record each; of the others their number is recorded. Somebody who tries everything would fill
/// the trail otherwise.
pub(crate) const DENIALS_MAX: u32 = 20;

/// How long denials of a key are counted together.
pub(crate) const DENIALS_PERIOD: Duration = Duration::from_secs(60);

/// Bytes of a question in the record of a read: most are far shorter.
pub(crate) const ASKED_BYTES_MAX: usize = 4 << 10;

/// Names of models in the record of a read.
pub(crate) const MODELS_TOLD: usize = 100;

/// How long signing in may take, at the provider's pages: passwords are searched for, and codes awaited.
pub(crate) const SIGNING_IN_WAIT: Duration = Duration::from_secs(600);

/// Bytes of the path to which somebody goes on who has signed in: a search of the console with its filters.
pub(crate) const TO_BYTES_MAX: usize = 2 << 10;

/// How long a session lasts that nobody uses: a coffee.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(30 * 60);

/// How long a session lasts at most: a working day. Groups that a provider takes from somebody are taken here then.
pub(crate) const SESSION_LASTS: Duration = Duration::from_secs(10 * 3_600);

/// Sessions of one trail, some 200 bytes each.
pub(crate) const SESSIONS_MAX: usize = 10_000;

/// Sessions of one person: some browsers on some machines.
pub(crate) const SESSIONS_OF_ONE: usize = 16;

/// Bytes of the name of a person: the longest address of e-mail is shorter (RFC 5321, section 4.5.3.1).
pub(crate) const PERSON_BYTES_MAX: usize = 320;

/// Groups of a person: providers stop at some hundred.
pub(crate) const GROUPS_MAX: usize = 1_000;

/// How long what a provider says of itself is used: it tells of new keys before it signs with them, some minutes at least.
pub(crate) const PROVIDER_KNOWN: Duration = Duration::from_secs(60);

/// How long a provider has for an answer.
pub(crate) const PROVIDER_WAIT: Duration = Duration::from_secs(10);

/// Bytes of an answer of a provider: its keys, or a token with some hundred groups.
pub(crate) const PROVIDER_BYTES_MAX: usize = 1 << 20;

/// Bytes of a file with a client's secret.
pub(crate) const SECRET_FILE_BYTES_MAX: u64 = 4 << 10;

/// How long a request waits for a second one to approve it: over a night.
pub(crate) const APPROVAL_LASTS: Duration = Duration::from_secs(24 * 3_600);

/// Requests that wait for approval, each with its body.
pub(crate) const APPROVALS_MAX: usize = 100;

/// Bytes of the body of a request that can be approved: who approves has to read it.
pub(crate) const APPROVAL_BYTES_MAX: usize = 64 << 10;
/// Askers whose use is counted apart; further ones are counted together until some have settled what they owe. More than there may be keys.
pub(crate) const RATES_ASKERS: usize = 4_096;

/// Limits of requests that are in force side by side: as many as the settings may have, and those before.
pub(crate) const RATES_QUOTAS: usize = 256;

/// Records of so long may come at once: a batch job hands over in bursts.
pub(crate) const RECORDS_PERIOD: Duration = Duration::from_secs(10);

/// How long a file of halves keeps those that are recorded, while others wait: erasing a person destroys the keys of records, not this one.
pub(crate) const HALVES_KEY_AGE: Duration = Duration::from_secs(600);
