//! What people read of a policy that is wrong. Each text is golden: it says where, what, and what to do.

use minutebook_policy::Policy;
use minutebook_record::{Element, Field, FieldType, IntegerType, Path, Schema};

fn policy(when: &str) -> String {
    let when = when.replace('\\', "\\\\").replace('"', "\\\"");
    format!(
        "format = \"minutebook/policy/1\"\n[[model]]\nname = \"credit\"\n[[model.rule]]\nname = \"r\"\nwhen = \"{when}\"\nkeep = \"all\"\n"
    )
}

fn schema() -> Schema {
    let field =
        |path: &[&str], field_type| Field { path: Path::new(path.iter().copied()).unwrap(), field_type };
    Schema::new(vec![
        field(&["event"], FieldType::Event),
        field(&["model"], FieldType::Model),
        field(&["inputs", "amount"], FieldType::F64),
        field(&["inputs", "annual_income"], FieldType::Integer(IntegerType::I64)),
        field(&["inputs", "purpose"], FieldType::Text),
        field(&["inputs", "image"], FieldType::Tensor(Element::F32)),
        field(&["inputs", "odd name"], FieldType::Bool),
        field(&["outputs", "approve"], FieldType::Bool),
    ])
    .unwrap()
}

/// Fields of which less is there than the decisions saw.
fn redacted() -> Schema {
    let field =
        |path: &[&str], field_type| Field { path: Path::new(path.iter().copied()).unwrap(), field_type };
    Schema::new(vec![
        field(&["inputs", "name"], FieldType::Dropped),
        field(&["inputs", "iban"], "hashed/1f2e3d4c".parse().unwrap()),
        field(&["inputs", "postcode"], "truncated/3/text".parse().unwrap()),
        field(&["inputs", "age"], "bucketed/edges/18,30,65".parse().unwrap()),
        field(&["inputs", "rate"], "bucketed/width/0.1".parse().unwrap()),
    ])
    .unwrap()
}

/// The condition, what is told of it, and the place, marked.
fn check(when: &str, told: &str, marked: &str) {
    check_against(&schema(), when, told, marked);
}

fn check_against(schema: &Schema, when: &str, told: &str, marked: &str) {
    let source = policy(when);
    let error = Policy::parse(&source).and_then(|policy| policy.check("credit", schema));
    let error = error.expect_err(when).to_string();
    let expected = format!("line 6: rule `r` of `credit`: {told}\n    {when}\n    {marked}");
    assert_eq!(error, expected, "\n{error}\n");
}

#[test]
fn wrong_conditions_are_told_where_and_why() {
    check("inputs.amount = 3", "one `=` compares nothing: write `==`", "              ^");
    check("inputs.amount >", "the condition ends where a value is missing", "               ^");
    check(
        "inputs.amount > 5 inputs.x",
        "here an operator, such as `&&` is missing",
        "                  ^^^^^^",
    );
    check(
        "event.duration > 50ms",
        "this is no number; a time is written `duration(\"50ms\")`",
        "                 ^^^^",
    );
    check(
        "event.duration > 50",
        "a time and a number are not compared with each other: write a time as `duration(\"50ms\")`",
        "^^^^^^^^^^^^^^^^^^^",
    );
    check(
        "event.duration > duration(\"50 ms\")",
        "this is no time: write numbers with `h`, `m`, `s`, `ms`, `us` or `ns`, such as `1m30s`",
        "                          ^^^^^^^",
    );
    check(
        "event.states != \"ok\"",
        "`event.states` is no field that a condition can look at: write event.status or event.duration",
        "^^^^^^^^^^^^",
    );
    check("input.amount > 5", "a condition cannot look at `input`: did you mean `inputs`?", "^^^^^^^^^^^^");
    check(
        "subject == \"ann\"",
        "a condition cannot look at `subject`: it begins with inputs, outputs, event, model, tags, params, environment or actor",
        "^^^^^^^",
    );
    check(
        "inputs.amuont > 5",
        "the model has no input `inputs.amuont`: did you mean `inputs.amount`?",
        "^^^^^^^^^^^^^",
    );
    check(
        "inputs.colour > 5",
        "the model has no input `inputs.colour`; it has `inputs.amount`, `inputs.annual_income`, `inputs.purpose`, \
         `inputs.image`, `inputs[\"odd name\"]`",
        "^^^^^^^^^^^^^",
    );
    check(
        "true && outputs.aprove",
        "the model has no output `outputs.aprove`: did you mean `outputs.approve`?",
        "        ^^^^^^^^^^^^^^",
    );
    check(
        "inputs.amount > \"5\"",
        "a number and a text are not compared with each other",
        "^^^^^^^^^^^^^^^^^^^",
    );
    check(
        "outputs.approve > false",
        "true and false are compared with `==` and `!=` only",
        "^^^^^^^^^^^^^^^^^^^^^^^",
    );
    check("inputs.purpose", "a condition is true or false, and this is a text", "^^^^^^^^^^^^^^");
    check("!inputs.amount", "here true or false is wanted, and this is a number", " ^^^^^^^^^^^^^");
    check("abs(inputs.purpose) > 5", "here a number is wanted, and this is a text", "    ^^^^^^^^^^^^^^");
    check(
        "inputs.purpose in [\"car\", 5]",
        "the list is searched for a text, and this is a number",
        "                          ^",
    );
    check(
        "inputs.purpose in \"car\"",
        "after `in` comes a list: `inputs.purpose in [\"car\", \"boat\"]`",
        "                  ^^^^^",
    );
    check(
        "inputs.amount == null",
        "`null` is not compared: `has(inputs.amount)` asks whether there is a value",
        "                 ^^^^",
    );
    check(
        "0 < inputs.amount < 5",
        "comparisons are not chained: write `0 < inputs.x && inputs.x < 1`",
        "                  ^",
    );
    check("size(inputs.purpose) > 5", "there is no function `size`", "^^^^");
    check(
        "inputs.purpose.startWith(\"c\")",
        "a field cannot be asked `startWith`: did you mean `startsWith`?",
        "               ^^^^^^^^^",
    );
    check("inputs.purpose == 'car", "this text does not end: ' is missing", "                  ^^^^");
    check("true ? 1 : 2", "`? :` is not known to conditions: write two rules", "     ^");
    check(
        "inputs.amount.cents > 5",
        "`inputs.amount` has no parts: it is of type `f64`",
        "^^^^^^^^^^^^^^^^^^^",
    );
    check("has(5)", "`has` takes a field: `has(inputs.amount)`", "    ^");
    check("", "the condition is empty: leave `when` out for a rule that always decides", "^");
    // What is before the place may be wider in bytes than in characters.
    check(
        "inputs.purpose == \"é\" && x",
        "a condition cannot look at `x`: it begins with inputs, outputs, event, model, tags, params, environment or actor",
        "                         ^",
    );
}

