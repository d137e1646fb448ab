//! The program under test: does the steps of a script and says each thing that it may be held to, once it is so. When something fails it
//! does as the documentation says (opens a new producer, opens the trail again) and goes on.

use crate::crash::script::{Script, Step};
use crate::crash::told::MARK;
use crate::crash::{ACTOR, FRAGILE, ROOT};
use crate::fixture::{Given, class, try_record};
use minutebook_capture::{
    Advice, Backing, CaptureError, IntakePublicKey, Level, Pending, Producer, ProducerOptions, Random,
    RandomError,
};
use minutebook_record::{Kind, RecordId};
use minutebook_trail::{
    BackupOptions, BackupPlace, Engine, Environment, Error, InitOptions, Place, RestoreOptions, Whom, backup,
    init, promote, restore,
};
use minutebook_verify::hex;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How often a step is tried: a fault hits once, or for good.
const TRIES: usize = 2;

/// How long a program may take before the system kills it, in seconds.
const SECONDS_MAX: u32 = 60;

/// Parts as small as may be, so that records fill several.
const PART_BYTES: u64 = minutebook_capture::limits::PART_BYTES_MIN;

/// The trail below a root.
pub fn place(root: &Path) -> Place {
    Place::new(root.join("trail")).with_keys(root.join("keys"))
}

/// Runs a script to its end, and ends the process as if it were killed: what is open stays open.
pub fn run(script: &str) -> ! {
    // SAFETY: touches no memory.
    unsafe { libc::alarm(SECONDS_MAX) };
    let script: Script = script.parse().unwrap();
    let mut program = Program {
        place: place(Path::new(&std::env::var_os(ROOT).unwrap())),
        actor: std::env::var(ACTOR).unwrap_or_default(),
        engine: None,
        producers: BTreeMap::new(),
        in_flight: Vec::new(),
        recorded: 0,
        last_decision: None,
    };
    say("\n");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for step in &script.0 {
            program.step(step).await;
        }
    });
    tell("end");
    std::process::exit(0);
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).unwrap();
}

fn tell(what: &str) {
    say(&format!("{MARK}{what}\n"));
}

/// The system's randomness without a generator of one's own in between: seeding that takes longer than the rest of a program's start.
struct Plain;

impl Random for Plain {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), RandomError> {
        std::fs::File::open("/dev/urandom").unwrap().read_exact(bytes).unwrap();
        Ok(())
    }
}

/// Keeps half, by one plain rate that is proved number by number; two of each second; or all of some and a part of others.
fn policy(name: &str) -> String {
    let rules = match name {
        "half" => "{ name = \"half\", rate = 0.5 }",
        "busy" => "{ name = \"busy\", per_second = 2 }",
        _ => {
            "{ name = \"large\", when = \"inputs.amount > 5\", keep = \"all\" }, \
             { name = \"by\", rate = { by = \"inputs.purpose\", values = { car = 1 }, others = 0.25 } }"
        }
    };
    format!("format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\nrule = [{rules}]\n")
}

fn environment() -> Environment {
    Environment { workers: 2, random: Arc::new(Plain), ..Environment::default() }
}

struct Program {
    place: Place,
    actor: String,
    engine: Option<Engine>,
    producers: BTreeMap<String, Arc<Producer>>,
    in_flight: Vec<Pending<Arc<Producer>>>,
    recorded: u64,
    last_decision: Option<RecordId>,
}

impl Program {
    async fn step(&mut self, step: &Step) {
        match step {
            Step::Open(name) => drop(self.open(name)),
            Step::Close(name) => self.close(name),
            Step::Leave(name) => std::mem::forget(self.producers.remove(name)),
            Step::Record(name, count) => (0..*count).for_each(|_| self.record(name)),
            Step::Begin(name, count) => (0..*count).for_each(|_| self.begin(name)),
            Step::Flush(name) => self.flush(name),
            Step::Init => self.init().await,
            Step::Seal => self.seal().await,
            Step::Erase(subject) => self.erase(&format!("{}{subject}", self.actor)).await,
            Step::Rotate => self.rotate().await,
            Step::Policy(name) => self.set_policy(name).await,
            Step::Resample => self.resample().await,
            Step::Dispose => self.dispose().await,
            Step::Backup => self.back_up().await,
            Step::Restore => self.restore().await,
            Step::Promote => self.promote().await,
            Step::Stop => {
                if let Some(engine) = self.engine.take() {
                    engine.close().await;
                }
            }
            Step::Wait => {
                let _ = std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
            }
        }
    }

