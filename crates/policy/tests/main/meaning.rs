//! What a condition means: against a second evaluation, written from the page, over random conditions and records.

use minutebook_policy::{Policy, Quotas, Share};
use minutebook_record::fields::{Event, ModelRef};
use minutebook_record::value::Map;
use minutebook_record::{Field, FieldType, IntegerType, Path, Schema, Value};
use proptest::prelude::*;

/// A record: its schema and encoded values.
pub(crate) struct Record {
    pub(crate) schema: Schema,
    pub(crate) values: Vec<Vec<u8>>,
}

pub(crate) fn record(fields: &[(&[&str], FieldType, Value)]) -> Record {
    let mut event = Vec::new();
    Event {
        time_ns: 1,
        clock_error_ns: None,
        duration_ns: Some(60_000_000),
        status: "TimeoutError".into(),
        trace: None,
        span: None,
        batch: None,
        kept: None,
        links: Vec::new(),
    }
    .write(&mut event);
    let mut model = Vec::new();
    ModelRef { name: "credit".into(), version: "3".into(), artifact: None }.write(&mut model);
    let field = |path: &[&str], field_type: &FieldType| Field {
        path: Path::new(path.iter().copied()).unwrap(),
        field_type: field_type.clone(),
    };
    let mut all = vec![field(&["event"], &FieldType::Event), field(&["model"], &FieldType::Model)];
    let mut values = vec![event, model];
    for (path, field_type, value) in fields {
        all.push(field(path, field_type));
        let mut bytes = Vec::new();
        value.encode(field_type, &mut bytes).unwrap();
        values.push(bytes);
    }
    Record { schema: Schema::new(all).unwrap(), values }
}

/// A policy of one rule with this condition, quotes and backslashes escaped.
fn policy(quoted: &str) -> String {
    let rule = format!("name = \"r\"\nwhen = \"{quoted}\"\nkeep = \"none\"\n");
    format!("format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\n[[model.rule]]\n{rule}")
}

/// Some of what conditions are made of, in any order.
fn tokens() -> impl Strategy<Value = Vec<&'static str>> {
    let all = vec![
        "inputs.a", "(", ")", "[", "]", "&&", "!", "-", "1", "\"x\"", "in", "has", "abs", ".", "==",
        "duration", "'",
    ];
    prop::collection::vec(prop::sample::select(all), 0..12)
}

fn decides(when: &str, record: &Record) -> bool {
    let quoted = when.replace('\\', "\\\\").replace('"', "\\\"");
    let policy = Policy::parse(&policy(&quoted)).unwrap_or_else(|error| panic!("{error}"));
    let plan = policy.plan(&record.schema);
    policy.decide(&plan, "standard", |place| &record.values[place]).unwrap().rule == "r"
}

#[test]
fn what_conditions_say_of_a_record() {
    let tags = Map::new([
        ("region".to_owned(), Value::Text("eu".into())),
        ("n".to_owned(), Value::Integer(3.into())),
    ]);
    let record = record(&[
        (&["inputs", "amount"], FieldType::F64, Value::Float(10_000.5)),
        (&["inputs", "age"], FieldType::Integer(IntegerType::U8), Value::Integer(40.into())),
        (&["inputs", "nan"], FieldType::F32, Value::Float(f64::NAN)),
        (&["inputs", "price"], FieldType::Decimal, Value::Decimal { exponent: -2, mantissa: 1_999.into() }),
        (&["inputs", "purpose"], FieldType::Category, Value::Text("car".into())),
        (&["inputs", "missing"], FieldType::F64, Value::Null),
        (&["inputs", "odd name"], FieldType::Bool, Value::Bool(true)),
        (&["inputs", "list"], FieldType::List, Value::List(vec![])),
        (&["outputs", "approve"], FieldType::Bool, Value::Bool(false)),
        (&["outputs", "probability"], FieldType::F64, Value::Float(0.48)),
        (&["tags"], FieldType::Map, Value::Map(tags.unwrap())),
    ]);
    for (when, expected) in [
        ("outputs.approve == false", true),
        ("!outputs.approve", true),
        ("abs(outputs.probability - 0.5) < 0.05", true),
        ("inputs.amount > 10000", true),
        ("inputs.amount > 10000.5", false),
        ("event.status != \"ok\"", true),
        ("event.duration > duration(\"50ms\")", true),
        ("event.duration - duration(\"10ms\") > duration(\"50ms\")", false),
        ("inputs[\"odd name\"]", true),
        ("inputs.age / 3 == 13 && inputs.age % 3 == 1", true),
        ("inputs.price == 19.99", true),
        ("inputs.purpose in [\"boat\", \"car\"]", true),
        (
            "inputs.purpose.startsWith(\"c\") && inputs.purpose.endsWith('r') && inputs.purpose.contains(\"a\")",
            true,
        ),
        ("model.name == \"credit\" && model.version == \"3\"", true),
        ("tags.region == \"eu\" && tags.n == 3", true),
        ("tags.other == \"eu\"", false),
        ("inputs.nan < 1 || inputs.nan >= 1 || inputs.nan == inputs.nan", false),
        ("inputs.nan != inputs.nan", true),
        // What is missing makes neither a comparison nor its contrary true.
        ("inputs.missing > 1", false),
        ("!(inputs.missing > 1)", false),
        ("inputs.nowhere != 1", false),
        ("inputs.missing > 1 || inputs.age == 40", true),
        ("inputs.missing > 1 && inputs.age == 40", false),
        ("!(inputs.missing > 1 && inputs.age == 41)", true),
        ("inputs.age in [inputs.missing, 40]", true),
        ("!(inputs.age in [inputs.missing, 41])", false),
        ("has(inputs.missing) || has(inputs.nowhere) || has(tags.other)", false),
        ("has(inputs.age) && has(inputs.list) && has(tags.n)", true),
        ("!has(inputs.missing)", true),
        // What is of another kind than the condition takes it for is missing to it.
        ("inputs.age == \"40\"", false),
        ("inputs.list == 1", false),
        ("inputs.age / 0 == 0 || inputs.age / 0 != 0", false),
        ("inputs.amount / 0 > 1e308", true),
        ("9223372036854775807 + 1 == 9223372036854775808", true),
        ("-inputs.age == -40 && abs(-inputs.age) == 40", true),
    ] {
        assert_eq!(decides(when, &record), expected, "{when}");
    }
}