#[test]
fn what_a_redacted_field_cannot_answer_is_told() {
    let schema = redacted();
    let check = |when: &str, told: &str, marked: &str| check_against(&schema, when, told, marked);
    check(
        "has(inputs.name)",
        "`inputs.name` is left out at the source: no record has it",
        "^^^^^^^^^^^^^^^^",
    );
    check(
        "inputs.iban == \"DE89\"",
        "`inputs.iban` is hashed at the source: only `has` can be asked of it",
        "^^^^^^^^^^^",
    );
    check(
        "inputs.postcode in [\"101\", \"1011\"]",
        "of `inputs.postcode` only the first 3 characters are there, and this has more",
        "                           ^^^^^^",
    );
    check(
        "inputs.postcode.endsWith(\"1\")",
        "of `inputs.postcode` only the first 3 characters are there: `startsWith` can be asked",
        "^^^^^^^^^^^^^^^^^^^^^^^^^^^^^",
    );
    check(
        "inputs.age >= 21",
        "`inputs.age` is in buckets, and none of them begins at 21: one does at 18, the next at 30",
        "              ^^",
    );
    check(
        "inputs.age < 16",
        "`inputs.age` is in buckets, and none of them begins at 16: the first does at 18",
        "             ^^",
    );
    check(
        "30 <= inputs.age && 30 < inputs.age",
        "`inputs.age` is the lower end of a bucket: at 30 it stands for what is above, too; write `>= 30` or `< 30`",
        "                    ^^",
    );
    check(
        "inputs.rate < -0.25",
        "`inputs.rate` is in buckets, and none of them begins at -0.25: one does at -0.3, the next at -0.2",
        "              ^^^^^",
    );
    for when in [
        "has(inputs.iban)",
        "inputs.postcode == \"101\" || inputs.postcode.startsWith(\"1\")",
        "inputs.age >= 30 && inputs.age < 65 || inputs.age == 18",
        "inputs.rate >= 0.3",
    ] {
        let policy = Policy::parse(&policy(when)).unwrap();
        assert!(policy.check("credit", &schema).is_ok(), "{when}");
    }
}

#[test]
fn a_condition_of_several_lines_is_shown_by_the_line() {
    let source = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\n[[model.rule]]\nname = \"r\"\nkeep = \"all\"\n\
         when = \"\"\"\n  inputs.a > 1\n  && inputs.b = 2\n\"\"\"\n";
    let error = Policy::parse(source).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 9: rule `r` of `*`: one `=` compares nothing: write `==`\n      && inputs.b = 2\n                  ^"
    );
}

#[test]
fn what_is_wrong_beside_conditions_has_its_line() {
    let source = policy("true").replace("keep = \"all\"", "rate = 7");
    assert_eq!(
        Policy::parse(&source).unwrap_err().to_string(),
        "line 7: a rate is from 0 to 1: 0.05 keeps one in twenty\n    rate = 7\n           ^"
    );
}

/// What is told of a rule with this rate, without the place.
fn told_of_rate(rate: &str) -> String {
    let source = policy("true").replace("keep = \"all\"", &format!("rate = {rate}"));
    let error = Policy::parse(&source).and_then(|policy| policy.check("credit", &schema()));
    error.expect_err(rate).to_string()
}

