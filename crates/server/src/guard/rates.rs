//! How much of the server each asker uses: requests, records, and the work of queries; and what is too much (`docs/formats/access.md`, "Limits
//! of use"). Edge: counts by a name, whoever it is of; what may be used, and what a request is, others say. What a request costs is known when
//! it is over, so it is paid afterwards: who owes too much waits.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use governor::clock::Clock;
use governor::state::keyed::HashMapStateStore;
use governor::{NotUntil, Quota, RateLimiter};
use hyper::body::{Frame, SizeHint};
use minutebook_access::Allowance;
use minutebook_index::{Meter, metered};
use tokio::time::Instant;

use super::{Refusal, refuse};
use crate::limits::{RATES_ASKERS, RATES_QUOTAS, RECORDS_PERIOD};

/// How many records an answer says that its request recorded; an extension of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Recorded(pub(crate) u64);

/// What a request may cost besides being one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cost {
    None,
    Records,
    /// Its queries tell how long they work.
    Index,
    /// The request itself works as long as it takes.
    Work,
}

/// What a request to this path costs.
pub(super) fn cost(method: &Method, path: &str) -> Cost {
    match path {
        "/v1/records" if method != Method::POST => Cost::Work,
        "/v1/search" | "/v1/facets" | "/v1/sql" | "/v1/tail" => Cost::Index,
        "/v1/stats" | "/v1/person" | "/v1/verify" => Cost::Work,
        "/v1/records" | "/v1/records/stream" => Cost::Records,
        path if path.starts_with("/v1/intake/") || path.starts_with("/v1/otlp/") => Cost::Records,
        path if path.starts_with("/opentelemetry.") => Cost::Records,
        path if method == Method::PUT && is_part(path) => Cost::Records,
        path if path.starts_with("/v1/records/") && path.ends_with("/verify") => Cost::Work,
        _ => Cost::None,
    }
}

/// Whether it is `/v1/spool/{producer}/{epoch}/{part}`, which frames are put to.
fn is_part(path: &str) -> bool {
    path.strip_prefix("/v1/spool/").is_some_and(|rest| rest.split('/').count() == 3)
}

/// Something that is owed, and becomes less with time.
#[derive(Debug)]
struct Debt {
    owed: f64,
    at: Instant,
}

impl Debt {
    fn new(at: Instant) -> Self {
        Self { owed: 0.0, at }
    }

    fn settle(&mut self, per_second: f64, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.owed = (self.owed - passed * per_second).max(0.0);
        self.at = self.at.max(now);
    }

    /// How long until less than `most` is owed; nothing when it is.
    fn wait(&mut self, per_second: f64, most: f64, now: Instant) -> Option<Duration> {
        self.settle(per_second, now);
        let above = self.owed - most;
        (above >= 0.0).then(|| Duration::try_from_secs_f64(above / per_second).unwrap_or(Duration::MAX))
    }
}

/// What one asker has used.
#[derive(Debug)]
struct Account {
    used: Mutex<Used>,
}

#[derive(Debug)]
struct Used {
    records: Debt,
    queries: Debt,
    running: u32,
    allowance: Allowance,
}

impl Account {
    fn used(&self) -> MutexGuard<'_, Used> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn records_per_second(&self) -> f64 {
        self.allowance.records_per_second.into()
    }

    fn queries_per_second(&self) -> f64 {
        f64::from(self.allowance.query_seconds_per_minute) / 60.0
    }

    /// Whether it is as if it had never been.
    fn is_settled(&mut self, now: Instant) -> bool {
        let (records, queries) = (self.records_per_second(), self.queries_per_second());
        self.records.settle(records, now);
        self.queries.settle(queries, now);
        self.running == 0 && self.records.owed == 0.0 && self.queries.owed == 0.0
    }
}

impl Meter for Account {
    fn worked(&self, time: Duration) {
        let mut used = self.used();
        let per_second = used.queries_per_second();
        used.queries.settle(per_second, Instant::now());
        used.queries.owed += time.as_secs_f64();
    }
}

/// The clock of this process, as tests may set it.
#[derive(Debug, Clone, Default)]
struct Now;

impl Clock for Now {
    type Instant = std::time::Instant;

    fn now(&self) -> Self::Instant {
        Instant::now().into_std()
    }
}

type Requests = RateLimiter<String, HashMapStateStore<String>, Now>;

/// The accounts of all askers.
#[derive(Default)]
pub(super) struct Rates {
    accounts: Mutex<HashMap<String, Arc<Account>>>,
    /// By how many requests a second, and how many at once.
    requests: Mutex<HashMap<(u32, u32), Arc<Requests>>>,
}

/// Whose requests are counted together for which there is no room.
const OTHERS: &str = "";

/// A request that is under way: what it costs is counted when it is dropped at the latest.
pub(super) struct Ticket {
    account: Arc<Account>,
    cost: Cost,
    began: Instant,
}

