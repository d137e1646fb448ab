//! Reading frames in order: what to do at holes, damage, the end of a part and the death of the owner (`docs/formats/spool.md`,
//! reading).

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use minutebook_record::Seq;

use crate::damage::Damage;
use crate::epoch_file::{class_at, class_name};
use crate::frame::{self, Clear, Place, Word};
use crate::limits::{SEARCH_BYTES_MAX, SHAPES_CACHED};
use crate::part_file::{FRAMES_AT, FileName};
use crate::shape::ShapeDef;

use super::part::PartReader;
use super::{BatchEnd, BatchLimits, EpochReader, Frame, Owner, Position, ReadError, Stop};

/// Shapes by the digest of their encoding, so that a shape that is defined in each part is decoded once.
#[derive(Default)]
pub(super) struct ShapeCache(HashMap<[u8; 32], Arc<ShapeDef>>);

impl ShapeCache {
    fn get(&mut self, bytes: &[u8]) -> Option<Arc<ShapeDef>> {
        let digest = crate::epoch_file::sha256(bytes);
        if let Some(shape) = self.0.get(&digest) {
            return Some(Arc::clone(shape));
        }
        let shape = Arc::new(ShapeDef::decode(bytes).ok()?);
        if self.0.len() >= SHAPES_CACHED {
            self.0.clear();
        }
        self.0.insert(digest, Arc::clone(&shape));
        Some(shape)
    }
}

enum Step {
    /// Went on by so many bytes; whether something was given out.
    On {
        bytes: u64,
        given: bool,
    },
    /// Look again.
    Again,
    Stop(Stop),
}