    fn failed(&self, what: &str, error: &dyn std::fmt::Display) {
        tell(&format!("failed {what}: {}", error.to_string().replace('\n', " ")));
        if std::env::var_os(FRAGILE).is_some() {
            std::process::exit(0);
        }
    }

    fn open(&mut self, name: &str) -> Option<Arc<Producer>> {
        if let Some(producer) = self.producers.get(name) {
            return Some(Arc::clone(producer));
        }
        for _ in 0..TRIES {
            let file = self.place.trail_file().unwrap();
            let intake = IntakePublicKey::from_bytes(file.intake_key);
            let folder = format!("{}{name}", self.actor);
            // One that writes instead of mapping, so that frames themselves are operations that fail.
            let backing = if name.starts_with("written") { Backing::Written } else { Backing::Auto };
            let options = ProducerOptions {
                part_bytes: PART_BYTES,
                backing,
                heartbeat: Duration::from_secs(3600),
                random: Arc::new(Plain),
                ..ProducerOptions::new(self.place.spool(), file.id, intake, &folder)
            };
            let opened = Producer::open(options)
                .and_then(|producer| producer.status().map(|status| (producer, status)));
            match opened {
                Ok((producer, status)) => {
                    let producer = Arc::new(producer);
                    tell(&format!("opened {name} {} {}", hex(&status.producer.0), status.epoch.get()));
                    self.producers.insert(name.to_owned(), Arc::clone(&producer));
                    return Some(producer);
                }
                Err(error) => self.failed("open", &error),
            }
        }
        None
    }

    fn close(&mut self, name: &str) {
        if let Some(producer) = self.producers.remove(name) {
            match producer.close() {
                Ok(()) => tell(&format!("flushed {name}")),
                Err(error) => self.failed("close", &error),
            }
        }
    }

    /// As the error advises.
    fn after(&mut self, name: &str, what: &str, error: &CaptureError) {
        self.failed(what, error);
        if matches!(error.advice(), Advice::Reopen | Advice::Inspect) {
            self.producers.remove(name);
        }
    }

    fn record(&mut self, name: &str) {
        let Some(producer) = self.open(name) else { return };
        self.recorded += 1;
        let n = self.recorded;
        let subject = (!n.is_multiple_of(3))
            .then(|| format!("{}{}", self.actor, ["ann", "ben", "cat", "dan"][n as usize / 3 % 4]));
        let class = if n.is_multiple_of(4) { "long" } else { "standard" };
        let link = self.last_decision.filter(|_| n.is_multiple_of(5));
        let given = Given {
            kind: if link.is_some() { Kind::Outcome } else { Kind::Decision },
            class,
            subjects: if link.is_some() { Vec::new() } else { subject.iter().map(String::as_str).collect() },
            links: link.into_iter().collect(),
            text: format!("{n:0200}"),
            number: n as f64,
            blob: n.is_multiple_of(6).then(|| vec![n as u8; 9_000]),
            ..Given::default()
        };
        match try_record(&producer, &given) {
            Ok(id) => {
                // What is about a decision is about its subject, whom the test does not follow there.
                let subject = subject.filter(|_| link.is_none()).unwrap_or("-".into());
                let kind = if link.is_some() { "outcome" } else { "decision" };
                tell(&format!("handed {name} {class} {n} {id} {subject} {kind}"));
                if link.is_none() {
                    self.last_decision = Some(id);
                }
            }
            Err(error) => self.after(name, "record", &error),
        }
    }

    fn begin(&mut self, name: &str) {
        let Some(producer) = self.open(name) else { return };
        match Producer::begin_with(producer, &class("standard")) {
            Ok(pending) => {
                tell(&format!("begun {name} standard {} {}", pending.seq(), pending.id()));
                self.in_flight.push(pending);
            }
            Err(error) => self.after(name, "begin", &error),
        }
    }

    fn flush(&mut self, name: &str) {
        let Some(producer) = self.open(name) else { return };
        match producer.flush(Level::Disk) {
            Ok(()) => tell(&format!("flushed {name}")),
            Err(error) => self.after(name, "flush", &error),
        }
    }