#[test]
fn wrong_rates_by_value_are_told_where_and_why() {
    for (rate, told, line, marked) in [
        (
            r#"{ by = "inputs.purpose", values = { car = 0.1, boat = 1.5 }, others = 0 }"#,
            "a rate is from 0 to 1: 0.05 keeps one in twenty",
            None,
            "1.5",
        ),
        (
            r#"{ by = "inputs.purpose", values = { }, others = 0.5 }"#,
            "`values` names none: write `rate = 0.05` for a rate that is the same for all",
            None,
            r#"{ by = "inputs.purpose", values = { }, others = 0.5 }"#,
        ),
        (
            r#"{ by = "inputs.purpos", values = { car = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: the model has no input `inputs.purpos`: did you mean `inputs.purpose`?",
            Some("inputs.purpos"),
            "inputs.purpos",
        ),
        (
            r#"{ by = "inputs.purpose == 'x'", values = { car = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: `by` names one field: `by = \"inputs.region\"`",
            Some("inputs.purpose == 'x'"),
            "inputs.purpose == 'x'",
        ),
        (
            r#"{ by = "", values = { car = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: `by` names one field: `by = \"inputs.region\"`",
            Some(""),
            "",
        ),
        (
            r#"{ by = "event.duration", values = { car = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: this is a time: a rate can depend on a text, a category, true or false, or an integer",
            Some("event.duration"),
            "event.duration",
        ),
        (
            r#"{ by = "inputs.amount", values = { 5 = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: `inputs.amount` is of type `f64`: a rate can depend on a text, a category, true or false, or an integer",
            Some("inputs.amount"),
            "inputs.amount",
        ),
        (
            r#"{ by = "outputs.approve", values = { yes = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: `outputs.approve` is never `yes`: it is `true` or `false`",
            None,
            "yes",
        ),
        (
            r#"{ by = "inputs.annual_income", values = { 5 = 1, 007 = 0.1 }, others = 0 }"#,
            "rule `r` of `credit`: `inputs.annual_income` is never `007`: it is an integer: write it as `3`",
            None,
            "007",
        ),
    ] {
        let shown = line.map_or_else(|| format!("rate = {rate}"), str::to_owned);
        let marked = " ".repeat(shown.find(marked).unwrap()) + &"^".repeat(marked.len().max(1));
        assert_eq!(told_of_rate(rate), format!("line 7: {told}\n    {shown}\n    {marked}"), "{rate}");
    }
    // What is no such table is told by the reader of TOML, which shows the line too.
    for (rate, told) in [
        ("\"half\"", "a number from 0 to 1, or `{ by ="),
        (r#"{ by = "inputs.purpose", values = { car = 0.1 } }"#, "missing field `others`"),
        (r#"{ by = "inputs.purpose", value = { car = 0.1 }, others = 0 }"#, "unknown field `value`"),
        (r#"{ by = "inputs.purpose", values = { car = "x" }, others = 0 }"#, "invalid type: string"),
    ] {
        let error = told_of_rate(rate);
        assert!(error.contains(told) && error.contains("line 7"), "{error}");
    }
}

#[test]
fn what_is_right_is_not_told_of() {
    for rate in [
        r#"{ by = "inputs.purpose", values = { car = 0.1, "a boat" = 1 }, others = 0.5 }"#,
        r#"{ by = "inputs['odd name']", values = { true = 0.1 }, others = 0.5 }"#,
        r#"{ by = "inputs.annual_income", values = { 0 = 0.1, -5 = 0.2 }, others = 0.5 }"#,
        r#"{ by = "tags.region", values = { DE = 0.1, 5 = 0.2 }, others = 0.5 }"#,
        r#"{ by = "event.status", values = { ok = 0.1 }, others = 1 }"#,
    ] {
        let source = policy("true").replace("keep = \"all\"", &format!("rate = {rate}"));
        let policy = Policy::parse(&source).unwrap_or_else(|error| panic!("{error}"));
        policy.check("credit", &schema()).unwrap_or_else(|error| panic!("{error}"));
    }

    for when in [
        "outputs.approve == false",
        "abs(inputs.amount - 0.5) < 0.05",
        "inputs.amount > 10000 && inputs.annual_income / 12 <= inputs.amount * 2",
        "event.status != \"ok\" || event.duration > duration(\"50ms\")",
        "inputs[\"odd name\"]",
        "inputs.purpose in ['car', 'boat'] && !inputs.purpose.startsWith('b')",
        "tags.region == \"eu\" && has(inputs.image)",
        "model.version == \"2\" || actor == \"batch\" // and a word on why",
    ] {
        Policy::parse(&policy(when))
            .unwrap()
            .check("credit", &schema())
            .unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn a_condition_that_is_too_deep_is_refused() {
    for when in [
        "(".repeat(10_000),
        "!".repeat(10_000),
        "-".repeat(10_000),
        format!("true{}", " && true".repeat(7_000)),
    ] {
        assert!(Policy::parse(&policy(&when)).unwrap_err().to_string().contains("the condition is too"));
    }
}