impl EpochReader {
    /// Decrypts frames from the current position on and hands each to `each`, until a limit or the end of what there is. What a frame
    /// borrows lives for that call only. Does not block but for the disk, and allocates nothing per frame.
    ///
    /// Damage is handed out too and does not end reading.
    ///
    /// # Errors
    ///
    /// [`ReadError::Io`]: nothing was skipped, and the next batch goes on at the same frame.
    pub fn read_batch(
        &mut self,
        limits: &BatchLimits,
        mut each: impl FnMut(Frame<'_>),
    ) -> Result<BatchEnd, ReadError> {
        let (mut frames, mut bytes) = (0, 0);
        // Whether the bytes at hand were read after the last frame: what is unpublished in older ones may be published by now.
        let mut fresh = false;
        loop {
            if frames >= limits.frames || bytes >= limits.bytes {
                return Ok(BatchEnd { position: self.next, stop: Stop::Limit, frames });
            }
            match self.step(&mut fresh, &mut each)? {
                Step::On { bytes: more, given } => {
                    fresh = false;
                    bytes += more;
                    frames += usize::from(given);
                }
                Step::Again => {}
                Step::Stop(stop) => return Ok(BatchEnd { position: self.next, stop, frames }),
            }
        }
    }

    fn step(&mut self, fresh: &mut bool, each: &mut impl FnMut(Frame<'_>)) -> Result<Step, ReadError> {
        let Some(part) = &mut self.part else { return self.open_part(each) };
        let offset = self.next.offset;
        if offset >= part.bound() {
            if part.progress.end != 0 {
                return Ok(self.leave_part());
            }
            return match self.look_again(fresh, each)? {
                Some(step) => Ok(step),
                None if self.looked_since_ended => Ok(self.leave_part()),
                None => Ok(Step::Stop(Stop::CaughtUp)),
            };
        }
        match Word::parse(part.word(offset)?) {
            Word::Published(len) if part.holds(offset, len) => {
                if let Some(step) = self.take_frame(len, each)? {
                    return Ok(step);
                }
                // The word may have been read before the rest was there: copying out of the page cache is not ordered.
                if let Some(part) = &mut self.part {
                    part.window.forget();
                }
                match self.take_frame(len, each)? {
                    Some(step) => Ok(step),
                    None => self.search(Damage::Frame, fresh, each),
                }
            }
            word @ (Word::Empty | Word::Reserved(_)) => {
                if let Some(step) = self.look_again(fresh, each)? {
                    return Ok(step);
                }
                if !self.looked_since_gone {
                    return Ok(Step::Stop(Stop::CaughtUp));
                }
                match (word, &self.part) {
                    (Word::Reserved(len), Some(part)) if part.holds(offset, len) => {
                        Ok(self.skip(Damage::Unfinished, offset + frame::padded(len), each))
                    }
                    _ => self.search(Damage::Unfinished, fresh, each),
                }
            }
            Word::Published(_) | Word::Unknown => self.search(Damage::Frame, fresh, each),
        }
    }

    /// Reads the part's progress again unless that was just done, and once more after the owner was first seen gone. `None`: all that
    /// can be seen was looked at.
    fn look_again(
        &mut self,
        fresh: &mut bool,
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<Option<Step>, ReadError> {
        if *fresh {
            let owner = self.owner()?;
            let news =
                (self.gone && !self.looked_since_gone) || (owner != Owner::Alive && !self.looked_since_ended);
            if !news {
                return Ok(None);
            }
            self.looked_since_gone = self.gone;
            self.looked_since_ended = owner != Owner::Alive;
        }
        *fresh = true;
        let next = self.next;
        if let Some(part) = &mut self.part
            && let Some(damage) = part.look()?
        {
            each(Frame::Damage { damage, from: next, to: next });
        }
        Ok(Some(Step::Again))
    }

    /// Opens the next part there is.
    fn open_part(&mut self, each: &mut impl FnMut(Frame<'_>)) -> Result<Step, ReadError> {
        let number = self.next.part;
        if let Some((mut part, damage)) = PartReader::open(&self.folder, &self.header, number)? {
            let from = Position { part: number, offset: 0 };
            self.find_definitions(&mut part)?;
            self.next.offset = part.progress.drained;
            self.part = Some(part);
            self.began = true;
            if let Some(damage) = damage {
                each(Frame::Damage { damage, from, to: self.next });
                return Ok(Step::On { bytes: 0, given: true });
            }
            return Ok(Step::Again);
        }
        if let Some(later) = self.parts_there()?.into_iter().find(|&part| part > number) {
            let (from, to) = (self.next, Position { part: later, offset: 0 });
            self.next = to;
            // Parts before the first were freed before.
            if !std::mem::replace(&mut self.began, true) {
                return Ok(Step::Again);
            }
            each(Frame::Damage { damage: Damage::PartMissing, from, to });
            return Ok(Step::On { bytes: 0, given: true });
        }
        let owner = self.owner()?;
        if owner == Owner::Alive {
            return Ok(Step::Stop(Stop::CaughtUp));
        }
        self.looked_since_gone = self.gone;
        match std::mem::replace(&mut self.looked_since_ended, true) && self.looked_for_parts {
            true => Ok(Step::Stop(Stop::Ended)),
            false => {
                self.looked_for_parts = true;
                Ok(Step::Again)
            }
        }
    }

    /// Numbers of the epoch's parts, ascending.
    pub(super) fn parts_there(&self) -> io::Result<Vec<u32>> {
        let mut parts = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            if let Some(FileName::Part(epoch, part)) = entry?.file_name().to_str().and_then(FileName::parse)
                && epoch == self.header.epoch
            {
                parts.push(part);
            }
        }
        parts.sort_unstable();
        Ok(parts)
    }

    fn leave_part(&mut self) -> Step {
        if let Some(mut part) = self.part.take() {
            part.window.clear();
            self.behind.push(part);
        }
        self.next = Position { part: self.next.part + 1, offset: 0 };
        Step::Again
    }

    fn place(&self, offset: u64) -> Place {
        let header = &self.header;
        Place { producer: header.producer, epoch: header.epoch, part: self.next.part, offset }
    }

    /// Decrypts the frame at the position and gives it out; `None` when it does not authenticate, and its bytes are then spoilt.
    fn take_frame(
        &mut self,
        len: usize,
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<Option<Step>, ReadError> {
        let place = self.place(self.next.offset);
        let Some(part) = &mut self.part else { return Ok(None) };
        let (position, bound) = (self.next, part.bound());
        let padded = frame::padded(len);
        let bytes = part.window.bytes(&part.file, position.offset, padded as usize, bound)?;
        let padding_is_zero = bytes[len..padded as usize].iter().all(|&b| b == 0);
        let Ok(clear) = self.cipher.open(&place, &mut bytes[frame::WORD..len]) else { return Ok(None) };
        let to = Position { offset: position.offset + padded, ..position };
        let mut damage = (!padding_is_zero).then_some(Damage::Padding);
        let mut given = true;
        match frame::parse(clear) {
            Some(Clear::Record { head, values }) => {
                let class = part.defined.classes.get(usize::from(head.class)).copied().flatten();
                match (class, part.defined.shape(head.shape), Seq::new(head.seq)) {
                    (Some(class), Some(shape), Ok(seq)) => {
                        let (kind, id) = (head.kind, head.id);
                        each(Frame::Record { kind, class, seq, id, shape, values, position });
                    }
                    (None, ..) => damage = Some(Damage::ClassUnknown),
                    (_, None, _) => damage = Some(Damage::ShapeUnknown),
                    _ => damage = Some(Damage::Content),
                }
            }
            Some(Clear::Blob { id, whole, offset, content }) => {
                each(Frame::Blob { id, whole, offset, content, position });
            }
            Some(Clear::Lost { class, reason, from, to }) => {
                let class = part.defined.classes.get(usize::from(class)).copied().flatten();
                match (class, Seq::new(from), Seq::new(to)) {
                    (Some(class), Ok(from), Ok(to)) => {
                        each(Frame::Lost { class, reason, from, to, position });
                    }
                    _ => damage = Some(Damage::ClassUnknown),
                }
            }
            Some(Clear::Shape { number, shape }) => {
                given = false;
                match self.shapes.get(shape) {
                    Some(shape) => part.defined.add_shape(number, shape),
                    None => damage = Some(Damage::ShapeMalformed),
                }
                part.defined.frames.push((position.offset, padded));
            }
            Some(Clear::Class { index, name }) => {
                given = false;
                match part.defined.classes.get_mut(usize::from(index)) {
                    Some(entry) => {
                        *entry = Some(name);
                        self.names[usize::from(index)] = Some(name);
                    }
                    None => damage = Some(Damage::Content),
                }
                part.defined.frames.push((position.offset, padded));
                // What authenticates counts; the table serves the counters only.
                let mut entry = [0; 32];
                std::os::unix::fs::FileExt::read_exact_at(
                    &self.file,
                    &mut entry,
                    class_at(usize::from(index).min(crate::limits::CLASSES_MAX - 1)),
                )?;
                let said = class_name(&entry);
                // Of a mirror the table may be older than the frames.
                if said != Ok(Some(name)) && !(self.is_mirror && said == Ok(None)) {
                    damage = damage.or(Some(Damage::ClassMismatch));
                }
            }
            None => damage = Some(Damage::Content),
        }
        self.next = to;
        if let Some(damage) = damage {
            each(Frame::Damage { damage, from: position, to });
            given = true;
        }
        Ok(Some(Step::On { bytes: padded, given }))
    }

    fn skip(&mut self, damage: Damage, to: u64, each: &mut impl FnMut(Frame<'_>)) -> Step {
        let from = self.next;
        self.next.offset = to;
        if let Some(part) = &mut self.part {
            part.window.forget();
        }
        each(Frame::Damage { damage, from, to: self.next });
        Step::On { bytes: to - from.offset, given: true }
    }

    /// Looks at each next multiple of 16 for a frame that authenticates. While the owner lives and none is found, stays.
    fn search(
        &mut self,
        damage: Damage,
        fresh: &mut bool,
        each: &mut impl FnMut(Frame<'_>),
    ) -> Result<Step, ReadError> {
        if let Some(step) = self.look_again(fresh, each)? {
            return Ok(step);
        }
        let from = self.next.offset;
        let mut place = self.place(from);
        let Some(part) = &mut self.part else { return Ok(Step::Again) };
        part.window.forget();
        let bound = part.bound();
        let mut clear = Vec::new();
        let mut tried = 0;
        place.offset += frame::ALIGN;
        while place.offset < bound && tried < SEARCH_BYTES_MAX {
            if let Word::Published(len) = Word::parse(part.word(place.offset)?)
                && part.holds(place.offset, len)
            {
                tried += len as u64;
                if part.try_open(&self.cipher, &place, len, &mut clear)?.is_some() {
                    return Ok(self.skip(damage, place.offset, each));
                }
            }
            place.offset += frame::ALIGN;
        }
        // With the end known or the owner gone nothing more can come in this part; else the next frame may be on its way.
        if part.progress.end != 0 || self.looked_since_gone {
            return Ok(self.skip(damage, bound, each));
        }
        let ends_here = match Word::parse(part.word(from)?) {
            Word::Published(len) => part.holds(from, len) && from + frame::padded(len) == bound,
            _ => false,
        };
        if ends_here { Ok(self.skip(damage, bound, each)) } else { Ok(Step::Stop(Stop::CaughtUp)) }
    }

    /// Finds what was defined below the drained position, where all else is zeroed or will be.
    fn find_definitions(&mut self, part: &mut PartReader) -> Result<(), ReadError> {
        let mut place = self.place(FRAMES_AT);
        let mut clear = Vec::new();
        let mut tried = 0;
        while place.offset < part.progress.drained && tried < SEARCH_BYTES_MAX {
            let mut step = frame::ALIGN;
            if let Word::Published(len) = Word::parse(part.word(place.offset)?)
                && part.holds(place.offset, len)
            {
                tried += len as u64;
                if let Some(clear) = part.try_open(&self.cipher, &place, len, &mut clear)? {
                    step = frame::padded(len);
                    let defines = match frame::parse(clear) {
                        Some(Clear::Shape { number, shape }) => {
                            if let Some(shape) = self.shapes.get(shape) {
                                part.defined.add_shape(number, shape);
                            }
                            true
                        }
                        Some(Clear::Class { index, name }) => {
                            if let Some(entry) = part.defined.classes.get_mut(usize::from(index)) {
                                *entry = Some(name);
                                self.names[usize::from(index)] = Some(name);
                            }
                            true
                        }
                        _ => false,
                    };
                    if defines {
                        part.defined.frames.push((place.offset, step));
                    }
                }
            }
            place.offset += step;
        }
        part.window.forget();
        Ok(())
    }
}