    async fn init(&self) {
        let options = InitOptions { name: Some("trail.test/crash".into()) };
        for _ in 0..TRIES {
            match init(&self.place, &options, &environment()).await {
                Ok(_) => return tell("made"),
                // A first try that was reported failed.
                Err(Error::TrailExists { .. }) => return tell("made"),
                Err(error) => self.failed("init", &error),
            }
        }
    }

    /// The engine, opened when there is none.
    async fn engine(&mut self) -> Option<&mut Engine> {
        if self.engine.is_none() {
            match Engine::open(&self.place, environment()).await {
                Ok(engine) => self.engine = Some(engine),
                Err(error) => self.failed("engine", &error),
            }
        }
        self.engine.as_mut()
    }

    fn tell_published(&self) {
        if let Some(engine) = &self.engine {
            let (size, root) = engine.published();
            tell(&format!("checkpoint {size} {}", hex(&root)));
        }
    }

    /// After a failure the trail is opened again, in this process.
    async fn engine_failed(&mut self, what: &str, error: Error) {
        self.failed(what, &error);
        if let Some(engine) = self.engine.take()
            && self.recorded.is_multiple_of(2)
        {
            engine.close().await;
        }
    }

    async fn seal(&mut self) {
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            tell("sealing");
            match engine.seal().await {
                Ok(_) => {
                    tell("sealed");
                    return self.tell_published();
                }
                Err(error) => self.engine_failed("seal", error).await,
            }
        }
    }

    async fn erase(&mut self, subject: &str) {
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            tell(&format!("erasing {subject}"));
            match engine.erase(Whom::Subject(subject), "request", "the test").await {
                // Nobody of that name: the try before was completed, or there never was one.
                Ok(_) | Err(Error::NoSubject) => {
                    tell("erased");
                    return self.tell_published();
                }
                Err(error) => self.engine_failed("erase", error).await,
            }
        }
    }

    async fn dispose(&mut self) {
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            match engine.dispose("the test").await {
                // Nothing is due any more when the try before was completed.
                Ok(_) => {
                    tell("disposed");
                    return self.tell_published();
                }
                Err(error) => self.engine_failed("dispose", error).await,
            }
        }
    }

    async fn set_policy(&mut self, name: &str) {
        let policy = policy(name);
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            match engine.set_policy(&policy).await {
                Ok(_) => return self.tell_published(),
                Err(error) => self.engine_failed("policy", error).await,
            }
        }
    }

    async fn resample(&mut self) {
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            match engine.rotate_sampling().await {
                // No policy was set: what was to set one failed.
                Ok(_) | Err(Error::Request(_)) => return self.tell_published(),
                Err(error) => self.engine_failed("resample", error).await,
            }
        }
    }

    async fn back_up(&mut self) {
        let to = self.place.folder.with_file_name("backup");
        let (place, name) = (self.place.clone(), to.to_str().unwrap().to_owned());
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            let snapshot = match engine.snapshot(&name).await {
                Ok(snapshot) => snapshot,
                Err(error) => {
                    self.engine_failed("snapshot", error).await;
                    continue;
                }
            };
            let done = async {
                let to = BackupPlace::open(&name)?;
                backup(&place, &snapshot, &to, BackupOptions::default(), &|_, _| {}).await
            };
            let done = done.await;
            snapshot.remove(&place);
            match done {
                Ok(_) => return tell("backed-up"),
                Err(error) => self.failed("backup", &error),
            }
        }
    }

    async fn restore(&mut self) {
        let from = self.place.folder.with_file_name("backup");
        let target = place(&self.place.folder.with_file_name("copy"));
        for _ in 0..TRIES {
            let done = async {
                let from = BackupPlace::existing(from.to_str().unwrap())?;
                restore(&from, &target, RestoreOptions::default(), &|_, _| {}).await
            };
            match done.await {
                Ok(_) => return tell("restored"),
                Err(error) => self.failed("restore", &error),
            }
        }
    }

    async fn promote(&mut self) {
        let target = place(&self.place.folder.with_file_name("copy"));
        for _ in 0..TRIES {
            match promote(&target, environment(), &[], true).await {
                Ok(_) => return tell("promoted"),
                Err(error) => self.failed("promote", &error),
            }
        }
    }

    async fn rotate(&mut self) {
        for _ in 0..TRIES {
            let Some(engine) = self.engine().await else { continue };
            match engine.rotate_key_encryption().await {
                Ok(_) => return self.tell_published(),
                Err(error) => self.engine_failed("rotate", error).await,
            }
        }
    }
}
