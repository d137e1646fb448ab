//! A tensor of the Open Inference Protocol: its elements as bytes in row-major order, or as they stand in the JSON where bytes cannot hold them.
//! Edge: one tensor; which row is whose is in `columns`.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use half::{bf16, f16};
use minutebook_present::json::{self, Members, Number, Problem, Tree};
use minutebook_record::{Element, Integer};

use crate::foreign::{self, object, owned};

/// A tensor that was read: as many elements as its shape says.
#[derive(Debug, Clone)]
pub(crate) struct Tensor {
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    elements: Elements,
}

#[derive(Debug, Clone)]
enum Elements {
    /// Numbers of one type, little-endian.
    Numbers(Element, Vec<u8>),
    /// Texts, and whatever is no number of the type that the tensor says it has.
    Values(Vec<Tree<'static>>),
}

/// What an element is called in the protocol.
fn element(datatype: &str) -> Option<Element> {
    Some(match datatype {
        "BOOL" => Element::Bool,
        "UINT8" => Element::U8,
        "UINT16" => Element::U16,
        "UINT32" => Element::U32,
        "UINT64" => Element::U64,
        "INT8" => Element::I8,
        "INT16" => Element::I16,
        "INT32" => Element::I32,
        "INT64" => Element::I64,
        "FP16" => Element::F16,
        // Records have no such type; this one holds each of its numbers.
        "BF16" | "FP32" => Element::F32,
        "FP64" => Element::F64,
        _ => return None,
    })
}

impl Tensor {
    /// Reads one of `inputs` or `outputs`. What it has as binary data is taken from the front of `binary`.
    pub(crate) fn read(tree: &Tree<'_>, binary: &mut &[u8]) -> Result<Self, Problem> {
        let missing = |name: &str| Problem::new(format!("member `{name}` is missing, or not of its type"));
        let name = foreign::text(tree, "name").ok_or_else(|| missing("name"))?.to_owned();
        let datatype = foreign::text(tree, "datatype").ok_or_else(|| missing("datatype"))?;
        let Some(Tree::Array(dimensions)) = foreign::get(tree, "shape") else { return Err(missing("shape")) };
        let shape = dimensions.iter().map(dimension).collect::<Option<Vec<_>>>();
        let shape = shape.ok_or_else(|| Problem::new("expected whole numbers from 0 on").within("shape"))?;
        let count = shape.iter().try_fold(1_usize, |count, next| count.checked_mul(*next));
        let count = count.ok_or_else(|| Problem::new("more elements than can be").within("shape"))?;
        let size = foreign::get(tree, "parameters")
            .and_then(|parameters| foreign::get(parameters, "binary_data_size"));
        let elements = match (size, foreign::get(tree, "data")) {
            (Some(size), _) => {
                let size = dimension(size).filter(|size| *size <= binary.len());
                let size = size.ok_or_else(|| {
                    Problem::new("the binary data behind the JSON is shorter than `binary_data_size` says")
                })?;
                let (bytes, rest) = binary.split_at(size);
                *binary = rest;
                from_binary(datatype, bytes, count)?
            }
            (None, Some(data)) => from_json(datatype, data, count)?,
            (None, None) => return Err(missing("data")),
        };
        if elements.len() != count {
            let what = format!("{} elements, and the shape asks for {count}", elements.len());
            return Err(Problem::new(what).within("data"));
        }
        Ok(Self { name, shape, elements })
    }

    /// The elements from `start` on as a value: one alone, or a tensor or list of this shape.
    pub(crate) fn value(&self, start: usize, shape: &[usize]) -> Tree<'static> {
        let count = shape.iter().product::<usize>();
        match &self.elements {
            Elements::Values(values) if count == 1 => values[start].clone(),
            Elements::Values(values) => Tree::Array(values[start..start + count].to_vec()),
            Elements::Numbers(element, bytes) => {
                let size = element.size();
                let bytes = &bytes[start * size..(start + count) * size];
                if count == 1 { number(*element, bytes) } else { tensor(*element, shape, bytes) }
            }
        }
    }
}

impl Elements {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(element, bytes) => bytes.len() / element.size(),
            Self::Values(values) => values.len(),
        }
    }
}

fn dimension(tree: &Tree<'_>) -> Option<usize> {
    match tree {
        Tree::Integer(value) => usize::try_from(value.get()).ok(),
        _ => None,
    }
}

