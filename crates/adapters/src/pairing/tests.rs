//! Halves in every order, under ids that repeat.

use proptest::prelude::*;

use super::*;

fn came(id: &str, half: Half, print: u64) -> Came<()> {
    Came { key: Key(vec![id.to_owned()]), half, print, bytes: 10, content: () }
}

fn request(id: &str, print: u64) -> Came<()> {
    came(id, Half::Request, print)
}

fn answer(id: &str, print: u64) -> Came<()> {
    came(id, Half::Answer, print)
}

const S: fn(u64) -> Duration = Duration::from_secs;

/// What became of it, shortly: `w`aits, `k`nown, or for each that is ready its prints and how.
fn told(taken: Taken<()>) -> String {
    let print = |came: &Option<Came<()>>| came.as_ref().map_or("-".to_owned(), |came| came.print.to_string());
    match taken {
        Taken::Waits => "waits".into(),
        Taken::Repeated => "repeated".into(),
        Taken::Ready(ready) => ready
            .iter()
            .map(|matched| {
                format!("{}/{} {:?}", print(&matched.request), print(&matched.answer), matched.how)
            })
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn check(steps: &[(Came<()>, u64, &str)]) {
    let mut pairs = Pairs::default();
    for (came, at, expected) in steps {
        assert_eq!(told(pairs.take(came.clone(), S(*at))), *expected, "{came:?}");
    }
}

#[test]
fn a_request_and_an_answer_are_one_call_in_either_order() {
    check(&[(request("a", 1), 0, "waits"), (answer("b", 3), 0, "waits"), (answer("a", 2), 1, "1/2 Paired")]);
    check(&[(answer("a", 2), 0, "waits"), (request("a", 1), 1, "1/2 Paired")]);
}

#[test]
fn what_is_delivered_twice_is_one_call() {
    check(&[
        (request("a", 1), 0, "waits"),
        (request("a", 1), 1, "repeated"),
        (answer("a", 2), 2, "1/2 Paired"),
        (answer("a", 2), 3, "repeated"),
        (request("a", 1), 4, "repeated"),
    ]);
}

#[test]
fn an_id_may_be_used_for_one_call_after_the_other() {
    check(&[
        (request("a", 1), 0, "waits"),
        (answer("a", 2), 0, "1/2 Paired"),
        (answer("a", 4), 1, "waits"),
        (request("a", 3), 1, "3/4 Paired"),
    ]);
}

#[test]
fn of_an_id_that_two_calls_have_at_once_nothing_is_guessed() {
    check(&[
        (request("a", 1), 0, "waits"),
        (request("a", 3), 0, "1/- IdUsedTwice, 3/- IdUsedTwice"),
        (answer("a", 2), 1, "-/2 IdUsedTwice"),
        (answer("a", 4), 1, "-/4 IdUsedTwice"),
        // A while later it is an id like others.
        (request("b", 9), 130, "waits"),
        (request("a", 5), 130, "waits"),
        (answer("a", 6), 131, "5/6 Paired"),
    ]);
}

#[test]
fn a_half_waits_no_longer_than_it_may() {
    let mut pairs = Pairs::default();
    pairs.take(request("a", 1), S(0));
    pairs.take(answer("b", 2), S(60));
    // That it comes again does not make it wait longer.
    assert_eq!(pairs.take(request("a", 1), S(100)), Taken::Repeated);
    assert!(pairs.over(S(119)).is_empty());
    assert_eq!(told(Taken::Ready(pairs.over(S(120)))), "1/- TimeUp");
    assert_eq!(told(Taken::Ready(pairs.end())), "-/2 Ended");
    assert_eq!((pairs.bytes, pairs.entries.len(), pairs.order.len()), (0, 0, 0));
}

#[test]
fn what_waits_is_bounded() {
    let mut pairs = Pairs::default();
    for number in 0..10 {
        let large = Came { bytes: HALVES_BYTES_MAX / 4, ..request(&number.to_string(), number) };
        let found = told(pairs.take(large, S(0)));
        assert_eq!(found, if number < 4 { "waits".into() } else { format!("{}/- NoRoom", number - 4) });
    }
    for number in 0..HALVES_MAX + 10 {
        pairs.take(request(&format!("x{number}"), 0), S(1));
        assert!(pairs.entries.len() <= HALVES_MAX && pairs.order.len() <= HALVES_MAX);
    }
}

proptest! {
    /// Whatever comes: each half that is not known already comes out once, and nothing is left at the end.
    #[test]
    fn each_half_comes_out_once(steps in prop::collection::vec((0_u8..3, any::<bool>(), 0_u64..3, 0_u64..70), 0..60)) {
        let (mut pairs, mut now) = (Pairs::default(), 0);
        let (mut in_, mut out) = (0, 0);
        let count = |ready: &[Matched<()>]| {
            let halves = ready.iter().flat_map(|one| one.request.iter().chain(&one.answer));
            halves.count()
        };
        for (id, is_request, print, pause) in steps {
            now += pause;
            let half = if is_request { Half::Request } else { Half::Answer };
            match pairs.take(came(&id.to_string(), half, print), S(now)) {
                Taken::Waits => in_ += 1,
                Taken::Repeated => {}
                Taken::Ready(ready) => { in_ += 1; out += count(&ready); }
            }
        }
        out += count(&pairs.end());
        prop_assert_eq!((in_, pairs.bytes), (out, 0));
    }
}

#[test]
fn what_waits_can_be_taken_back_and_what_was_whole_be_known_elsewhere() {
    let mut pairs = Pairs::default();
    pairs.take(request("a", 1), S(0));
    pairs.take(request("b", 2), S(0));
    pairs.take(answer("b", 3), S(1));
    assert_eq!(pairs.waiting().map(|came| came.print).collect::<Vec<_>>(), [1]);
    assert_eq!(pairs.whole().collect::<Vec<_>>(), [(S(1), &Key(vec!["b".into()]), (2, 3))]);
    for id in ["a", "b", "c"] {
        pairs.take_back(&Key(vec![id.into()]));
    }
    assert_eq!((pairs.waiting().count(), pairs.whole().count(), pairs.bytes), (0, 1, 0));
    assert_eq!(told(pairs.take(request("a", 1), S(2))), "waits", "as if it had not come");
    let mut other = Pairs::default();
    other.know(Key(vec!["b".into()]), (2, 3), S(1));
    assert_eq!(told(other.take(request("b", 2), S(2))), "repeated");
    assert_eq!(told(other.take(answer("b", 3), S(2))), "repeated");
    assert!(other.over(S(120)).is_empty() && !other.is_empty());
    assert!(other.over(S(121)).is_empty() && other.is_empty(), "a while ago");
}
