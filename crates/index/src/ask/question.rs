//! The text of a question: parsed, held to what may be asked, names of columns made whole. Edge: text and syntax; running it is `session`'s.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Ident, ObjectName, Statement, UnaryOperator, Value, Visit, VisitMut, Visitor,
    visit_expressions, visit_expressions_mut, visit_relations,
};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;
use minutebook_record::Kind;

use super::growth::growth;
use crate::column::ColumnType;
use crate::error::{Error, Result};
use crate::limits::QUESTION_BYTES_MAX;

/// What stands before the names of fields, besides the kinds of records.
const GROUPS: [&str; 10] = [
    "inputs",
    "outputs",
    "params",
    "tags",
    "environment",
    "attributions",
    "explanation",
    "kept",
    "batch",
    "fields",
];

/// Levels of brackets: a parser that calls itself needs a bound.
const DEPTH_MAX: usize = 100;

/// A boolean expression.
#[derive(Debug, Clone)]
pub struct Condition {
    expr: Expr,
    /// How many times as long it makes values.
    pub growth: u64,
}

fn is_group(name: &str) -> bool {
    GROUPS.contains(&name) || Kind::ALL.into_iter().any(|kind| kind.name() == name)
}

fn bounded(text: &str) -> Result<()> {
    if text.len() > QUESTION_BYTES_MAX {
        return Err(Error::Question(format!("the question is longer than {QUESTION_BYTES_MAX} bytes")));
    }
    Ok(())
}

fn wrong(error: impl std::fmt::Display) -> Error {
    let text = error.to_string();
    let text = text.trim_start_matches("sql parser error: ");
    Error::Question(format!("not SQL: {text}"))
}

/// `NAME.rest` of the fields of a record becomes one name: `inputs.age` is the column `"inputs.age"`.
fn whole(parts: &[Ident]) -> Option<Vec<Ident>> {
    let at = parts.iter().position(|part| is_group(&part.value))?;
    if at + 1 >= parts.len() {
        return None;
    }
    let name = parts[at..].iter().map(|part| part.value.as_str()).collect::<Vec<_>>().join(".");
    let mut out = parts[..at].to_vec();
    out.push(Ident::with_quote('"', name));
    Some(out)
}

fn make_whole(expr: &mut Expr) {
    let Expr::CompoundIdentifier(parts) = expr else { return };
    if let Some(mut parts) = whole(parts) {
        *expr = match parts.pop() {
            Some(only) if parts.is_empty() => Expr::Identifier(only),
            Some(last) => {
                parts.push(last);
                Expr::CompoundIdentifier(parts)
            }
            None => return,
        };
    }
}

/// The name of the column that an expression is, when it is one.
fn column_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Identifier(name) => Some(&name.value),
        Expr::CompoundIdentifier(parts) => parts.last().map(|part| part.value.as_str()),
        Expr::Nested(inner) => column_of(inner),
        _ => None,
    }
}

fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr } => is_number(expr),
        Expr::Nested(inner) => is_number(inner),
        _ => false,
    }
}

/// A column whose values are of several types, read as a number where it is compared with one.
fn as_number(expr: &mut Expr, mixed: &dyn Fn(&str) -> bool) {
    if !column_of(expr).is_some_and(mixed) {
        return;
    }
    let text = format!("TRY_CAST({expr} AS DOUBLE)");
    if let Ok(cast) = expression(&text) {
        *expr = cast;
    }
}

fn compare_numbers(expr: &mut Expr, mixed: &dyn Fn(&str) -> bool) {
    use BinaryOperator as Op;
    match expr {
        Expr::BinaryOp { left, op, right } => {
            let compares = matches!(op, Op::Gt | Op::Lt | Op::GtEq | Op::LtEq | Op::Eq | Op::NotEq);
            if compares && is_number(right) {
                as_number(left, mixed);
            } else if compares && is_number(left) {
                as_number(right, mixed);
            }
        }
        Expr::Between { expr, low, high, .. } if is_number(low) && is_number(high) => as_number(expr, mixed),
        Expr::InList { expr, list, .. } if !list.is_empty() && list.iter().all(is_number) => {
            as_number(expr, mixed);
        }
        _ => {}
    }
}

/// `subject = 'x'` also finds records that are about several.
fn several_subjects(expr: &mut Expr) {
    let Expr::BinaryOp { left, op: BinaryOperator::Eq, right } = expr else { return };
    let (column, text) = if column_of(left) == Some("subject") { (left, right) } else { (right, left) };
    let is_text =
        matches!(text.as_ref(), Expr::Value(value) if matches!(value.value, Value::SingleQuotedString(_)));
    if column_of(column) != Some("subject") || !is_text {
        return;
    }
    if let Ok(both) = expression(&format!("({column} = {text} OR array_has(\"subjects\", {text}))")) {
        *expr = both;
    }
}

