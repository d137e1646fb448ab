//! Questions that nobody would ask: each is answered or refused in words, within bounds, and the engine goes on.

use minutebook_decoders::mutations;
use serde_json::{Value, json};

use crate::program::{User, ask_with, decisions, wait_until};

/// Conditions to begin from.
const CONDITIONS: [&str; 16] = [
    "inputs.amount > 60 AND outputs.approve = false",
    "has_words(inputs.purpose, 'car loan') OR NOT overridden",
    "inputs.\"petal length (cm)\" BETWEEN 1 AND 2",
    "subject IN ('person-1', 'person-2') AND inputs.purpose LIKE 'c_r%'",
    "inputs.purpose ~ '^(a|b)+$' AND inputs.purpose !~* 'x{2,3}'",
    "CASE WHEN inputs.amount IS NULL THEN 1 ELSE inputs.amount END > 3",
    "time > '2026-11-01' AND duration_ns / 0 = 1",
    "CAST(inputs.amount AS BIGINT) % 7 = 3",
    "substr(inputs.purpose, -1, 99999999) || 'x' = concat('a', inputs.purpose)",
    "date_trunc('day', time) = TIMESTAMP '2026-11-21 00:00:00' - INTERVAL '1 day'",
    "array_has(subjects, 'person-1') AND array_length(subjects) = 1",
    "to_char(time, '%Y-%m') = '2026-11' AND date_part('hour', time) <> 25",
    "split_part(inputs.purpose, 'a', -9223372036854775808) = chr(1114111)",
    "power(inputs.amount, 999) > 9.9e307 OR inputs.amount = 'NaN'",
    "replace(inputs.purpose, 'car', 'bus') ILIKE '%b%' ESCAPE '\\'",
    "(((((1 = 1)))))",
];

const QUERIES: [&str; 8] = [
    "SELECT version, count(*), avg(inputs.amount) FROM credit GROUP BY 1 ORDER BY 2 DESC LIMIT 3",
    "WITH t AS (SELECT subject, inputs.amount AS a FROM credit) SELECT subject, sum(a) OVER (PARTITION BY subject) FROM t",
    "SELECT * FROM records r JOIN links l ON l.target = r.id WHERE r.kind = 'decision'",
    "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY inputs.amount) FROM credit",
    "SELECT date_bin(INTERVAL '1 hour', time) AS t, string_agg(subject, ',') FROM credit GROUP BY t HAVING count(*) > 1",
    "SELECT kind FROM records UNION SELECT version FROM credit EXCEPT SELECT 'x'",
    "SELECT lag(inputs.amount, 1) OVER (ORDER BY time ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM credit",
    "EXPLAIN SELECT unnest(make_array(1, 2, 3)), named_struct('a', 1) FROM credit",
];

fn ask(user: &User, path: &str, body: &Value) -> (u16, Value) {
    let json = "Content-Type: application/json\r\n";
    ask_with(&user.path("trail/engine.sock"), "POST", path, json, &body.to_string())
}

/// Records some decisions, which can be searched then.
fn recorded(user: &User) {
    user.record(&decisions(40));
    let all = json!({ "model": "credit" });
    wait_until("what is recorded to be found", || {
        ask(user, "/v1/search", &all).1["rows"].as_array().is_some_and(|rows| rows.len() == 40)
    });
}

#[test]
fn whatever_is_asked_is_answered_or_refused_in_words() {
    let user = User::new();
    user.engine(&[]);
    recorded(&user);
    let ask = |path: &str, body: &Value| ask(&user, path, body);
    let mut answered = 0;
    let mut check = |path: &str, member: &str, text: &str| {
        let mut body = json!({ member: text });
        if path == "/v1/search" {
            body["model"] = "credit".into();
        }
        let (status, answer) = ask(path, &body);
        let is_refused =
            [400, 404, 422].contains(&status) && answer["detail"].as_str().is_some_and(|why| !why.is_empty());
        assert!(status == 200 || is_refused, "{status} {text:?}: {answer}");
        answered += u32::from(status == 200);
    };
    for (path, member, seeds) in
        [("/v1/search", "where", &CONDITIONS[..]), ("/v1/sql", "query", &QUERIES[..])]
    {
        for (number, seed) in seeds.iter().enumerate() {
            check(path, member, seed);
            let other = seeds[(number + 1) % seeds.len()];
            for bytes in mutations(seed.as_bytes(), other.as_bytes(), 300) {
                check(path, member, &String::from_utf8_lossy(&bytes));
            }
        }
    }
    assert!(answered > 200, "{answered}");
    user.run(["verify"]).ends(0);
}

#[test]
fn no_question_makes_much_of_little() {
    let user = User::new();
    let engine = user.engine(&[]);
    recorded(&user);
    let wide = vec!["inputs.purpose"; 60].join(" || ");
    let doubled = (0..40).fold("SELECT subject AS a FROM credit".to_owned(), |inner, _| {
        format!("SELECT a || a AS a FROM ({inner})")
    });
    let columns =
        format!("SELECT {} FROM (SELECT repeat('x', 99999999) AS a FROM credit)", vec!["a"; 900].join(", "));
    for (path, body) in [
        ("/v1/search", json!({"model": "credit", "where": "length(repeat(inputs.purpose, 300000000)) > 1"})),
        ("/v1/search", json!({"model": "credit", "where": "lpad(inputs.purpose, 2000000000, 'x') = 'a'"})),
        ("/v1/search", json!({"model": "credit", "where": format!("length(({wide}) || ({wide})) = 1")})),
        ("/v1/sql", json!({"query": "SELECT array_length(range(0, 1000000000)) FROM credit"})),
        ("/v1/sql", json!({"query": doubled})),
        ("/v1/sql", json!({"query": columns})),
        (
            "/v1/sql",
            json!({"query": "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"}),
        ),
    ] {
        let (status, answer) = ask(&user, path, &body);
        assert_eq!((status, &answer["code"]), (400, &"wrong-question".into()), "{body}: {answer}");
    }
    let (status, answer) =
        ask(&user, "/v1/search", &json!({"model": "credit", "where": format!("length({wide}) = 180")}));
    assert_eq!((status, answer["rows"].as_array().map(Vec::len)), (200, Some(40)), "{answer}");
    let peak = std::fs::read_to_string(format!("/proc/{}/status", engine["pid"])).unwrap();
    let peak = peak.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 700 << 10, "{kib} KiB");
}
