//! How much longer a question makes the values that it works on: the query engine holds a batch of rows in memory whole, whatever it becomes. Edge:
//! counts by the text of a question, and counts too much rather than too little; how rows are batched by it is `session`'s.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Query, Value, ValueWithSpan,
    Visit, Visitor,
};

use crate::error::{Error, Result};
use crate::limits::{CALLS_OF_ONE, GROWTH_MAX, LITERAL_OF_ONE};

/// Functions that make as much as they are told to of next to nothing, or of which that cannot be known before.
const LEFT_OUT: [&str; 24] = [
    "array_join",
    "array_repeat",
    "array_replace",
    "array_replace_all",
    "array_replace_n",
    "array_resize",
    "array_to_string",
    "arrow_cast",
    "arrow_try_cast",
    "cast_to_type",
    "generate_series",
    "list_join",
    "list_repeat",
    "list_replace",
    "list_replace_all",
    "list_replace_n",
    "list_resize",
    "list_to_string",
    "lpad",
    "range",
    "regexp_replace",
    "repeat",
    "rpad",
    "try_cast_to_type",
];

/// Functions whose values are as long as those of their arguments together.
const JOINING: [&str; 21] = [
    "array_append",
    "array_cat",
    "array_concat",
    "array_prepend",
    "array_push_back",
    "array_push_front",
    "array_union",
    "arrays_zip",
    "concat",
    "concat_ws",
    "list_append",
    "list_cat",
    "list_concat",
    "list_prepend",
    "list_push_back",
    "list_push_front",
    "list_union",
    "list_zip",
    "make_array",
    "make_list",
    "overlay",
];

/// Functions whose values are so many times as long as their argument: hexadecimal digits, and elements of lists for single characters.
const MULTIPLYING: [(&str, u64); 3] = [("encode", 2), ("string_to_array", 16), ("string_to_list", 16)];

/// Functions whose values are as long as a format says, each letter of it some twenty at most.
const FORMATTING: [&str; 2] = ["date_format", "to_char"];
const FORMAT_BYTES_MAX: usize = 64;

/// At most how many times as long a question makes a value.
///
/// # Errors
/// [`Error::Question`] when it is more than may be, or cannot be known.
pub(super) fn growth(question: &impl Visit) -> Result<u64> {
    // The last one is of what stands in no query: a condition.
    let mut growth = Growth { open: vec![Level::default()], product: 1 };
    if let ControlFlow::Break(error) = question.visit(&mut growth) {
        return Err(error);
    }
    let all =
        growth.open.iter().fold(growth.product, |product, level| product.saturating_mul(level.factor()));
    if all > GROWTH_MAX {
        let detail = "it joins or repeats texts so often that rows may become";
        return Err(Error::Question(format!("{detail} {all} times as long: {GROWTH_MAX} times is the most")));
    }
    Ok(all)
}

/// Queries within queries multiply, each with what stands in it.
struct Growth {
    open: Vec<Level>,
    product: u64,
}

struct Level {
    sum: u64,
    product: u64,
    calls: u64,
    literals: u64,
}

impl Default for Level {
    fn default() -> Self {
        Self { sum: 1, product: 1, calls: 0, literals: 0 }
    }
}

impl Level {
    fn factor(&self) -> u64 {
        let sum = self.sum + self.calls / CALLS_OF_ONE + self.literals / LITERAL_OF_ONE;
        sum.saturating_mul(self.product)
    }
}