/// A condition that is made up, and what it is by the page: unknown is none.
#[derive(Debug, Clone)]
enum Made {
    Compare(&'static str, Number, Number),
    Not(Box<Made>),
    Both(bool, Box<Made>, Box<Made>),
    Has(usize),
}

#[derive(Debug, Clone)]
enum Number {
    Whole(i64),
    Half(i64),
    Field(usize),
    Sum(Box<Number>, Box<Number>),
}

type Fields = [Option<f64>; 4];

impl Number {
    fn text(&self) -> String {
        match self {
            Self::Whole(n) => format!("({n})"),
            Self::Half(n) => format!("({:?})", *n as f64 / 2.0),
            Self::Field(n) => format!("inputs.f{n}"),
            Self::Sum(a, b) => format!("({} + {})", a.text(), b.text()),
        }
    }

    fn value(&self, fields: &Fields) -> Option<f64> {
        match self {
            Self::Whole(n) => Some(*n as f64),
            Self::Half(n) => Some(*n as f64 / 2.0),
            Self::Field(n) => fields[*n],
            Self::Sum(a, b) => Some(a.value(fields)? + b.value(fields)?),
        }
    }
}

impl Made {
    fn text(&self) -> String {
        match self {
            Self::Compare(sign, a, b) => format!("{} {sign} {}", a.text(), b.text()),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::Both(all, a, b) => {
                format!("({}) {} ({})", a.text(), if *all { "&&" } else { "||" }, b.text())
            }
            Self::Has(n) => format!("has(inputs.f{n})"),
        }
    }

    /// -1 false, 0 unknown, 1 true: then `&&` is the least, `||` the greatest, and `!` the sign.
    fn value(&self, fields: &Fields) -> i32 {
        match self {
            Self::Compare(sign, a, b) => match a.value(fields).zip(b.value(fields)) {
                None => 0,
                Some((a, b)) => {
                    let holds = match *sign {
                        "==" => a == b,
                        "!=" => a != b,
                        "<" => a < b,
                        "<=" => a <= b,
                        ">" => a > b,
                        _ => a >= b,
                    };
                    if holds { 1 } else { -1 }
                }
            },
            Self::Not(inner) => -inner.value(fields),
            Self::Both(true, a, b) => a.value(fields).min(b.value(fields)),
            Self::Both(false, a, b) => a.value(fields).max(b.value(fields)),
            Self::Has(n) => {
                if fields[*n].is_some() {
                    1
                } else {
                    -1
                }
            }
        }
    }
}

fn number() -> impl Strategy<Value = Number> {
    let leaf = prop_oneof![
        (-3i64..4).prop_map(Number::Whole),
        (-5i64..6).prop_map(Number::Half),
        (0usize..4).prop_map(Number::Field)
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        (inner.clone(), inner).prop_map(|(a, b)| Number::Sum(a.into(), b.into()))
    })
}

