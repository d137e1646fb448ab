//! The columns that a stream's schema names, as far as they have a place in a record. Edge: names and types; values are in `batch` and `value`.

use arrow_ipc::{DateUnit, Endianness, Field, Int, Precision, Schema, TimeUnit, Type};
use minutebook_present::json::Problem as Wrong;
use minutebook_record::limits::{FIELDS_MAX, NESTING_MAX};
use minutebook_record::{FieldType, IntegerType, Zone};

/// Columns of a schema with those within them: each is looked at for each batch.
const COLUMNS_MAX: usize = 2 * FIELDS_MAX;

/// A column, or what is within one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) sort: Sort,
    pub(super) children: Vec<Column>,
    /// Where its rows are places in a dictionary: `sort` and `children` are of that.
    pub(super) labels: Option<Labels>,
    /// Of a structure: its children in the order of their encoded names.
    pub(super) order: Vec<usize>,
}

/// How the places in a dictionary are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Labels {
    pub(super) id: i64,
    pub(super) width: usize,
    pub(super) signed: bool,
}

/// How long values know their place: by offsets of 4 or 8 bytes, or by a view each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Extent {
    Small,
    Large,
    View,
}

/// What a column holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sort {
    Null,
    Bool,
    /// Bytes of each, and whether there are negative ones.
    Int(usize, bool),
    /// Bytes of each.
    Float(usize),
    Text(Extent),
    Bytes(Extent),
    FixedBytes(usize),
    Days,
    /// Days, in milliseconds.
    DayMilliseconds,
    /// Units in a second; the zone, when there is one.
    Timestamp(i64, Option<String>),
    /// Units in a second.
    Duration(i64),
    /// Bytes of each, digits behind the point.
    Decimal(usize, i32),
    List(Extent),
    FixedList(usize),
    Struct,
    Map,
}

