//! Handing drafts over to a trail's spool: a producer, and the shapes that it knows. Edge: where drafts come from, what becomes of one that is
//! wrong, and when to seal, is for others.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use minutebook_capture::{CaptureError, Level, Pending, Producer, ProducerOptions, Shape, ShapeDef};
use minutebook_present::json::Draft;
use minutebook_record::RecordId;

use crate::limits::SHAPES_DECLARED;

/// A way into a trail.
pub struct HandOver {
    producer: Arc<Producer>,
    shapes: HashMap<[u8; 32], Shape>,
    last: Option<(Arc<ShapeDef>, Shape)>,
}

impl HandOver {
    /// Opens a producer. Blocks for some milliseconds.
    ///
    /// # Errors
    /// As [`Producer::open`].
    pub fn open(options: ProducerOptions) -> Result<Self, CaptureError> {
        Ok(Self { producer: Arc::new(Producer::open(options)?), shapes: HashMap::new(), last: None })
    }

    /// Hands a draft over, and gives the record's id. It survives the death of the process on return; see [`HandOver::flush`].
    ///
    /// # Errors
    /// What is wrong with this record ([`minutebook_capture::Advice::Fix`]), that there is no room ([`CaptureError::Full`]), or what is wrong with
    /// the spool as a whole.
    pub fn hand_over(&mut self, draft: &Draft) -> Result<RecordId, CaptureError> {
        let shape = self.shape(&draft.shape)?;
        encode(self.producer.begin(&draft.class)?, &shape, draft)
    }

    /// What draws numbers, for decisions that begin before there is a draft of them: see [`HandOver::hand_over_as`].
    pub fn producer(&self) -> Arc<Producer> {
        Arc::clone(&self.producer)
    }

    /// Hands a draft over under a number that [`HandOver::producer`] has drawn, in the draft's class, and gives the record's id.
    ///
    /// # Errors
    /// As [`HandOver::hand_over`]; the number is told as lost then.
    pub fn hand_over_as<P: Deref<Target = Producer>>(
        &mut self,
        pending: Pending<P>,
        draft: &Draft,
    ) -> Result<RecordId, CaptureError> {
        let shape = self.shape(&draft.shape)?;
        encode(pending, &shape, draft)
    }

    /// Blocks until everything that was handed over has reached the level.
    ///
    /// # Errors
    /// When a flush failed: the producer accepts nothing more then.
    pub fn flush(&self, level: Level) -> Result<(), CaptureError> {
        self.producer.flush(level)
    }

    /// Ends the run of the producer, so that its last number is known.
    ///
    /// # Errors
    /// As [`Producer::close`].
    pub fn close(self) -> Result<(), CaptureError> {
        self.producer.close()
    }

    fn shape(&mut self, def: &Arc<ShapeDef>) -> Result<Shape, CaptureError> {
        if let Some((last, shape)) = &self.last
            && Arc::ptr_eq(last, def)
        {
            return Ok(shape.clone());
        }
        let shape = match self.shapes.get(&def.digest()) {
            Some(shape) => shape.clone(),
            None => {
                let copy = ShapeDef::from_encoded(def.schema().clone(), def.constants().to_vec())?;
                let shape = self.producer.shape_of(copy)?;
                if self.shapes.len() >= SHAPES_DECLARED {
                    self.shapes.clear();
                }
                self.shapes.insert(def.digest(), shape.clone());
                shape
            }
        };
        self.last = Some((Arc::clone(def), shape.clone()));
        Ok(shape)
    }
}

fn encode<P: Deref<Target = Producer>>(
    pending: Pending<P>,
    shape: &Shape,
    draft: &Draft,
) -> Result<RecordId, CaptureError> {
    let mut encoder = pending.record(shape, draft.kind);
    draft.values().for_each(|value| {
        encoder.raw(value);
    });
    encoder.finish()
}
