//! Lets requests of known keys through, or denies them, and has both recorded. Edge: which key it is, the guard has found; what records say and when
//! they are written is the ledger's.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use minutebook_access::limits::PURPOSE_BYTES_MAX;
use minutebook_access::{Action, Allowance, Asker as Who, Proof, Rights, Verdict};
use minutebook_capture::Clock;
use minutebook_index::View;
use minutebook_trail::{AccessFile, FileStamp};
use tokio::time::Instant;

use super::asker::{Asker, Holder};
use super::book::{Book, Entry};
use super::ledger::{Ledger, cut, joined, unrecorded};
use super::routes::{self, About};
use super::sight::KeySight;
use crate::limits::{HOLDERS_MAX, KEYS_LOOK_PERIOD};
use crate::problem::{Denied, Problem};

/// The header in which an asker says what a read is for.
pub(crate) const PURPOSE: &str = "minutebook-purpose";

/// Names of the models that there are.
pub(crate) type Models = Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Stands between the keys and the handlers.
pub(crate) struct Gate {
    file: AccessFile,
    models: Models,
    pub(super) ledger: Arc<Ledger>,
    clock: Arc<dyn Clock>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    looked: Option<Instant>,
    stamp: Option<FileStamp>,
    rights: Option<Arc<Rights>>,
    holders: HashMap<(Who, String), Arc<Holder>>,
}

/// A request that was let through.
pub(crate) struct Pass {
    holder: Arc<Holder>,
    action: Action,
    /// What its record says, as far as that is known before it is answered.
    entry: Entry,
    path: &'static str,
}

impl Pass {
    /// Whether what it brings may be as large as records are.
    pub(crate) fn records(&self) -> bool {
        self.action == Action::Record
    }

    /// Whether what it brings has no end, and is taken as it comes.
    pub(crate) fn streams(&self) -> bool {
        self.path == routes::STREAM
    }

    /// Whether it goes on for longer than a request does.
    pub(crate) fn goes_on(&self) -> bool {
        self.streams() || self.path == routes::TAIL
    }

    /// How much of the server its asker may use.
    pub(crate) fn allowance(&self) -> Allowance {
        let sight = &self.holder.sight;
        sight.rights.settings().allowance(&sight.who.label())
    }

    pub(crate) fn asker(&self) -> Asker {
        Asker::Key(Arc::clone(&self.holder))
    }

    /// Who it is.
    pub(crate) fn who(&self) -> &Who {
        &self.holder.sight.who
    }

    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// The request, without what stands in it.
    pub(crate) fn asked(&self) -> &str {
        &self.entry.asked
    }

    /// Whether a second one has to approve it.
    pub(crate) fn takes_two(&self) -> bool {
        self.holder.sight.rights.settings().takes_two(self.action)
    }
}

/// Records what is denied of a request while it goes on.
#[derive(Clone)]
pub(crate) struct Denying {
    ledger: Arc<Ledger>,
    entry: Entry,
}

impl Denying {
    /// Something was.
    pub(crate) async fn denied(&self, asked: &str) {
        let asked = joined(&self.entry.asked, asked);
        self.ledger.denied(Entry { asked, policies: Vec::new(), ..self.entry.clone() }).await;
    }
}

/// What somebody did about being signed in.
#[derive(Debug, Clone, Copy)]
pub(crate) enum SignedIn {
    In,
    Out,
}

impl Gate {
    pub(crate) fn new(file: AccessFile, models: Models, book: Arc<dyn Book>, clock: Arc<dyn Clock>) -> Self {
        Self { file, models, ledger: Arc::new(Ledger::new(book)), clock, seen: Mutex::default() }
    }