/// The columns of a schema, or what is wrong with each that has no place in a record.
///
/// # Errors
/// Names with what is wrong.
pub(super) fn columns(schema: Schema<'_>) -> Result<Vec<Column>, Vec<Wrong>> {
    if schema.endianness() != Endianness::Little {
        return Err(vec![Wrong::new("the numbers are big-endian").remedy("write them little-endian")]);
    }
    let (mut columns, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    for field in schema.fields().into_iter().flatten() {
        match column(field, 0, &mut count) {
            Ok(column) => columns.push(column),
            Err(error) => wrong.push(named(error, field.name().unwrap_or_default())),
        }
        if count > COLUMNS_MAX {
            break;
        }
    }
    if wrong.is_empty() { Ok(columns) } else { Err(wrong) }
}

/// What is wrong, in a column of this name: `inputs.a.b` is the field `a.b` of `inputs`.
pub(super) fn named(wrong: Wrong, name: &str) -> Wrong {
    match name.split_once('.') {
        Some((member, field)) => wrong.within(field).within(member),
        None => wrong.within(name),
    }
}

fn column(field: Field<'_>, depth: usize, count: &mut usize) -> Result<Column, Wrong> {
    *count += 1;
    if *count > COLUMNS_MAX {
        return Err(Wrong::new(format!("more than {COLUMNS_MAX} columns")));
    }
    if depth > NESTING_MAX {
        return Err(Wrong::new(format!("lists and maps are nested deeper than {NESTING_MAX}")));
    }
    let name = field.name().unwrap_or_default().to_owned();
    let sort = sort(field)?;
    let mut children = Vec::new();
    if matches!(sort, Sort::List(_) | Sort::FixedList(_) | Sort::Struct | Sort::Map) {
        for child in field.children().into_iter().flatten() {
            let inner = column(child, depth + 1, count);
            children.push(inner.map_err(|wrong| wrong.within(child.name().unwrap_or_default()))?);
        }
    }
    let is_whole = match sort {
        Sort::List(_) | Sort::FixedList(_) => children.len() == 1,
        Sort::Map => {
            matches!(children.as_slice(), [Column { sort: Sort::Struct, children, labels: None, .. }]
            if children.len() == 2)
        }
        _ => true,
    };
    if !is_whole {
        return Err(Wrong::new("its type is not whole"));
    }
    let labels = field.dictionary().map(|dictionary| {
        let index = dictionary.indexType();
        // The format says what holds when nothing is said.
        let (width, signed) = index.map_or(Ok((4, true)), int)?;
        Ok(Labels { id: dictionary.id(), width, signed })
    });
    let order = if sort == Sort::Struct { order(&children)? } else { Vec::new() };
    Ok(Column { name, sort, children, labels: labels.transpose()?, order })
}

/// The order in which the members of a map are encoded.
fn order(children: &[Column]) -> Result<Vec<usize>, Wrong> {
    let key = |place: usize| (children[place].name.len(), children[place].name.as_bytes());
    let mut order: Vec<usize> = (0..children.len()).collect();
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    match order.windows(2).find(|two| key(two[0]) == key(two[1])) {
        Some(two) => Err(Wrong::new("is there twice").within(&children[two[0]].name)),
        None => Ok(order),
    }
}

fn int(int: Int<'_>) -> Result<(usize, bool), Wrong> {
    match int.bitWidth() {
        bits @ (8 | 16 | 32 | 64) => Ok((bits as usize / 8, int.is_signed())),
        bits => Err(Wrong::new(format!("integers of {bits} bits have no place in a record"))),
    }
}

fn unsupported(what: &str) -> Wrong {
    Wrong::new(format!("an Arrow column of `{what}` has no place in a record"))
        .remedy("cast it: the types are in docs/api.md")
}

fn per_second(unit: TimeUnit) -> Result<i64, Wrong> {
    match unit {
        TimeUnit::SECOND => Ok(1),
        TimeUnit::MILLISECOND => Ok(1_000),
        TimeUnit::MICROSECOND => Ok(1_000_000),
        TimeUnit::NANOSECOND => Ok(1_000_000_000),
        _ => Err(unsupported("another unit of time")),
    }
}

fn size(bytes: i32) -> Result<usize, Wrong> {
    usize::try_from(bytes).map_err(|_| Wrong::new("its size is below zero"))
}

fn sort(field: Field<'_>) -> Result<Sort, Wrong> {
    let torn = || Wrong::new("its type is not whole");
    Ok(match field.type_type() {
        Type::Null => Sort::Null,
        Type::Bool => Sort::Bool,
        Type::Int => {
            let (width, signed) = int(field.type_as_int().ok_or_else(torn)?)?;
            Sort::Int(width, signed)
        }
        Type::FloatingPoint => match field.type_as_floating_point().ok_or_else(torn)?.precision() {
            Precision::HALF => Sort::Float(2),
            Precision::SINGLE => Sort::Float(4),
            Precision::DOUBLE => Sort::Float(8),
            _ => return Err(unsupported("floats of another width")),
        },
        Type::Utf8 => Sort::Text(Extent::Small),
        Type::LargeUtf8 => Sort::Text(Extent::Large),
        Type::Utf8View => Sort::Text(Extent::View),
        Type::Binary => Sort::Bytes(Extent::Small),
        Type::LargeBinary => Sort::Bytes(Extent::Large),
        Type::BinaryView => Sort::Bytes(Extent::View),
        Type::FixedSizeBinary => {
            Sort::FixedBytes(size(field.type_as_fixed_size_binary().ok_or_else(torn)?.byteWidth())?)
        }
        Type::Date => match field.type_as_date().ok_or_else(torn)?.unit() {
            DateUnit::DAY => Sort::Days,
            DateUnit::MILLISECOND => Sort::DayMilliseconds,
            _ => return Err(unsupported("dates of another unit")),
        },
        Type::Timestamp => {
            let timestamp = field.type_as_timestamp().ok_or_else(torn)?;
            Sort::Timestamp(per_second(timestamp.unit())?, timestamp.timezone().map(str::to_owned))
        }
        Type::Duration => Sort::Duration(per_second(field.type_as_duration().ok_or_else(torn)?.unit())?),
        Type::Decimal => {
            let decimal = field.type_as_decimal().ok_or_else(torn)?;
            match decimal.bitWidth() {
                bits @ (32 | 64 | 128 | 256) => Sort::Decimal(bits as usize / 8, decimal.scale()),
                _ => return Err(unsupported("decimals of another width")),
            }
        }
        Type::List => Sort::List(Extent::Small),
        Type::LargeList => Sort::List(Extent::Large),
        Type::FixedSizeList => {
            Sort::FixedList(size(field.type_as_fixed_size_list().ok_or_else(torn)?.listSize())?)
        }
        Type::Struct_ => Sort::Struct,
        Type::Map => Sort::Map,
        other => return Err(unsupported(other.variant_name().unwrap_or("an unknown type"))),
    })
}

impl Column {
    /// The type of a field with its values.
    pub(super) fn field_type(&self) -> FieldType {
        use IntegerType as I;
        match &self.sort {
            Sort::Null => FieldType::Null,
            Sort::Bool => FieldType::Bool,
            Sort::Int(width, signed) => FieldType::Integer(match (width, signed) {
                (1, true) => I::I8,
                (2, true) => I::I16,
                (4, true) => I::I32,
                (_, true) => I::I64,
                (1, false) => I::U8,
                (2, false) => I::U16,
                (4, false) => I::U32,
                (_, false) => I::U64,
            }),
            Sort::Float(2) => FieldType::F16,
            Sort::Float(4) => FieldType::F32,
            Sort::Float(_) => FieldType::F64,
            Sort::Text(_) if self.labels.is_some() => FieldType::Category,
            Sort::Text(_) => FieldType::Text,
            Sort::Bytes(_) | Sort::FixedBytes(_) => FieldType::Bytes,
            Sort::Days | Sort::DayMilliseconds => FieldType::Date,
            Sort::Timestamp(_, None) => FieldType::DateTime,
            Sort::Timestamp(_, Some(zone)) => FieldType::Timestamp(Zone::new(zone).ok()),
            Sort::Duration(_) => FieldType::Duration,
            Sort::Decimal(..) => FieldType::Decimal,
            Sort::List(_) | Sort::FixedList(_) => FieldType::List,
            Sort::Struct | Sort::Map => FieldType::Map,
        }
    }

    /// This column and all within it.
    pub(super) fn each<'c>(&'c self, seen: &mut impl FnMut(&'c Column)) {
        seen(self);
        self.children.iter().for_each(|child| child.each(seen));
    }
}
