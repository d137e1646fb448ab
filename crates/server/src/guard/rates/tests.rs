use axum::response::IntoResponse;

use super::*;

const FEW: Allowance = Allowance {
    requests_per_second: 1_000,
    request_burst: 1_000_000,
    records_per_second: 100,
    query_seconds_per_minute: 6,
    queries_at_once: 2,
};

#[track_caller]
fn refused(entered: Result<Ticket, Refusal>, code: &str) -> u64 {
    let Refusal(problem, headers) = entered.err().expect("a refusal");
    let problem = serde_json::json!(problem);
    assert_eq!((&problem["status"], &problem["code"]), (&429.into(), &code.into()));
    let seconds = headers.iter().find(|(name, _)| name == header::RETRY_AFTER).expect("when to come again");
    seconds.1.to_str().unwrap().parse().unwrap()
}

async fn recorded(ticket: Ticket, count: u64) {
    let answer = async { (axum::Extension(Recorded(count)), "").into_response() };
    drop(ticket.answer(answer).await);
}

#[tokio::test]
async fn requests_are_limited_by_their_rate() {
    let (rates, now) = (Rates::default(), Instant::now());
    let few = Allowance { requests_per_second: 1, request_burst: 3, ..FEW };
    for _ in 0..3 {
        assert!(rates.enter("a", few, Cost::None, now).is_ok());
    }
    assert_eq!(refused(rates.enter("a", few, Cost::None, now), "too-many-requests"), 1);
    assert!(rates.enter("b", few, Cost::None, now).is_ok(), "another one's");
    assert!(rates.enter("a", FEW, Cost::None, now).is_ok(), "the settings changed");
}

#[tokio::test]
async fn records_are_paid_for_afterwards() {
    let (rates, now) = (Rates::default(), Instant::now());
    let enter = |now| rates.enter("a", FEW, Cost::Records, now);
    recorded(enter(now).ok().unwrap(), 50_000).await;
    let wait = refused(enter(now), "too-many-records");
    assert!((489..=491).contains(&wait), "{wait} s");
    assert!(rates.enter("a", FEW, Cost::None, now).is_ok(), "other requests go on");
    assert!(rates.enter("b", FEW, Cost::Records, now).is_ok());
    refused(enter(now + Duration::from_secs(489)), "too-many-records");
    assert!(enter(now + Duration::from_secs(491)).is_ok());
    // What recorded nothing costs nothing.
    drop(enter(now + Duration::from_secs(2_000)).ok().unwrap());
    let more = Allowance { records_per_second: 1_000_000, ..FEW };
    recorded(enter(now + Duration::from_secs(2_000)).ok().unwrap(), 50_000).await;
    assert!(rates.enter("a", more, Cost::Records, now + Duration::from_secs(2_000)).is_ok(), "new settings");
}

#[tokio::test]
async fn queries_are_limited_by_their_work_and_their_number() {
    let (rates, now) = (Rates::default(), Instant::now());
    let enter = |now| rates.enter("a", FEW, Cost::Index, now);
    let (first, second) = (enter(now).ok().unwrap(), enter(now).ok().unwrap());
    assert_eq!(refused(enter(now), "too-many-queries"), 1);
    drop(first);
    let third = enter(now).ok().unwrap();
    // Whoever asked has gone away: it is given back.
    drop(third);
    let account = Arc::clone(&second.account);
    let answer = second.answer(async { "rows".into_response() }).await;
    let fourth = enter(now).ok().unwrap();
    refused(enter(now), "too-many-queries");
    drop(answer);
    assert!(enter(now).is_ok(), "the answer is taken");
    drop(fourth);
    account.worked(Duration::from_secs(12));
    let later = Instant::now();
    let wait = refused(enter(later), "too-much-query-work");
    assert!((58..=61).contains(&wait), "{wait} s");
    assert!(enter(later + Duration::from_secs(62)).is_ok());
}

#[tokio::test]
async fn what_works_itself_is_measured_also_when_it_is_abandoned() {
    let (rates, now) = (Rates::default(), Instant::now());
    let few = Allowance { query_seconds_per_minute: 1, ..FEW };
    let ticket = rates.enter("a", few, Cost::Work, now - Duration::from_secs(5)).ok().unwrap();
    drop(ticket);
    refused(rates.enter("a", few, Cost::Index, Instant::now()), "too-much-query-work");
}

#[tokio::test]
async fn what_is_kept_is_bounded() {
    let (rates, now) = (Rates::default(), Instant::now());
    for number in 0..RATES_ASKERS + 500 {
        // Those for whom there is no room are counted together, and soon owe too much.
        let entered = rates.enter(&format!("key-{number}"), FEW, Cost::Records, now);
        assert!(entered.is_ok() || number > RATES_ASKERS, "{number}");
        if let Ok(ticket) = entered {
            recorded(ticket, 5_000).await;
        }
        assert!(rates.accounts.lock().unwrap().len() <= RATES_ASKERS + 1);
    }
    refused(rates.enter("one-more", FEW, Cost::Records, now), "too-many-records");
    let later = now + Duration::from_secs(3_600 * 24);
    assert!(rates.enter("one-more", FEW, Cost::Records, later).is_ok());
    assert_eq!(rates.accounts.lock().unwrap().len(), 1, "who owes nothing is forgotten");
    for number in 0..RATES_QUOTAS as u32 * 2 {
        let allowance = Allowance { requests_per_second: number + 1, ..FEW };
        assert!(rates.enter("a", allowance, Cost::None, now).is_ok());
    }
    assert!(rates.requests.lock().unwrap().len() <= RATES_QUOTAS);
}

#[test]
fn what_a_request_costs_is_told_by_its_path() {
    for (method, path, expected) in [
        (Method::POST, "/v1/records", Cost::Records),
        (Method::GET, "/v1/records", Cost::Work),
        (Method::POST, "/v1/otlp/v1/traces", Cost::Records),
        (Method::POST, "/v1/intake/cloudevents", Cost::Records),
        (Method::POST, "/v1/sql", Cost::Index),
        (Method::POST, "/v1/verify", Cost::Work),
        (Method::GET, "/v1/engine", Cost::None),
        (Method::GET, "/v1/records/01a1fe46", Cost::None),
        (Method::GET, "/v1/records/01a1fe46/verify", Cost::Work),
        (Method::PUT, "/v1/spool/ab/1/1", Cost::Records),
        (Method::PUT, "/v1/spool/ab/1", Cost::None),
        (Method::GET, "/v1/spool/ab/1", Cost::None),
        (Method::POST, "/v1/spool/ab/1/give-up", Cost::None),
    ] {
        assert_eq!(cost(&method, path), expected, "{method} {path}");
    }
}