fn expression(text: &str) -> Result<Expr> {
    let mut parser =
        Parser::new(&GenericDialect {}).with_recursion_limit(DEPTH_MAX).try_with_sql(text).map_err(wrong)?;
    let expr = parser.parse_expr().map_err(wrong)?;
    match parser.peek_token().token {
        datafusion::sql::sqlparser::tokenizer::Token::EOF => Ok(expr),
        other => Err(Error::Question(format!(
            "`{other}` is too much: a condition is one expression, such as inputs.age > 60"
        ))),
    }
}

impl Condition {
    /// Reads a boolean expression over columns.
    ///
    /// # Errors
    /// [`Error::Question`] when it is none, or asks for other tables.
    pub fn parse(text: &str) -> Result<Self> {
        bounded(text)?;
        let mut expr = expression(text)?;
        let flow = visit_expressions(&expr, |expr| match expr {
            Expr::Subquery(_) | Expr::Exists { .. } | Expr::InSubquery { .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if flow.is_break() {
            return Err(Error::Question("a condition asks no other tables: use `sql` for that".into()));
        }
        let growth = growth(&expr)?;
        let _: ControlFlow<()> = visit_expressions_mut(&mut expr, |expr| {
            make_whole(expr);
            ControlFlow::Continue(())
        });
        Ok(Self { expr, growth })
    }

    /// The columns that it names.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        let _: ControlFlow<()> = visit_expressions(&self.expr, |expr| {
            names.extend(column_of(expr).filter(|_| !matches!(expr, Expr::Nested(_))).map(str::to_owned));
            ControlFlow::Continue(())
        });
        names
    }

    /// It as SQL for a table with these columns.
    pub fn sql(&self, types: &HashMap<String, ColumnType>) -> String {
        let mut expr = self.expr.clone();
        prepare(&mut expr, types);
        expr.to_string()
    }
}

/// Has a condition or a whole statement compare what tables with these columns hold.
fn prepare<Q: VisitMut>(question: &mut Q, types: &HashMap<String, ColumnType>) {
    let mixed = |name: &str| types.get(name).is_some_and(|kind| kind.is_mixed());
    let has_several = types.get("subjects") == Some(&ColumnType::Texts);
    let _: ControlFlow<()> = visit_expressions_mut(question, |expr| {
        compare_numbers(expr, &mixed);
        if has_several {
            several_subjects(expr);
        }
        ControlFlow::Continue(())
    });
}

/// A whole query: one SELECT.
#[derive(Debug)]
pub struct Query {
    statement: Statement,
    /// The tables that it names, as they are written.
    pub tables: BTreeSet<String>,
    /// Whether it asks how it would be answered.
    pub explains: bool,
    /// How many times as long it makes values.
    pub growth: u64,
}

impl Query {
    /// Reads one SELECT statement, or EXPLAIN of one.
    ///
    /// # Errors
    /// [`Error::Question`] for everything else.
    pub fn parse(text: &str) -> Result<Self> {
        bounded(text)?;
        let mut statements = Parser::new(&GenericDialect {})
            .with_recursion_limit(DEPTH_MAX)
            .try_with_sql(text)
            .map_err(wrong)?
            .parse_statements()
            .map_err(wrong)?;
        let (Some(mut statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Error::Question("one statement at a time".into()));
        };
        let is_read = match &statement {
            Statement::Query(query) => reads(query),
            Statement::Explain { statement, .. } => {
                matches!(statement.as_ref(), Statement::Query(query) if reads(query))
            }
            _ => false,
        };
        if !is_read {
            return Err(Error::Question("a trail is only read here: write a SELECT".into()));
        }
        let growth = growth(&statement)?;
        let mut tables = BTreeSet::new();
        let _: ControlFlow<()> = visit_relations(&statement, |name: &ObjectName| {
            tables.extend(name.0.last().and_then(|part| part.as_ident()).map(|part| part.value.clone()));
            ControlFlow::Continue(())
        });
        // Those that the query itself names.
        let with = defined(&statement);
        tables.retain(|name| !with.contains(name));
        let _: ControlFlow<()> = visit_expressions_mut(&mut statement, |expr| {
            make_whole(expr);
            ControlFlow::Continue(())
        });
        let explains = matches!(statement, Statement::Explain { .. });
        Ok(Self { statement, tables, explains, growth })
    }

    /// The statement for tables with these columns.
    pub fn statement(mut self, types: &HashMap<String, ColumnType>) -> Statement {
        prepare(&mut self.statement, types);
        self.statement
    }
}