impl Growth {
    fn level(&mut self) -> &mut Level {
        if self.open.is_empty() {
            self.open.push(Level::default());
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    fn call(&mut self, name: &str, arguments: &FunctionArguments) -> ControlFlow<Error> {
        let level = self.level();
        level.calls += 1;
        if LEFT_OUT.contains(&name) {
            let detail =
                format!("`{name}` is not there: it makes so much of little that no bound would hold");
            return ControlFlow::Break(Error::Question(detail));
        }
        let list = match arguments {
            FunctionArguments::List(list) => list.args.as_slice(),
            _ => &[],
        };
        if JOINING.contains(&name) {
            level.sum += list.len() as u64;
        } else if let Some((_, times)) = MULTIPLYING.iter().find(|(known, _)| *known == name) {
            level.product = level.product.saturating_mul(*times);
        } else if FORMATTING.contains(&name) {
            level.sum += 4;
            if list.get(1).and_then(text_of).is_none_or(|format| format.len() > FORMAT_BYTES_MAX) {
                let detail = format!(
                    "`{name}` takes a format of {FORMAT_BYTES_MAX} bytes at most, as a text: {name}(time, '%Y-%m')"
                );
                return ControlFlow::Break(Error::Question(detail));
            }
        } else if name == "replace" {
            let [_, from, to] = list else { return ControlFlow::Continue(()) };
            let (Some(from), Some(to)) = (text_of(from), text_of(to)) else {
                let detail =
                    "`replace` takes two texts to replace by each other: replace(inputs.x, 'a', 'b')";
                return ControlFlow::Break(Error::Question(detail.into()));
            };
            if from.is_empty() {
                return ControlFlow::Break(Error::Question("`replace` of an empty text".into()));
            }
            level.product = level.product.saturating_mul(to.len().div_ceil(from.len()).max(1) as u64);
        }
        ControlFlow::Continue(())
    }
}

/// The text that an argument is.
fn text_of(argument: &FunctionArg) -> Option<&str> {
    let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(value))) = argument else { return None };
    match &value.value {
        Value::SingleQuotedString(text) => Some(text),
        _ => None,
    }
}

