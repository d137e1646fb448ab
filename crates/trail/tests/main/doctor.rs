//! `doctor`: a healthy trail is told healthy, and every row of the catalog that is edited, removed or added is named by table and row.

use crate::fixture::{Fixture, Given, class, record};
use minutebook_record::Kind;
use minutebook_trail::{Whom, doctor};
use minutebook_verify::{Finding, Severity};
use std::path::Path;
use std::process::{Command, Stdio};

/// A trail with something in every table of its catalog, and where it lies.
async fn trail() -> Fixture {
    let fixture = Fixture::new().await;
    let mut engine = fixture.engine().await;
    let web = fixture.producer("web");
    let letter = |text: &str| Some(text.repeat(40).into_bytes());
    let ann = record(&web, &Given { subjects: vec!["ann"], blob: letter("a"), ..Given::default() });
    record(&web, &Given { subjects: vec!["bob"], blob: letter("b"), ..Given::default() });
    record(&web, &Given { subjects: vec!["ann", "cyd"], ..Given::default() });
    record(&web, &Given { subjects: vec!["dan"], blob: letter("d"), ..Given::default() });
    record(&web, &Given { class: "long", blob: letter("nobody"), ..Given::default() });
    engine.seal().await.unwrap();
    drop(fixture.producer("batch"));
    drop(web.begin(&class("standard")).unwrap());
    record(&web, &Given { kind: Kind::Outcome, links: vec![ann], ..Given::default() });
    engine.seal().await.unwrap();
    engine.erase(Whom::Subject("dan"), "asked for it", "officer-7").await.unwrap();
    record(&web, &Given::default());
    engine.seal().await.unwrap();
    // Its epoch stays open: it lives as long as the process.
    std::mem::forget(web);
    engine.close().await;
    fixture
}

fn problems(findings: &[Finding]) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.severity == Severity::Problem).collect()
}

