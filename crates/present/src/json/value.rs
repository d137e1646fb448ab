//! Values: a JSON value becomes the encoding of a field (`docs/formats/json.md`, "In"). Edge: sizes and
//! nesting are checked with the whole record, by its schema.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_record::{Element, FieldType, Integer, IntegerType, Tensor, Value, cbor, check};

use super::elements::write_whole;
use super::instant;
use super::member::{
    array, float, integer, members, object, parse_float, parse_integer, required, text, unsigned,
};
use super::problem::{Problem, Within};
use super::tree::{Members, Tree};

/// Appends the value of a whole field and gives its type.
///
/// # Errors
///
/// What is wrong with it; `out` may then hold a part of it.
pub(crate) fn write_field(tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<FieldType, Problem> {
    Ok(match tree {
        Tree::Null => {
            cbor::write_null(out);
            FieldType::Null
        }
        Tree::Bool(value) => {
            cbor::write_bool(out, *value);
            FieldType::Bool
        }
        Tree::Integer(value) => {
            cbor::write_integer(out, *value);
            integer_type(*value)
        }
        Tree::Float(value) => {
            cbor::write_float(out, *value);
            FieldType::F64
        }
        Tree::Text(value) => {
            cbor::write_text(out, value);
            FieldType::Text
        }
        Tree::Array(items) => {
            write_list(items, out)?;
            FieldType::List
        }
        Tree::Object(object) => match special(object)? {
            None => {
                write_map(object, out)?;
                FieldType::Map
            }
            Some(("$typed", content)) => write_typed(content, out).within("$typed")?,
            Some((name, content)) => write_special(name, content, out).within(name)?,
        },
    })
}

/// Appends a map: an object, or the content of `{"$map": …}`.
pub(crate) fn write_map_field(tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    let object = object(tree)?;
    match special(object)? {
        None => write_map(object, out),
        Some(("$map", content)) => write_map(self::object(content)?, out).within("$map"),
        Some((name, _)) => Err(Problem::new("expected an object of values").within(name)),
    }
}

fn integer_type(value: Integer) -> FieldType {
    FieldType::Integer(if i64::try_from(value.get()).is_ok() { IntegerType::I64 } else { IntegerType::U64 })
}

/// A value within a list or map. What has a type of its own there says so by its form.
fn write_inner(tree: &Tree<'_>, out: &mut Vec<u8>) -> Result<FieldType, Problem> {
    if let Tree::Object(object) = tree
        && let Some(("$typed", _)) = special(object)?
    {
        return Err(
            Problem::new("only a whole field has a type").remedy("leave out `$typed` within lists and maps")
        );
    }
    write_field(tree, out)
}

fn write_list(items: &[Tree<'_>], out: &mut Vec<u8>) -> Result<(), Problem> {
    cbor::write_array(out, items.len() as u64);
    items.iter().enumerate().try_for_each(|(place, item)| write_inner(item, out).map(drop).within_item(place))
}

/// Members of one object that are sorted without asking for memory.
const SORTED_IN_PLACE: usize = 32;

fn write_map(object: &Members<'_>, out: &mut Vec<u8>) -> Result<(), Problem> {
    // The order of the encoded keys: shorter ones first.
    let key = |place: u32| (object[place as usize].0.len(), object[place as usize].0.as_bytes());
    let mut few = [0; SORTED_IN_PLACE];
    let mut many = Vec::new();
    let order: &mut [u32] = if object.len() <= SORTED_IN_PLACE {
        &mut few[..object.len()]
    } else {
        many.resize(object.len(), 0);
        &mut many
    };
    order.iter_mut().zip(0..).for_each(|(slot, place)| *slot = place);
    order.sort_unstable_by(|a, b| key(*a).cmp(&key(*b)));
    if let Some(two) = order.windows(2).find(|two| key(two[0]) == key(two[1])) {
        return Err(super::member::twice().within(&object[two[0] as usize].0));
    }
    cbor::write_map(out, object.len() as u64);
    for place in order {
        let (name, value) = &object[*place as usize];
        cbor::write_text(out, name);
        write_inner(value, out).within(name)?;
    }
    Ok(())
}

/// The one member of an object that stands for a value that JSON lacks; `None` for any other object.
fn special<'t, 'a>(object: &'t Members<'a>) -> Result<Option<(&'t str, &'t Tree<'a>)>, Problem> {
    let Some((name, content)) = object.iter().find(|(name, _)| name.starts_with('$')) else {
        return Ok(None);
    };
    if object.len() == 1 {
        return Ok(Some((name, content)));
    }
    Err(unknown_special().within(name))
}

fn unknown_special() -> Problem {
    let what = "a name that begins with `$` stands alone and is one of those of docs/formats/json.md";
    Problem::new(what).remedy("put a map that has such names into {\"$map\": {…}}")
}

fn write_special(name: &str, content: &Tree<'_>, out: &mut Vec<u8>) -> Result<FieldType, Problem> {
    let value = match name {
        "$map" => {
            write_map(object(content)?, out)?;
            return Ok(FieldType::Map);
        }
        "$float" => Value::Float(parse_float(text(content)?)?),
        "$integer" => Value::Integer(parse_integer(text(content)?)?),
        "$bytes" => Value::Bytes(base64(content)?),
        "$timestamp" => Value::Timestamp(instant::read_timestamp(content)?),
        "$datetime" => {
            instant::read_datetime(content)?.write_timestamp(out);
            return Ok(FieldType::DateTime);
        }
        "$date" => Value::Date(instant::read_date(content)?),
        "$duration" => Value::Duration(instant::read_duration(content)?),
        "$decimal" => decimal(text(content)?)?,
        "$tensor" => Value::Tensor(tensor(content)?),
        "$blob" => {
            return Err(
                Problem::new("the content of a blob is not taken from JSON").remedy("leave the field out")
            );
        }
        _ => return Err(unknown_special()),
    };
    value.write(out);
    Ok(value.natural_type())
}

fn base64(tree: &Tree<'_>) -> Result<Vec<u8>, Problem> {
    BASE64.decode(text(tree)?).map_err(|_| Problem::new("not base64 (RFC 4648 §4, with padding)"))
}

/// `{"type": …, "value": …}`.
fn write_typed(content: &Tree<'_>, out: &mut Vec<u8>) -> Result<FieldType, Problem> {
    let [name, _] = members(content, &["type", "value"])?;
    // A null is a value here, so it is looked for by itself.
    let value = object(content)?.iter().find(|(name, _)| name == "value").map(|(_, value)| value);
    let value = required(value, "value")?;
    let name = text(required(name, "type")?).within("type")?;
    let field_type: FieldType = name.parse().map_err(|_| {
        Problem::new("unknown type of a field")
            .remedy("the types stand in docs/formats/record.md")
            .within("type")
    })?;
    use FieldType as T;
    if matches!(field_type, T::Event | T::Model | T::Attributions | T::Explanation | T::Subject | T::Blob) {
        return Err(Problem::new("a value of this type cannot be given so").within("type"));
    }
    let start = out.len();
    write_as(value, &field_type, out).within("value")?;
    match check(&field_type, &out[start..]) {
        Ok(length) if length == out.len() - start => Ok(field_type),
        Ok(_) => Err(Problem::new("the value is not of its type").within("value")),
        Err(error) => {
            Err(Problem::new(format!("the value is not of its type: {}", error.fault)).within("value"))
        }
    }
}

fn write_as(value: &Tree<'_>, field_type: &FieldType, out: &mut Vec<u8>) -> Result<(), Problem> {
    let is_number = match value {
        Tree::Integer(_) | Tree::Float(_) => true,
        Tree::Object(object) => object.first().is_some_and(|(name, _)| name == "$float"),
        _ => false,
    };
    match field_type {
        FieldType::Truncated(truncation) => return write_as(value, truncation.of(), out),
        // Rounded, as the language did that the value is from.
        FieldType::F32 if is_number => cbor::write_float32(out, float(value)? as f32),
        FieldType::F16 | FieldType::F64 | FieldType::Bucketed(_) if is_number => {
            cbor::write_float(out, float(value)?)
        }
        FieldType::DateTime if matches!(value, Tree::Text(_)) => {
            instant::read_datetime(value)?.write_timestamp(out)
        }
        FieldType::Timestamp(_) if matches!(value, Tree::Text(_)) => {
            instant::read_timestamp(value)?.write_timestamp(out)
        }
        _ => {
            let natural = write_inner(value, out)?;
            // Tensors of truth values and of bytes have the same encoding, so only the types can be compared.
            if matches!(natural, FieldType::Tensor(_)) && natural != *field_type {
                return Err(Problem::new("`dtype` is another than the type says"));
            }
        }
    }
    Ok(())
}

/// `[-]digits[.digits][E[-]digits]`: the exponent is kept, so 12.50 is not 12.5.
fn decimal(written: &str) -> Result<Value, Problem> {
    let refused = || Problem::new("not a decimal number").remedy("write it as 12.50 or 1250E-2");
    let (number, power) = match written.split_once(['E', 'e']) {
        Some((number, power)) => {
            (number, power.strip_prefix('+').unwrap_or(power).parse::<i64>().map_err(|_| refused())?)
        }
        None => (written, 0),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    if digits.is_empty() || (number.contains('.') && fraction.is_empty()) {
        return Err(refused());
    }
    let mantissa = parse_integer(&format!("{whole}{fraction}"))?;
    let exponent = i32::try_from(power - fraction.len() as i64).map_err(|_| refused())?;
    Ok(Value::Decimal { exponent, mantissa })
}

fn tensor(content: &Tree<'_>) -> Result<Tensor, Problem> {
    let [dtype, shape, data, encoded] = members(content, &["dtype", "shape", "data", "base64"])?;
    let element: Element = text(required(dtype, "dtype")?)
        .within("dtype")?
        .parse()
        .map_err(|_| Problem::new("unknown type of elements").within("dtype"))?;
    let shape = array(required(shape, "shape")?).within("shape")?;
    let dimension = |(place, tree)| unsigned(tree).within_item(place);
    let shape = shape.iter().enumerate().map(dimension).collect::<Result<Vec<_>, _>>().within("shape")?;
    let data = match (data, encoded) {
        (Some(data), None) => {
            let items = array(data).within("data")?;
            let mut bytes = Vec::with_capacity(items.len().saturating_mul(element.size()));
            for (place, item) in items.iter().enumerate() {
                write_element(item, element, &mut bytes).within_item(place).within("data")?;
            }
            bytes
        }
        (None, Some(encoded)) => base64(encoded).within("base64")?,
        _ => return Err(Problem::new("a tensor has either `data` or `base64`")),
    };
    Ok(Tensor { element, shape, data })
}

fn write_element(item: &Tree<'_>, element: Element, bytes: &mut Vec<u8>) -> Result<(), Problem> {
    let range = || Problem::new("the number does not fit the type of the elements");
    match (element, item) {
        (Element::Bool, Tree::Bool(value)) => bytes.push(u8::from(*value)),
        (Element::F16, _) => {
            let mut item_bytes = Vec::with_capacity(9);
            cbor::write_float(&mut item_bytes, float(item)?);
            match *item_bytes.as_slice() {
                [0xf9, high, low] => bytes.extend_from_slice(&[low, high]),
                _ => {
                    return Err(
                        range().remedy("a half float has to hold it exactly; or give the bytes as `base64`")
                    );
                }
            }
        }
        (Element::F32, _) => bytes.extend_from_slice(&(float(item)? as f32).to_le_bytes()),
        (Element::F64, _) => bytes.extend_from_slice(&float(item)?.to_le_bytes()),
        (whole, _) => write_whole(whole, integer(item)?.get(), bytes).ok_or_else(range)?,
    }
    Ok(())
}