impl Visitor for Growth {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Error> {
        if query.with.as_ref().is_some_and(|with| with.recursive) {
            let detail = "WITH RECURSIVE is not there: how much it makes is not known before";
            return ControlFlow::Break(Error::Question(detail.into()));
        }
        self.open.push(Level::default());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Error> {
        if let Some(level) = self.open.pop() {
            self.product = self.product.saturating_mul(level.factor());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<Error> {
        match expr {
            Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => self.level().sum += 1,
            Expr::Overlay { .. } => self.level().sum += 2,
            Expr::Array(array) => self.level().sum += array.elem.len() as u64,
            Expr::Function(function) => {
                let name = function.name.0.last().and_then(|part| part.as_ident());
                let name = name.map(|name| name.value.to_ascii_lowercase()).unwrap_or_default();
                return self.call(&name, &function.args);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_value(&mut self, value: &ValueWithSpan) -> ControlFlow<Error> {
        self.level().literals += value.value.to_string().len() as u64;
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::ask::question::{Condition, Query};

    #[track_caller]
    fn refused(text: &str) -> String {
        let is_query = ["SELECT", "WITH"].iter().any(|begins| text.starts_with(begins));
        let refused = if is_query { Query::parse(text).err() } else { Condition::parse(text).err() };
        match refused {
            Some(Error::Question(why)) => why,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_question_as_people_ask_it_grows_little() {
        for (text, expected) in [
            ("SELECT version, count(*), avg(outputs.p) FROM credit GROUP BY version", 1),
            ("SELECT model || '@' || version AS v FROM records", 3),
            ("SELECT concat(a, b, c), replace(d, 'ab', 'c') FROM records", 4),
            ("SELECT replace(a, ',', ', ') FROM records", 2),
            ("SELECT to_char(time, '%Y-%m') FROM records", 5),
            ("SELECT encode(a, 'hex') FROM records", 2),
            ("WITH t AS (SELECT a || b AS c FROM records) SELECT c || c FROM t", 4),
            ("SELECT a || b FROM records UNION ALL SELECT c || d FROM records", 3),
        ] {
            assert_eq!(Query::parse(text).unwrap().growth, expected, "{text}");
        }
        let many =
            (0..200).map(|number| format!("inputs.x <> 'id-{number}'")).collect::<Vec<_>>().join(" AND ");
        assert!(Condition::parse(&many).unwrap().growth < 10);
        assert_eq!(Condition::parse("inputs.age > 60 AND inputs.purpose ILIKE '%car%'").unwrap().growth, 1);
    }

    #[test]
    fn what_makes_much_of_little_is_refused() {
        for text in [
            "repeat(inputs.purpose, 300000000) = ''",
            "LPAD(inputs.purpose, 2000000000, 'x') = 'a'",
            "length(concat(repeat('x', 10), 'y')) > 1",
        ] {
            assert!(refused(text).contains("is not there"), "{text}");
        }
        assert!(
            refused("WITH RECURSIVE t AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM t) SELECT * FROM t")
                .contains("RECURSIVE")
        );
        let wide = format!("SELECT concat({}) FROM records", vec!["a"; 100].join(","));
        let long = format!("SELECT '{}' FROM records", "x".repeat(30_000));
        let calls = format!("SELECT {} FROM records", vec!["upper(a)"; 3_000].join(","));
        let coded = format!("{}a{}", "encode(".repeat(20), ", 'hex')".repeat(20));
        let deep = (0..7).fold("SELECT a FROM records".to_owned(), |inner, _| {
            format!("SELECT a || a AS a FROM ({inner})")
        });
        for text in [&wide, &long, &calls, &coded, &deep] {
            assert!(refused(text).contains("times as long"), "{text}");
        }
        for text in ["replace(a, b, 'x') = ''", "replace(a, 'x', b) = ''", "replace(a, '', 'x') = ''"] {
            assert!(refused(text).contains("`replace`"), "{text}");
        }
        assert!(refused("to_char(time, a) = ''").contains("takes a format"));
        assert!(refused(&format!("replace(a, 'x', '{}') = ''", "y".repeat(65))).contains("times as long"));
    }

    /// A new version of the query engine may bring functions of which it has to be said whether they grow.
    #[test]
    fn of_every_function_it_is_known_whether_it_grows() {
        let context = SessionContext::new();
        let state = context.state();
        let there: BTreeSet<&str> = state.scalar_functions().keys().map(String::as_str).collect();
        let plain: BTreeSet<&str> = PLAIN.split_whitespace().collect();
        let known: BTreeSet<&str> = plain
            .iter()
            .copied()
            .chain(LEFT_OUT)
            .chain(JOINING)
            .chain(MULTIPLYING.map(|(name, _)| name))
            .chain(FORMATTING)
            .chain(["replace"])
            .collect();
        let unknown: Vec<_> = there.difference(&known).collect();
        assert!(unknown.is_empty(), "do these make values longer? {unknown:?}");
        let gone: Vec<_> = known.difference(&there).collect();
        assert!(gone.is_empty(), "they are not there: {gone:?}");
    }

    /// Those whose values are no longer than their arguments, but for a constant.
    const PLAIN: &str = "
        abs acos acosh array_add array_any_value array_avg array_compact array_contains array_dims array_distance array_distinct
        array_element array_empty array_except array_extract array_has array_has_all array_has_any array_indexof array_intersect
        array_length array_max array_min array_ndims array_normalize array_pop_back array_pop_front array_position
        array_positions array_product array_remove array_remove_all array_remove_n array_reverse array_scale array_slice
        array_sort array_subtract array_sum arrays_overlap arrow_field arrow_metadata arrow_typeof ascii asin asinh atan atan2
        atanh bit_length btrim cardinality cbrt ceil char_length character_length chr coalesce contains cos cosh cosine_distance
        cot current_date current_time current_timestamp date_bin date_part date_trunc datepart datetrunc decode degrees
        dot_product element_at empty ends_with exp factorial file_row_index find_in_set flatten floor from_unixtime gcd
        get_field greatest ifnull initcap inner_product input_file_name instr isnan iszero lcm least left length levenshtein
        list_add list_any_value list_avg list_compact list_contains list_dims list_distance list_distinct list_element
        list_empty list_except list_extract list_has list_has_all list_has_any list_indexof list_intersect list_length list_max
        list_ndims list_normalize list_pop_back list_pop_front list_position list_positions list_product list_remove
        list_remove_all list_remove_n list_reverse list_scale list_slice list_sort list_subtract list_sum ln log log10 log2
        lower ltrim make_date make_time map map_entries map_extract map_keys map_values named_struct nanvl now nullif nvl nvl2
        octet_length pi position pow power radians rand random regexp_count regexp_instr regexp_like regexp_match reverse right
        round row rtrim signum sin sinh split_part sqrt starts_with strpos struct substr substr_index substring substring_index
        tan tanh to_date to_hex to_local_time to_time to_timestamp to_timestamp_micros to_timestamp_millis to_timestamp_nanos
        to_timestamp_seconds to_unixtime today translate trim trunc union_extract union_tag upper uuid version with_metadata
    ";
}