    /// Decides about a request of somebody. What no rule is about is denied, be there such a path or not.
    ///
    /// # Errors
    /// What is denied, after its record was written.
    pub(crate) async fn enter(
        &self,
        who: Who,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Pass, Problem> {
        let purpose = purpose(headers)?;
        let holder = self.holder(who, purpose)?;
        let Some(route) = routes::find(method, path) else {
            self.ledger.denied(Entry { asked: "another method or path".into(), ..entry_of(&holder) }).await;
            return Err(denied("nobody may do this over TCP: docs/api.md says what there is"));
        };
        let verdict = self.verdict(&holder.sight, route);
        let entry = Entry {
            action: route.action.name().to_owned(),
            asked: format!("{method} {}", route.path),
            policies: verdict.policies,
            ..entry_of(&holder)
        };
        if verdict.is_permitted {
            return Ok(Pass { holder, action: route.action, entry, path: route.path });
        }
        self.ledger.denied(entry).await;
        if holder.sight.purpose.is_empty() && self.needs_purpose(&holder, route) {
            let detail =
                format!("say what it is for, in the header `{PURPOSE}`: it is recorded with what is read");
            return Err(Problem::new(StatusCode::FORBIDDEN, "purpose-needed", "A purpose is needed", detail));
        }
        let who = &holder.sight.who;
        let roles = if who.roles.is_empty() { "none".to_owned() } else { who.roles.join("`, `") };
        let (name, action) = (&who.name, route.action.name());
        Err(denied(&match who.proof {
            Proof::Key => format!("the API key `{name}` (role `{roles}`) does not permit `{action}`"),
            Proof::SignIn => format!("`{name}` (role `{roles}`) may not `{action}`"),
        }))
    }

    /// The rights in force.
    ///
    /// # Errors
    /// They cannot be told: then nobody has any.
    pub(crate) fn rights_now(&self) -> Result<Arc<Rights>, Problem> {
        self.rights(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Records that somebody signed in or out, or tried to.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub(crate) async fn signed_in(
        &self,
        who: &Who,
        what: SignedIn,
        is_permitted: bool,
    ) -> Result<(), Problem> {
        let (action, asked) = match what {
            SignedIn::In => ("sign-in", "GET /v1/sign-in/back"),
            SignedIn::Out => ("sign-out", "DELETE /v1/session"),
        };
        self.note(who, action, asked, is_permitted).await
    }

    /// Records that somebody did something that has no record of its own.
    ///
    /// # Errors
    /// It cannot be recorded.
    pub(crate) async fn note(
        &self,
        who: &Who,
        action: &str,
        asked: &str,
        is_permitted: bool,
    ) -> Result<(), Problem> {
        let entry = Entry {
            who: who.label(),
            roles: who.roles.clone(),
            action: action.to_owned(),
            asked: cut(asked),
            is_permitted,
            ..Entry::default()
        };
        self.ledger.write(entry).await.map_err(|what| {
            tracing::error!("`{action}` cannot be recorded, so it is refused: {what}");
            unrecorded("it cannot be recorded that this was done, so it is not; the server's log says why")
        })
    }

    /// Records that a request waits for a second one to approve it.
    pub(crate) async fn waits(&self, pass: &Pass) {
        let policies = vec!["(a second one)".to_owned()];
        self.ledger.denied(Entry { policies, ..pass.entry.clone() }).await;
    }

    fn verdict(&self, sight: &KeySight, route: &'static routes::Route) -> Verdict {
        let is_final = route.about == About::Trail || !sight.rights.has_own_policies();
        sight.of_route((route.path, route.action), is_final, || self.decide(sight, route))
    }

    fn decide(&self, sight: &KeySight, route: &routes::Route) -> Verdict {
        let (rights, who, now) = (&sight.rights, &sight.who, sight.circumstances());
        if route.about == About::Trail {
            return rights.decide(who, route.action, None, now);
        }
        let alternatives = routes::alternatives(route.action);
        let mut verdict = rights.decide_somewhere(who, route.action, now);
        for action in alternatives {
            if verdict.is_permitted {
                break;
            }
            verdict = rights.decide_somewhere(who, *action, now);
        }
        // A policy may be about some models by their names.
        if !verdict.is_permitted && rights.has_own_policies() {
            let names = (self.models)();
            let names = names.iter().chain(&who.models);
            let actions = || std::iter::once(route.action).chain(alternatives.iter().copied());
            for (name, action) in names.flat_map(|name| actions().map(move |action| (name, action))) {
                let of_model = rights.decide(who, action, Some(name), now);
                if of_model.is_permitted {
                    return of_model;
                }
            }
        }
        verdict
    }

    /// Whether the same would be permitted if it were said what it is for.
    fn needs_purpose(&self, holder: &Holder, route: &'static routes::Route) -> bool {
        let sight = &holder.sight;
        let said = KeySight::new(Arc::clone(&sight.rights), sight.who.clone(), "-".into(), sight.minute);
        self.verdict(&said, route).is_permitted
    }

    /// Has the read that an answer is recorded, before it is given out, or what was denied in it.
    pub(crate) async fn account(&self, pass: Pass, mut answer: Response) -> Response {
        if let Some(Denied(asked)) = answer.extensions_mut().remove::<Denied>() {
            let asked = joined(&pass.entry.asked, &asked);
            self.ledger.denied(Entry { asked, policies: Vec::new(), ..pass.entry }).await;
            return answer;
        }
        if !routes::is_read(pass.action) {
            return answer;
        }
        self.ledger.read(pass.entry, answer).await.unwrap_or_else(|_| {
            let detail =
                "it cannot be recorded that this was read, so it is not given out; the server's log says why";
            unrecorded(detail).into_response()
        })
    }

    /// For a request that is answered before all of it is decided about.
    pub(crate) fn denying(&self, pass: &Pass) -> Denying {
        Denying { ledger: Arc::clone(&self.ledger), entry: pass.entry.clone() }
    }

    /// Notes a key that is not known: how many there were is recorded from time to time.
    pub(crate) fn unknown(&self) {
        self.ledger.unknown();
    }

    /// Records what was only counted, when its time has come; lets go of what is not used. Does not wait.
    pub(crate) fn rest(&self) {
        self.ledger.rest();
    }

    /// Records what was only counted, and takes no more. Blocks.
    pub(crate) fn end(&self) {
        self.ledger.end();
    }

    /// What somebody sees, kept from their last request with this purpose.
    fn holder(&self, who: Who, purpose: String) -> Result<Arc<Holder>, Problem> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let rights = self.rights(&mut seen)?;
        let minute = if rights.looks_at_time() { self.clock.wall_ns().div_euclid(60_000_000_000) } else { 0 };
        let named = (who, purpose);
        if let Some(holder) = seen.holders.get(&named)
            && holder.sight.minute == minute
        {
            return Ok(Arc::clone(holder));
        }
        let sight = Arc::new(KeySight::new(rights, named.0.clone(), named.1.clone(), minute));
        let view = View::new(Arc::clone(&sight) as Arc<dyn minutebook_index::Sight>);
        let holder = Arc::new(Holder { sight, view });
        if seen.holders.len() >= HOLDERS_MAX {
            seen.holders.clear();
        }
        seen.holders.insert(named, Arc::clone(&holder));
        Ok(holder)
    }

    /// The rights in force: read again when the file has changed. Those that cannot be read let nobody in.
    fn rights(&self, seen: &mut Seen) -> Result<Arc<Rights>, Problem> {
        let now = Instant::now();
        if let (Some(looked), Some(rights)) = (seen.looked, &seen.rights)
            && now.saturating_duration_since(looked) < KEYS_LOOK_PERIOD
        {
            return Ok(Arc::clone(rights));
        }
        let unusable = |what: String| {
            tracing::error!("nobody is let in over TCP, as it cannot be told who may do what: {what}");
            let detail = "the server cannot read who may do what; its log says why";
            let title = "The trail cannot be used as it is";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "trail-unusable", title, detail)
        };
        // Before it is read: what changes meanwhile is read the next time.
        let stamp = self.file.stamp().map_err(|error| unusable(error.to_string()))?;
        if let Some(rights) = &seen.rights
            && seen.stamp == Some(stamp)
        {
            seen.looked = Some(now);
            return Ok(Arc::clone(rights));
        }
        *seen = Seen::default();
        let text = self.file.load().map_err(|error| unusable(error.to_string()))?;
        let rights = Rights::parse(text.as_deref()).map_err(|error| unusable(error.to_string()))?;
        let rights = Arc::new(rights);
        (seen.looked, seen.stamp, seen.rights) = (Some(now), Some(stamp), Some(Arc::clone(&rights)));
        Ok(rights)
    }
}

/// What is said of somebody in each record.
fn entry_of(holder: &Holder) -> Entry {
    let KeySight { who, purpose, .. } = &*holder.sight;
    Entry { who: who.label(), roles: who.roles.clone(), purpose: purpose.clone(), ..Entry::default() }
}

fn denied(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "not-permitted", "It is not permitted", detail)
}

/// What a request says it is for; empty when it does not.
pub(super) fn purpose(headers: &HeaderMap) -> Result<String, Problem> {
    let mut said = headers.get_all(PURPOSE).iter();
    let Some(purpose) = said.next() else { return Ok(String::new()) };
    let purpose = std::str::from_utf8(purpose.as_bytes()).ok().map(str::trim);
    match purpose {
        Some(purpose) if said.next().is_none() && (1..=PURPOSE_BYTES_MAX).contains(&purpose.len()) => {
            Ok(purpose.to_owned())
        }
        _ => Err(Problem::request(format!(
            "`{PURPOSE}` is there once, in UTF-8, with from 1 to {PURPOSE_BYTES_MAX} bytes"
        ))),
    }
}