fn made() -> impl Strategy<Value = Made> {
    let signs = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let leaf = prop_oneof![
        4 => (signs, number(), number()).prop_map(|(sign, a, b)| Made::Compare(sign, a, b)),
        1 => (0usize..4).prop_map(Made::Has),
    ];
    leaf.prop_recursive(4, 24, 2, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| Made::Not(inner.into())),
            (any::<bool>(), inner.clone(), inner).prop_map(|(all, a, b)| Made::Both(all, a.into(), b.into())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn conditions_mean_what_the_page_says(made in made(), halves in prop::array::uniform4(prop::option::of(-5i64..6)), whole in any::<bool>()) {
        // The last field is not there at all; the one before is an integer, where it is one.
        let mut fields = halves.map(|half| half.map(|half| half as f64 / 2.0));
        fields[3] = None;
        let float = |field: Option<f64>| field.map_or(Value::Null, Value::Float);
        let last = if whole { halves[2] } else { None };
        fields[2] = last.map(|n| n as f64);
        let record = record(&[
            (&["inputs", "f0"], FieldType::F64, float(fields[0])),
            (&["inputs", "f1"], FieldType::F64, float(fields[1])),
            (&["inputs", "f2"], FieldType::Integer(IntegerType::I64), last.map_or(Value::Null, |n| Value::Integer(n.into()))),
        ]);
        prop_assert_eq!(decides(&made.text(), &record), made.value(&fields) == 1, "{}", made.text());
    }

    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,80}", tokens in tokens()) {
        for when in [text, tokens.join(" ")] {
            let quoted = when.replace('\\', "\\\\").replace('"', "\\\"");
            if let Err(error) = Policy::parse(&policy(&quoted)) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_rate_depends_on_the_value_of_a_field() {
    let given =
        |field_type: &FieldType, value: Value| record(&[(&["inputs", "x"], field_type.clone(), value)]);
    let rate = |by: &str, record: &Record| {
        let rate = format!(
            "rate = {{ by = \"{by}\", values = {{ DE = 0.1, 7 = 0.2, -7 = 0.3, true = 0.4, 007 = 0.5 }}, others = 0.01 }}"
        );
        let policy = policy("true").replace("keep = \"none\"", &rate);
        let policy = Policy::parse(&policy).unwrap_or_else(|error| panic!("{error}"));
        let plan = policy.plan(&record.schema);
        let decision = policy.decide(&plan, "standard", |place| &record.values[place]).unwrap();
        let Share::Rate(rate) = decision.share else { panic!("no rate") };
        rate
    };
    let (text, integer) = (FieldType::Text, FieldType::Integer(IntegerType::I16));
    for (field_type, value, expected) in [
        (&text, Value::Text("DE".into()), 0.1),
        (&text, Value::Text("de".into()), 0.01),
        (&text, Value::Text("7".into()), 0.2),
        (&text, Value::Text("007".into()), 0.5),
        (&text, Value::Null, 0.01),
        (&FieldType::Category, Value::Text("DE".into()), 0.1),
        (&integer, Value::Integer(7.into()), 0.2),
        (&integer, Value::Integer((-7).into()), 0.3),
        (&integer, Value::Integer(8.into()), 0.01),
        (&FieldType::Bool, Value::Bool(true), 0.4),
        (&FieldType::Bool, Value::Bool(false), 0.01),
        (&FieldType::F64, Value::Float(7.0), 0.01),
    ] {
        assert_eq!(rate("inputs.x", &given(field_type, value.clone())), expected, "{field_type} {value:?}");
    }
    assert_eq!(rate("inputs.gone", &given(&text, Value::Text("DE".into()))), 0.01);
    assert_eq!(rate("tags.x", &given(&text, Value::Text("DE".into()))), 0.01);
}

/// A policy of two rules, 2 and 1 per second, asked for cars and others.
#[test]
fn so_many_are_kept_in_each_second() {
    let policy = "format = \"minutebook/policy/1\"\n[[model]]\nname = \"*\"\nrule = [\
         { name = \"cars\", when = \"inputs.x == 'car'\", per_second = 2 }, { name = \"others\", per_second = 1 }]\n";
    let policy = Policy::parse(policy).unwrap();
    assert!(policy.counts());
    let mut quotas = Quotas::default();
    let mut kept = |x: &str, time_ns: i64| {
        let record = record(&[(&["inputs", "x"], FieldType::Text, Value::Text(x.into()))]);
        let plan = policy.plan(&record.schema);
        let decision = policy.decide(&plan, "standard", |place| &record.values[place]).unwrap();
        let Share::PerSecond(count) = decision.share else { panic!("a rate") };
        quotas.admit(&decision, count, time_ns)
    };
    const SECOND: i64 = 1_000_000_000;
    for (x, time_ns, expected) in [
        ("car", 0, true),
        ("boat", 1, true),
        ("car", SECOND - 1, true),
        ("car", SECOND - 2, false),
        ("car", -1, true),
        ("boat", 2, false),
        ("car", SECOND, true),
        ("boat", 2 * SECOND, true),
        // A second that came before the last is counted on.
        ("car", 5, false),
    ] {
        assert_eq!(kept(x, time_ns), expected, "{x} {time_ns}");
    }
    // What is remembered is bounded: a second of long ago is forgotten.
    (0..70_000).for_each(|n| assert!(kept("car", (10 + n) * SECOND)));
    assert!(kept("car", 5));
    assert!(kept("car", 70_009 * SECOND) && !kept("car", 70_009 * SECOND));
}