impl Rates {
    /// Lets a request of an asker begin.
    ///
    /// # Errors
    /// Which limit is reached, and when to come again.
    pub(super) fn enter(
        &self,
        who: &str,
        allowance: Allowance,
        cost: Cost,
        now: Instant,
    ) -> Result<Ticket, Refusal> {
        self.request(who, allowance)?;
        let account = self.account(who, allowance, now);
        let mut used = account.used();
        used.allowance = allowance;
        let (records, queries) = (used.records_per_second(), used.queries_per_second());
        match cost {
            Cost::None => {}
            Cost::Records => {
                let most = records * RECORDS_PERIOD.as_secs_f64();
                if let Some(wait) = used.records.wait(records, most, now) {
                    let detail = format!("more than {} records in a second", allowance.records_per_second);
                    return Err(too_many("too-many-records", detail, wait));
                }
            }
            Cost::Index | Cost::Work => {
                let most = f64::from(allowance.query_seconds_per_minute);
                if let Some(wait) = used.queries.wait(queries, most, now) {
                    let detail = format!(
                        "queries worked for more than {} seconds in a minute",
                        allowance.query_seconds_per_minute
                    );
                    return Err(too_many("too-much-query-work", detail, wait));
                }
                if used.running >= allowance.queries_at_once {
                    let detail = format!("more than {} queries at once", allowance.queries_at_once);
                    return Err(too_many("too-many-queries", detail, Duration::from_secs(1)));
                }
                used.running += 1;
            }
        }
        drop(used);
        Ok(Ticket { account, cost, began: now })
    }

    fn request(&self, who: &str, allowance: Allowance) -> Result<(), Refusal> {
        let quota = (allowance.requests_per_second, allowance.request_burst);
        let limiter = {
            let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
            if requests.len() >= RATES_QUOTAS && !requests.contains_key(&quota) {
                requests.clear();
            }
            Arc::clone(requests.entry(quota).or_insert_with(|| Arc::new(limiter(quota))))
        };
        if limiter.len() >= RATES_ASKERS {
            limiter.retain_recent();
        }
        let who = if limiter.len() < RATES_ASKERS { who } else { OTHERS };
        limiter.check_key(&who.to_owned()).map_err(|until: NotUntil<_>| {
            let detail = format!("more than {} requests in a second", allowance.requests_per_second);
            too_many("too-many-requests", detail, until.wait_time_from(Now.now()))
        })
    }

    fn account(&self, who: &str, allowance: Allowance, now: Instant) -> Arc<Account> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if !accounts.contains_key(who) && accounts.len() >= RATES_ASKERS {
            accounts.retain(|_, account| Arc::strong_count(account) > 1 || !account.used().is_settled(now));
        }
        let has_room = accounts.contains_key(who) || accounts.len() < RATES_ASKERS;
        let new = || {
            let (records, queries) = (Debt::new(now), Debt::new(now));
            Arc::new(Account { used: Mutex::new(Used { records, queries, running: 0, allowance }) })
        };
        let who = if has_room { who } else { OTHERS };
        Arc::clone(accounts.entry(who.to_owned()).or_insert_with(new))
    }
}

fn limiter((per_second, burst): (u32, u32)) -> Requests {
    let at_least_one = |number: u32| std::num::NonZeroU32::new(number).unwrap_or(std::num::NonZeroU32::MIN);
    let quota = Quota::per_second(at_least_one(per_second)).allow_burst(at_least_one(burst));
    RateLimiter::new(quota, HashMapStateStore::default(), Now)
}

fn too_many(code: &str, detail: String, wait: Duration) -> Refusal {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).clamp(1, 3_600);
    let detail =
        format!("{detail} for this key (`[limits]` of the access settings): try again in {seconds} s");
    refuse(StatusCode::TOO_MANY_REQUESTS, code, "Too much at once", detail)
        .with(header::RETRY_AFTER, HeaderValue::from(seconds))
}

impl Ticket {
    /// For a request that says what it records as it goes on.
    pub(super) fn payer(&self) -> Payer {
        Payer(Arc::clone(&self.account))
    }

    /// Answers the request, while it is measured. A query's answer counts as one until its last byte is taken.
    pub(super) async fn answer(self, answering: impl Future<Output = Response>) -> Response {
        let mut answer = match self.cost {
            Cost::Index => metered(Arc::clone(&self.account) as Arc<dyn Meter>, answering).await,
            _ => answering.await,
        };
        match self.cost {
            Cost::None | Cost::Work => answer,
            Cost::Records => {
                if let Some(Recorded(count)) = answer.extensions_mut().remove() {
                    self.account.used().records.owed += count as f64;
                }
                answer
            }
            Cost::Index => holding(answer, self),
        }
    }
}

/// Counts what a request records while it goes on.
#[derive(Clone)]
pub(super) struct Payer(Arc<Account>);

impl Payer {
    /// Counts records, and returns when more may come.
    pub(super) async fn pay(&self, records: u64) {
        let wait = {
            let mut used = self.0.used();
            let (per_second, now) = (used.records_per_second(), Instant::now());
            used.records.settle(per_second, now);
            used.records.owed += records as f64;
            used.records.wait(per_second, per_second * RECORDS_PERIOD.as_secs_f64(), now)
        };
        if let Some(wait) = wait {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.cost == Cost::Work {
            self.account.worked(self.began.elapsed());
        }
        if matches!(self.cost, Cost::Index | Cost::Work) {
            let mut used = self.account.used();
            used.running = used.running.saturating_sub(1);
        }
    }
}

/// An answer that keeps something until its last byte is taken, or nobody takes it any more.
pub(super) fn holding<T: Send + Unpin + 'static>(answer: Response, held: T) -> Response {
    answer.map(|body| Body::new(Held { body, _held: held }))
}

struct Held<T> {
    body: Body,
    _held: T,
}

impl<T: Unpin> HttpBody for Held<T> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests;