/// Runs SQL with an implementation that knows nothing of ours.
fn sql(catalog: &Path, statements: &str) -> String {
    const SCRIPT: &str = "import sqlite3, sys\n\
        db = sqlite3.connect(sys.argv[1])\n\
        cursor = db.execute(sys.argv[2]) if sys.argv[2].startswith('SELECT') else db.executescript(sys.argv[2])\n\
        print('\\n'.join('|'.join('null' if v is None else v.hex() if isinstance(v, bytes) else str(v) for v in row) for row in cursor))\n\
        db.commit(); db.close()";
    let out = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(catalog)
        .arg(statements)
        .stderr(Stdio::inherit())
        .output()
        .expect("python3");
    assert!(out.status.success(), "{statements}");
    String::from_utf8(out.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_trail_has_no_problem() {
    let fixture = trail().await;
    for deep in [false, true] {
        let findings = doctor(&fixture.place, deep).await.unwrap();
        assert_eq!(problems(&findings), Vec::<&Finding>::new());
        assert!(
            findings
                .iter()
                .any(|finding| finding.object.starts_with("spool/web/") && finding.what.contains("lives"))
        );
    }
    // Beside an engine, in the middle of its work, and with something that waits.
    let mut engine = fixture.engine().await;
    let producer = fixture.producer("other");
    for _ in 0..3 {
        record(&producer, &Given { subjects: vec!["eve"], ..Given::default() });
        let findings = doctor(&fixture.place, true).await.unwrap();
        assert_eq!(problems(&findings), Vec::<&Finding>::new());
        let holder = findings.iter().find(|finding| finding.object == "lock").unwrap();
        assert!(holder.what.contains(&format!("process {}", std::process::id())), "{holder:?}");
        engine.seal().await.unwrap();
    }
    engine.rotate_key_encryption().await.unwrap();
    engine.close().await;
    let findings = doctor(&fixture.place, true).await.unwrap();
    assert_eq!(problems(&findings), Vec::<&Finding>::new());
    fixture.check().await;
}

/// One change to the catalog, and the table and row that have to be named.
struct Edit {
    table: &'static str,
    /// Selects the row; the first column that it gives names it.
    row: &'static str,
    /// What is done; `ROW` stands for the row's name. `FIRST` and `SECOND` are numbers of subjects, `OWNER` that of one with a blob.
    change: &'static str,
}

const fn edit(table: &'static str, row: &'static str, change: &'static str) -> Edit {
    Edit { table, row, change }
}

const SEGMENT: &str = "SELECT hex(id) FROM segment WHERE class = 'standard' AND records > 1";
const SUBJECT: &str = "SELECT hex(lookup) FROM subject WHERE number = FIRST";
const COVERAGE: &str =
    "SELECT hex(producer) || '/' || epoch || '/' || class FROM coverage WHERE class = 'standard'";
const EPOCH: &str = "SELECT hex(producer) || '/' || epoch FROM epoch";
const CLASS_EPOCH: &str = "SELECT hex(id) FROM class_epoch WHERE class = 'long'";
const BUCKET: &str = "SELECT (instr('0123456789ABCDEF', substr(hex(lookup), 1, 1)) - 1) * 256 \
    + (instr('0123456789ABCDEF', substr(hex(lookup), 2, 1)) - 1) * 16 + instr('0123456789ABCDEF', substr(hex(lookup), 3, 1)) - 1 \
    FROM subject WHERE number = SECOND";
const BLOB: &str = "SELECT subject || '/' || hex(id) FROM blob WHERE subject = OWNER";
const TIMELINE: &str = "SELECT kind || '/' || span || '/' || time_first || '/' || time_last || '/' || log_index FROM timeline WHERE kind = 1";
const SPAN: &str = "SELECT axis || '/' || span FROM span WHERE axis = 1";

const EDITS: [Edit; 63] = [
    edit("segment", SEGMENT, "DELETE FROM segment WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET log_index = log_index + 1000 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET class = 'long' WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET class_epoch = zeroblob(16) WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET records = records + 1 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET kinds = kinds | 64 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET id_first = zeroblob(16) WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET id_last = zeroblob(16) WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET id_span = id_span + 1 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET id_span = NULL WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET time_first = time_first - 5000000000 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET time_last = time_last + 5000000000 WHERE id = x'ROW'"),
    edit("segment", SEGMENT, "UPDATE segment SET records = 'many' WHERE id = x'ROW'"),
    edit(
        "segment",
        "SELECT hex(id) FROM segment WHERE class = 'long'",
        "UPDATE segment SET time_last = time_last + 1 WHERE id = x'ROW'",
    ),
    edit(
        "segment",
        "SELECT '00000000000000000000000000000007'",
        "INSERT INTO segment SELECT x'ROW', 999, class, class_epoch, records, kinds, id_first, id_last, id_span, time_first, \
         time_last FROM segment LIMIT 1",
    ),
    edit("timeline", TIMELINE, "DELETE FROM timeline WHERE kind = 1"),
    edit("timeline", TIMELINE, "UPDATE timeline SET span = span + 1 WHERE kind = 1"),
    edit("timeline", TIMELINE, "UPDATE timeline SET time_last = time_last + 1 WHERE kind = 1"),
    edit("timeline", TIMELINE, "UPDATE timeline SET kind = 9 WHERE kind = 1"),
    edit(
        "timeline",
        "SELECT '1/2/3/4/5'",
        "INSERT INTO timeline (kind, span, time_first, time_last, log_index) VALUES (1, 2, 3, 4, 5)",
    ),
    edit("span", SPAN, "DELETE FROM span WHERE axis = 1"),
    edit("span", SPAN, "UPDATE span SET span = span + 1 WHERE axis = 1"),
    edit("span", "SELECT '7/7'", "INSERT INTO span (axis, span) VALUES (7, 7)"),
    edit("class_epoch", CLASS_EPOCH, "DELETE FROM class_epoch WHERE id = x'ROW'"),
    edit("class_epoch", CLASS_EPOCH, "UPDATE class_epoch SET class = 'short' WHERE id = x'ROW'"),
    edit("class_epoch", CLASS_EPOCH, "UPDATE class_epoch SET month = '2020-01' WHERE id = x'ROW'"),
    edit("class_epoch", CLASS_EPOCH, "UPDATE class_epoch SET month = '2999-01' WHERE id = x'ROW'"),
    edit("class_epoch", CLASS_EPOCH, "UPDATE class_epoch SET wrapped = zeroblob(60) WHERE id = x'ROW'"),
    edit(
        "class_epoch",
        CLASS_EPOCH,
        "UPDATE class_epoch SET wrapped = (SELECT wrapped FROM class_epoch WHERE class = 'standard') WHERE id = x'ROW'",
    ),
    edit(
        "class_epoch",
        "SELECT '00000000000000000000000000000007'",
        "INSERT INTO class_epoch VALUES (x'ROW', 'short', '2026-01', zeroblob(60))",
    ),
    edit("bucket", BUCKET, "DELETE FROM bucket WHERE bucket = ROW"),
    edit("bucket", BUCKET, "UPDATE bucket SET generation = generation + 1 WHERE bucket = ROW"),
    edit(
        "bucket",
        "SELECT value FROM (WITH RECURSIVE n(value) AS (SELECT 0 UNION ALL SELECT value + 1 FROM n LIMIT 20) SELECT value FROM n) \
         WHERE value NOT IN (SELECT bucket FROM bucket)",
        "INSERT INTO bucket VALUES (ROW, 1)",
    ),
    edit("subject", "SELECT 'with number ' || FIRST", "DELETE FROM subject WHERE number = FIRST"),
    edit("subject", SUBJECT, "UPDATE subject SET number = 100 WHERE number = FIRST"),
    edit("subject", SUBJECT, "UPDATE subject SET wrapped = zeroblob(60) WHERE number = FIRST"),
    edit(
        "subject",
        SUBJECT,
        "UPDATE subject SET wrapped = (SELECT wrapped FROM subject WHERE number = SECOND) WHERE number = FIRST",
    ),
    edit(
        "subject",
        SUBJECT,
        "CREATE TEMP TABLE n AS SELECT FIRST AS a, SECOND AS b; UPDATE subject SET number = -1 WHERE number = (SELECT a FROM n); \
         UPDATE subject SET number = (SELECT a FROM n) WHERE number = (SELECT b FROM n); \
         UPDATE subject SET number = (SELECT b FROM n) WHERE number = -1",
    ),
    edit(
        "subject",
        "SELECT '07' || hex(zeroblob(31))",
        "INSERT INTO subject (number, lookup, wrapped) VALUES (99, x'ROW', zeroblob(60))",
    ),
    edit(
        "subject",
        SUBJECT,
        "INSERT INTO subject (number, lookup, wrapped) SELECT 99, lookup, wrapped FROM subject WHERE number = FIRST",
    ),
    edit("coverage", COVERAGE, "DELETE FROM coverage WHERE class = 'standard'"),
    edit("coverage", COVERAGE, "UPDATE coverage SET ranges = x'010100' WHERE class = 'standard'"),
    edit("coverage", COVERAGE, "UPDATE coverage SET ranges = x'ff' WHERE class = 'standard'"),
    edit(
        "coverage",
        "SELECT '00000000000000000000000000000000/1/standard'",
        "INSERT INTO coverage VALUES (zeroblob(16), 1, 'standard', x'010100')",
    ),
    edit("epoch", EPOCH, "DELETE FROM epoch"),
    edit("epoch", EPOCH, "UPDATE epoch SET ended = 0"),
    edit(
        "epoch",
        "SELECT '00000000000000000000000000000000/1'",
        "INSERT INTO epoch VALUES (zeroblob(16), 1, 1)",
    ),
    edit("blob", BLOB, "DELETE FROM blob WHERE subject = OWNER"),
    edit(
        "blob",
        "SELECT '77/' || hex(id) FROM blob WHERE subject = OWNER",
        "UPDATE blob SET subject = 77 WHERE subject = OWNER",
    ),
    edit(
        "blob",
        "SELECT OWNER || '/00000000000000000000000000000000'",
        "INSERT INTO blob VALUES (OWNER, zeroblob(16))",
    ),
    edit("intent", SEGMENT, "INSERT INTO intent VALUES (x'ROW', x'')"),
    edit(
        "intent",
        "SELECT '00000000000000000000000000000007'",
        "INSERT INTO intent SELECT x'ROW', id FROM blob WHERE subject = OWNER",
    ),
    edit(
        "pending_entry",
        "SELECT MAX(log_index) FROM pending_entry",
        "UPDATE pending_entry SET entry = x'00' WHERE log_index = ROW",
    ),
    edit("pending_entry", "SELECT 999", "INSERT INTO pending_entry VALUES (ROW, x'00')"),
    edit(
        "act",
        "SELECT '00000000000000000000000000000007'",
        "INSERT INTO act VALUES (x'ROW', 'erasure', CAST('subject = ' || FIRST || char(10) || 'bucket = 1' || char(10) || \
         'blobs = []' || char(10) || 'ground = \"\"' || char(10) || 'by = \"\"' AS BLOB))",
    ),
    edit(
        "act",
        "SELECT '00000000000000000000000000000007'",
        "INSERT INTO act VALUES (x'ROW', 'rotation', x'00')",
    ),
    edit("meta", "SELECT 'log_size'", "UPDATE meta SET value = x'0000000000000002' WHERE name = 'log_size'"),
    edit("meta", "SELECT 'own_producer'", "UPDATE meta SET value = zeroblob(16) WHERE name = 'own_producer'"),
    edit("meta", "SELECT 'lookup_key'", "UPDATE meta SET value = zeroblob(60) WHERE name = 'lookup_key'"),
    edit("meta", "SELECT 'erasures'", "DELETE FROM meta WHERE name = 'erasures'"),
    edit("meta", "SELECT 'last_subject'", "UPDATE meta SET value = zeroblob(8) WHERE name = 'last_subject'"),
    edit("meta", "SELECT 'trail_digest'", "UPDATE meta SET value = zeroblob(32) WHERE name = 'trail_digest'"),
    edit("meta", "SELECT 'greeting'", "INSERT INTO meta VALUES ('greeting', x'00')"),
];

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_were_edited_removed_or_added_are_named() {
    let fixture = trail().await;
    let catalog = fixture.path("catalog.db");
    sql(&catalog, "PRAGMA wal_checkpoint(TRUNCATE)");
    let sound = std::fs::read(&catalog).unwrap();
    for Edit { table, row, change } in EDITS {
        let numbers = |text: &str| {
            text.replace("FIRST", "(SELECT MIN(number) FROM subject)")
                .replace("SECOND", "(SELECT MAX(number) FROM subject)")
                .replace("OWNER", "(SELECT MAX(subject) FROM blob)")
        };
        let name = sql(&catalog, &numbers(row)).lines().next().unwrap_or_default().to_owned();
        assert!(!name.is_empty(), "{table}: no such row: {row}");
        sql(&catalog, &numbers(change).replace("ROW", &name));
        let findings = doctor(&fixture.place, true).await.unwrap();
        let object = format!(
            "catalog.db, table {table}, row {}",
            if table == "meta" { name.clone() } else { name.to_lowercase() }
        );
        let named = problems(&findings)
            .into_iter()
            .find(|finding| finding.object.to_lowercase() == object.to_lowercase());
        let named =
            named.unwrap_or_else(|| panic!("{change}: {object} is not named: {:#?}", problems(&findings)));
        assert!(named.means.len() > 20 && !named.what.is_empty(), "{named:?}");
        for suffix in ["-wal", "-shm"] {
            let _ = std::fs::remove_file(fixture.path(&format!("catalog.db{suffix}")));
        }
        std::fs::write(&catalog, &sound).unwrap();
    }
    let findings = doctor(&fixture.place, true).await.unwrap();
    assert_eq!(problems(&findings), Vec::<&Finding>::new());
}

/// The problems and warnings of a plain look, by object.
async fn told(fixture: &Fixture) -> Vec<(String, String)> {
    let findings = doctor(&fixture.place, false).await.unwrap();
    let worse = findings.into_iter().filter(|finding| finding.severity > Severity::Note);
    worse.map(|finding| (finding.object, finding.what)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_around_the_trail_is_told() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = trail().await;
    let keys = fixture.place.keys.clone().unwrap();
    let web = fixture.path("spool/web");
    let mode =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let name = |path: &Path| path.display().to_string();
    let is_told = async |object: &str, what: &str| {
        let told = told(&fixture).await;
        assert!(
            told.iter().any(|(of, found)| of == object && found.contains(what)),
            "{object}: {what}: {told:?}"
        );
        assert_eq!(told.len(), 1, "{told:?}");
    };
    assert_eq!(told(&fixture).await, []);

    mode(&keys, 0o755);
    is_told(&name(&keys), "read by others").await;
    mode(&keys, 0o700);
    mode(&keys.join("buckets"), 0o640);
    is_told(&name(&keys), "buckets` can be read by others").await;
    mode(&keys.join("buckets"), 0o600);
    mode(&fixture.place.folder, 0o755);
    is_told("", "read by others").await;
    mode(&fixture.place.folder, 0o700);

    std::fs::write(fixture.path("notes.txt"), b"x").unwrap();
    is_told("notes.txt", "does not belong").await;
    std::fs::remove_file(fixture.path("notes.txt")).unwrap();
    std::fs::rename(fixture.path("blobs"), fixture.path("tmp/blobs")).unwrap();
    is_told("blobs", "missing").await;
    std::fs::rename(fixture.path("tmp/blobs"), fixture.path("blobs")).unwrap();
    std::fs::write(web.join("notes.txt"), b"x").unwrap();
    is_told("spool/web/notes.txt", "no part of a spool").await;
    std::fs::remove_file(web.join("notes.txt")).unwrap();
    std::fs::write(web.join("0000000009-000001.spool"), b"x").unwrap();
    is_told("spool/web/0000000009-000001.spool", "epoch file is missing").await;
    std::fs::remove_file(web.join("0000000009-000001.spool")).unwrap();
    std::fs::write(web.join("0000000009.epoch"), b"x").unwrap();
    let told = told(&fixture).await;
    assert!(told.len() == 1 && told[0].0 == "spool/web/0000000009.epoch", "{told:?}");
    std::fs::remove_file(web.join("0000000009.epoch")).unwrap();

    std::fs::rename(&keys, keys.with_extension("away")).unwrap();
    is_told(&name(&keys), "no keys in").await;
    std::fs::rename(keys.with_extension("away"), &keys).unwrap();
    std::fs::rename(fixture.path("catalog.db"), fixture.path("tmp/catalog.db")).unwrap();
    is_told("catalog.db", "missing").await;
    std::fs::rename(fixture.path("tmp/catalog.db"), fixture.path("catalog.db")).unwrap();
    fixture.check().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_told() {
    let fixture = trail().await;
    let catalog = fixture.path("catalog.db");
    sql(&catalog, "PRAGMA wal_checkpoint(TRUNCATE)");
    let sound = std::fs::read(&catalog).unwrap();
    // The page that the table of coverage begins with.
    let page: usize =
        sql(&catalog, "SELECT rootpage FROM sqlite_master WHERE name = 'coverage'").trim().parse().unwrap();
    let mut damaged = sound.clone();
    damaged[(page - 1) * 4096..page * 4096].fill(0x5a);
    std::fs::write(&catalog, &damaged).unwrap();
    let findings = doctor(&fixture.place, true).await.unwrap();
    let objects: Vec<&str> = problems(&findings).iter().map(|finding| finding.object.as_str()).collect();
    assert!(
        objects.contains(&"catalog.db") && objects.contains(&"catalog.db, table coverage"),
        "{findings:#?}"
    );
    std::fs::write(&catalog, &sound).unwrap();
    sql(&catalog, "CREATE TRIGGER nosy AFTER INSERT ON subject BEGIN DELETE FROM act; END");
    let findings = doctor(&fixture.place, true).await.unwrap();
    assert!(
        problems(&findings).iter().any(|finding| finding.object == "catalog.db, table nosy"),
        "{findings:#?}"
    );
}