/// The names that WITH gives.
fn defined(statement: &Statement) -> BTreeSet<String> {
    struct With(BTreeSet<String>);
    impl Visitor for With {
        type Break = ();

        fn pre_visit_query(&mut self, query: &datafusion::sql::sqlparser::ast::Query) -> ControlFlow<()> {
            let tables = query.with.iter().flat_map(|with| &with.cte_tables);
            self.0.extend(tables.map(|table| table.alias.name.value.clone()));
            ControlFlow::Continue(())
        }
    }
    let mut with = With(BTreeSet::new());
    let _ = statement.visit(&mut with);
    with.0
}

/// Whether a query writes nothing: SELECT INTO, and INSERT or UPDATE as the body of a query, do.
fn reads(query: &datafusion::sql::sqlparser::ast::Query) -> bool {
    use datafusion::sql::sqlparser::ast::SetExpr;
    fn body(set: &SetExpr) -> bool {
        match set {
            SetExpr::Select(select) => select.into.is_none(),
            SetExpr::Query(query) => reads(query),
            SetExpr::SetOperation { left, right, .. } => body(left) && body(right),
            SetExpr::Values(_) => true,
            _ => false,
        }
    }
    let with = query.with.iter().flat_map(|with| &with.cte_tables);
    body(&query.body) && with.into_iter().all(|table| reads(&table.query))
}

/// A name of a column as it stands in SQL.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A text as it stands in SQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn types(list: &[(&str, ColumnType)]) -> HashMap<String, ColumnType> {
        list.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect()
    }

    #[test]
    fn names_of_fields_are_one_column() {
        let none = types(&[]);
        for (text, expected) in [
            ("inputs.age > 60", "\"inputs.age\" > 60"),
            ("inputs.\"petal length (cm)\" > 1", "\"inputs.petal length (cm)\" > 1"),
            ("inputs.address.city = 'Ulm'", "\"inputs.address.city\" = 'Ulm'"),
            ("d.outputs.approve = false", "d.\"outputs.approve\" = false"),
            ("status <> 'ok' AND kept.rule = 'all'", "status <> 'ok' AND \"kept.rule\" = 'all'"),
        ] {
            assert_eq!(Condition::parse(text).unwrap().sql(&none), expected, "{text}");
        }
    }

    #[test]
    fn what_is_of_several_types_is_compared_as_a_number_with_numbers() {
        let mixed = types(&[("inputs.x", ColumnType::Mixed), ("inputs.y", ColumnType::Int)]);
        for (text, expected) in [
            ("inputs.x > -5", "TRY_CAST(\"inputs.x\" AS DOUBLE) > -5"),
            ("3 = inputs.x", "3 = TRY_CAST(\"inputs.x\" AS DOUBLE)"),
            ("inputs.x = 'a'", "\"inputs.x\" = 'a'"),
            ("inputs.y > 5", "\"inputs.y\" > 5"),
            ("inputs.x BETWEEN 1 AND 2", "TRY_CAST(\"inputs.x\" AS DOUBLE) BETWEEN 1 AND 2"),
            ("inputs.x IN (1, 2)", "TRY_CAST(\"inputs.x\" AS DOUBLE) IN (1, 2)"),
        ] {
            assert_eq!(Condition::parse(text).unwrap().sql(&mixed), expected, "{text}");
        }
    }

    #[test]
    fn nothing_but_reading_gets_through() {
        for text in [
            "DROP TABLE records",
            "INSERT INTO records VALUES (1)",
            "CREATE TABLE t AS SELECT 1",
            "CREATE EXTERNAL TABLE t STORED AS PARQUET LOCATION '/etc/passwd'",
            "COPY records TO '/tmp/x'",
            "SELECT * INTO t FROM records",
            "SET datafusion.execution.batch_size = 1",
            "SELECT 1; SELECT 2",
            "WITH t AS (DELETE FROM records) SELECT 1",
            "EXPLAIN DELETE FROM records",
            "",
        ] {
            assert!(Query::parse(text).is_err(), "{text}");
        }
        Query::parse("WITH t AS (SELECT 1 AS a) SELECT * FROM t UNION ALL SELECT 2").unwrap();
        Query::parse("EXPLAIN SELECT * FROM records").unwrap();
    }

    #[test]
    fn a_condition_is_one_expression() {
        for text in
            ["a = 1; DROP TABLE x", "a = 1) OR (1 = 1", "EXISTS (SELECT 1)", "a IN (SELECT b FROM c)", ""]
        {
            assert!(Condition::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}1 = 1{}", "(".repeat(5_000), ")".repeat(5_000));
        assert!(Condition::parse(&deep).is_err());
    }
}
