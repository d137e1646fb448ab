//! A shape as a producer uses it: with its number in the parts, and what each push of a value has to fit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use minutebook_record::FieldType;

use crate::limits::SHAPES_SHARED;
use crate::shape::ShapeDef;

/// A shape declared to a producer. Cheap to clone; of use with that producer only, also in its children after a fork.
#[derive(Clone)]
pub struct Shape(pub(crate) Arc<ShapeInner>);

pub(crate) struct ShapeInner {
    pub(crate) number: u32,
    /// The producer.
    pub(crate) tag: u64,
    pub(crate) def: ShapeDef,
    pub(crate) expects: Box<[Expect]>,
}

impl Shape {
    /// The schema and its constants.
    #[must_use]
    pub fn def(&self) -> &ShapeDef {
        &self.0.def
    }
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shape").field("number", &self.0.number).finish_non_exhaustive()
    }
}

/// What the next value has to be, reduced to what the typed pushes ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Bool,
    Integer { min: i64, max: u64 },
    F64,
    F32,
    Text,
    Event,
    Other,
}

impl ShapeInner {
    pub(crate) fn new(number: u32, tag: u64, def: ShapeDef) -> Self {
        let fields = def.schema().fields();
        let expects = def.open_places().iter().map(|&place| Expect::of(&fields[place].field_type)).collect();
        Self { number, tag, def, expects }
    }
}

impl Expect {
    fn of(field_type: &FieldType) -> Self {
        match field_type {
            FieldType::Bool => Self::Bool,
            FieldType::Integer(integer) => {
                let (min, max) = integer.range();
                Self::Integer {
                    min: i64::try_from(min).unwrap_or(i64::MIN),
                    max: u64::try_from(max).unwrap_or(u64::MAX),
                }
            }
            FieldType::F64 => Self::F64,
            FieldType::F32 => Self::F32,
            FieldType::Text | FieldType::Category => Self::Text,
            FieldType::Event => Self::Event,
            _ => Self::Other,
        }
    }
}

/// Shapes declared before, so that declaring one twice gives it back. Lost in a child, where the lock may be held for ever.
#[derive(Default)]
pub(crate) struct SharedShapes(Mutex<HashMap<[u8; 32], Shape>>);

impl SharedShapes {
    pub(crate) fn get_or(&self, def: ShapeDef, make: impl FnOnce(ShapeDef) -> Shape) -> Shape {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shape) = known.get(&def.digest()) {
            return shape.clone();
        }
        let digest = def.digest();
        let shape = make(def);
        if known.len() < SHAPES_SHARED {
            known.insert(digest, shape.clone());
        }
        shape
    }
}