fn from_json(datatype: &str, data: &Tree<'_>, count: usize) -> Result<Elements, Problem> {
    let mut flat = Vec::new();
    flatten(data, &mut flat);
    if flat.len() != count {
        let what = format!("{} elements, and the shape asks for {count}", flat.len());
        return Err(Problem::new(what).within("data"));
    }
    if let Some(element) = element(datatype) {
        let mut bytes = Vec::with_capacity(flat.len().saturating_mul(element.size()));
        if flat.iter().all(|item| push(element, item, &mut bytes).is_some()) {
            return Ok(Elements::Numbers(element, bytes));
        }
    }
    Ok(Elements::Values(flat.into_iter().map(foreign::value).collect()))
}

/// The elements of `data`, flat or nested, in row-major order.
fn flatten<'t, 'a>(data: &'t Tree<'a>, flat: &mut Vec<&'t Tree<'a>>) {
    match data {
        Tree::Array(items) => items.iter().for_each(|item| flatten(item, flat)),
        item => flat.push(item),
    }
}

/// Appends a number as the type has it; nothing when it is none of that type.
fn push(element: Element, item: &Tree<'_>, bytes: &mut Vec<u8>) -> Option<()> {
    match (element, item) {
        (Element::Bool, Tree::Bool(value)) => bytes.push(u8::from(*value)),
        (Element::F16, _) => bytes.extend_from_slice(&f16::from_f64(float(item)?).to_le_bytes()),
        (Element::F32, _) => bytes.extend_from_slice(&(float(item)? as f32).to_le_bytes()),
        (Element::F64, _) => bytes.extend_from_slice(&float(item)?.to_le_bytes()),
        (whole, Tree::Integer(value)) => json::write_whole(whole, value.get(), bytes)?,
        _ => return None,
    }
    Some(())
}

fn float(item: &Tree<'_>) -> Option<f64> {
    match item {
        Tree::Float(value) => Some(*value),
        Tree::Integer(value) => Some(value.get() as f64),
        _ => None,
    }
}

fn from_binary(datatype: &str, bytes: &[u8], count: usize) -> Result<Elements, Problem> {
    if datatype == "BYTES" {
        return texts(bytes).map(Elements::Values);
    }
    let unknown = || Problem::new("binary data of a type that the protocol does not have").within("datatype");
    let element = element(datatype).ok_or_else(unknown)?;
    let wide;
    let bytes = if datatype == "BF16" {
        wide = bytes
            .chunks_exact(2)
            .flat_map(|two| bf16::from_le_bytes([two[0], two[1]]).to_f32().to_le_bytes());
        Cow::Owned(wide.collect::<Vec<u8>>())
    } else {
        Cow::Borrowed(bytes)
    };
    if count.checked_mul(element.size()) != Some(bytes.len()) {
        return Err(Problem::new("`binary_data_size` does not go with the shape"));
    }
    if element == Element::Bool && bytes.iter().any(|byte| *byte > 1) {
        return Err(Problem::new("a truth value that is neither 0 nor 1"));
    }
    Ok(Elements::Numbers(element, bytes.into_owned()))
}

/// Texts with their length in four bytes before each.
fn texts(mut bytes: &[u8]) -> Result<Vec<Tree<'static>>, Problem> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let text = rest.split_at_checked(u32::from_le_bytes(*length) as usize);
        let (text, rest) = text.ok_or_else(|| Problem::new("a text that ends behind the binary data"))?;
        found.push(match std::str::from_utf8(text) {
            Ok(text) => owned(text),
            Err(_) => object("$bytes", owned(BASE64.encode(text))),
        });
        bytes = rest;
    }
    if bytes.is_empty() { Ok(found) } else { Err(Problem::new("the binary data ends within a length")) }
}

/// A number with its type, where JSON alone would not tell it.
fn number(element: Element, bytes: &[u8]) -> Tree<'static> {
    let value = match json::number(element, bytes) {
        Number::Bool(value) => Tree::Bool(value),
        Number::Integer(value) => Tree::Integer(value),
        Number::Single(value) => foreign::float(value.into()),
        Number::Double(value) => foreign::float(value),
    };
    if matches!(element, Element::Bool | Element::F64 | Element::I64) {
        return value;
    }
    let typed: Members<'static> =
        vec![(Cow::Borrowed("type"), owned(element.name())), (Cow::Borrowed("value"), value)];
    object("$typed", Tree::Object(typed))
}

fn tensor(element: Element, shape: &[usize], bytes: &[u8]) -> Tree<'static> {
    let shape = shape.iter().map(|length| Tree::Integer(Integer::from(*length as u64))).collect();
    object(
        "$tensor",
        Tree::Object(vec![
            (Cow::Borrowed("dtype"), owned(element.name())),
            (Cow::Borrowed("shape"), Tree::Array(shape)),
            (Cow::Borrowed("base64"), owned(BASE64.encode(bytes))),
        ]),
    )
}
