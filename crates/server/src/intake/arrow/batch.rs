//! The arrays of a record batch or a dictionary: bytes of the body, each as long as its rows need. Edge: bytes and places; what they mean is in
//! `value`. What is read is found by looking, never by trust: a place beyond the bytes is nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use arrow_ipc::{Buffer, CompressionType, FieldNode, RecordBatch};
use minutebook_adapters::packed::Packing;
use minutebook_present::json::Problem as Wrong;

use super::column::{Column, Extent, Sort};

/// The rows of a column.
#[derive(Debug, Default)]
pub(super) struct Array<'b> {
    pub(super) len: usize,
    /// A bit for each row that has a value; none when all have.
    valid: Option<Cow<'b, [u8]>>,
    /// Values of one width, or offsets, views, places in a dictionary.
    pub(super) fixed: Cow<'b, [u8]>,
    /// What offsets or views point into.
    pub(super) data: Vec<Cow<'b, [u8]>>,
    pub(super) children: Vec<Array<'b>>,
    /// The dictionary as it was then, in its parts.
    pub(super) labels: Option<Rc<Vec<Rc<Array<'b>>>>>,
}

impl Array<'_> {
    /// Whether a row has no value.
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.valid.as_ref().is_some_and(|valid| !bit(valid, row))
    }
}

/// A bit; false beyond the last.
pub(super) fn bit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at / 8).is_some_and(|byte| byte >> (at % 8) & 1 == 1)
}

/// The dictionaries of a stream, by their ids.
pub(super) type Dictionaries<'b> = HashMap<i64, Rc<Vec<Rc<Array<'b>>>>>;

/// Reads the arrays of a batch in the order in which its columns have them.
pub(super) struct Batch<'b, 'm> {
    nodes: Box<dyn Iterator<Item = &'b FieldNode> + 'b>,
    buffers: Box<dyn Iterator<Item = &'b Buffer> + 'b>,
    /// How many buffers each column of views has.
    counts: Box<dyn Iterator<Item = i64> + 'b>,
    body: &'b [u8],
    is_packed: bool,
    dictionaries: &'m Dictionaries<'b>,
    /// Bytes that may still be unpacked.
    left: &'m mut usize,
}

impl<'b, 'm> Batch<'b, 'm> {
    /// # Errors
    /// A way of packing that is not read here.
    pub(super) fn new(
        batch: RecordBatch<'b>,
        body: &'b [u8],
        dictionaries: &'m Dictionaries<'b>,
        left: &'m mut usize,
    ) -> Result<Self, Wrong> {
        let is_packed = match batch.compression().map(|compression| compression.codec()) {
            None => false,
            Some(CompressionType::ZSTD) => true,
            Some(_) => {
                let remedy = "pack buffers with zstd, or leave them and pack the body: `content-encoding`";
                return Err(Wrong::new("its buffers are packed with LZ4").remedy(remedy));
            }
        };
        Ok(Self {
            nodes: Box::new(batch.nodes().into_iter().flatten()),
            buffers: Box::new(batch.buffers().into_iter().flatten()),
            counts: Box::new(batch.variadicBufferCounts().into_iter().flatten()),
            body,
            is_packed,
            dictionaries,
            left,
        })
    }

    /// Whether everything of the batch was read.
    pub(super) fn is_over(&mut self) -> bool {
        self.nodes.next().is_none() && self.buffers.next().is_none()
    }

    /// The next array, of this column.
    ///
    /// # Errors
    /// Fewer or shorter buffers than its rows need.
    pub(super) fn array(&mut self, column: &Column) -> Result<Array<'b>, Wrong> {
        let Some(labels) = column.labels else { return self.array_of_labels(column) };
        let mut array = self.rows_of(false)?;
        array.fixed = self.rows(array.len, Some(labels.width))?;
        array.labels = Some(self.dictionaries.get(&labels.id).cloned().unwrap_or_default());
        Ok(array)
    }

    /// How many rows, and which of them have a value; of rows that never have one nothing more is written.
    fn rows_of(&mut self, is_nothing: bool) -> Result<Array<'b>, Wrong> {
        let node = self.nodes.next().ok_or_else(|| Wrong::new("the batch has no rows of it"))?;
        let len = usize::try_from(node.length()).map_err(|_| Wrong::new("it has less than no rows"))?;
        let mut array = Array { len, ..Array::default() };
        if is_nothing {
            return Ok(array);
        }
        let valid = self.buffer()?;
        if node.null_count() != 0 {
            long_enough(&valid, len.checked_add(7).map(|bits| bits / 8))?;
            array.valid = Some(valid);
        }
        Ok(array)
    }

    /// The next array, of what the places of this column stand for when it has a dictionary.
    ///
    /// # Errors
    /// As [`Batch::array`].
    pub(super) fn array_of_labels(&mut self, column: &Column) -> Result<Array<'b>, Wrong> {
        let mut array = self.rows_of(column.sort == Sort::Null)?;
        let len = array.len;
        match column.sort {
            Sort::Bool => {
                array.fixed = self.buffer()?;
                long_enough(&array.fixed, len.checked_add(7).map(|bits| bits / 8))?;
            }
            Sort::Null | Sort::Struct | Sort::FixedList(_) => {}
            Sort::Text(extent) | Sort::Bytes(extent) => self.long(&mut array, extent)?,
            Sort::List(extent) => array.fixed = self.offsets(len, extent)?,
            Sort::Map => array.fixed = self.offsets(len, Extent::Small)?,
            Sort::Int(width, _) | Sort::Float(width) | Sort::FixedBytes(width) | Sort::Decimal(width, _) => {
                array.fixed = self.rows(len, Some(width))?;
            }
            Sort::Days => array.fixed = self.rows(len, Some(4))?,
            Sort::DayMilliseconds | Sort::Timestamp(..) | Sort::Duration(_) => {
                array.fixed = self.rows(len, Some(8))?;
            }
        }
        for child in &column.children {
            array.children.push(self.array(child).map_err(|wrong| wrong.within(&child.name))?);
        }
        Ok(array)
    }

    fn long(&mut self, array: &mut Array<'b>, extent: Extent) -> Result<(), Wrong> {
        array.fixed = self.offsets(array.len, extent)?;
        let count = if extent == Extent::View { self.counts.next().unwrap_or(0) } else { 1 };
        for _ in 0..count {
            let buffer = self.buffer()?;
            array.data.push(buffer);
        }
        Ok(())
    }

    /// One more than there are rows; none may be there when there is no row.
    fn offsets(&mut self, len: usize, extent: Extent) -> Result<Cow<'b, [u8]>, Wrong> {
        let ends = if len == 0 { Some(0) } else { len.checked_add(1) };
        match extent {
            Extent::View => self.rows(len, Some(16)),
            Extent::Small => self.rows(ends.unwrap_or(usize::MAX), Some(4)),
            Extent::Large => self.rows(ends.unwrap_or(usize::MAX), Some(8)),
        }
    }

    fn rows(&mut self, len: usize, width: Option<usize>) -> Result<Cow<'b, [u8]>, Wrong> {
        let buffer = self.buffer()?;
        long_enough(&buffer, width.and_then(|width| len.checked_mul(width)))?;
        Ok(buffer)
    }

    fn buffer(&mut self) -> Result<Cow<'b, [u8]>, Wrong> {
        let buffer = self.buffers.next().ok_or_else(|| Wrong::new("the batch has too few buffers"))?;
        let start = usize::try_from(buffer.offset()).ok();
        let length = usize::try_from(buffer.length()).ok();
        let range = start.zip(length).and_then(|(start, length)| Some(start..start.checked_add(length)?));
        let bytes = range.and_then(|range| self.body.get(range));
        let bytes = bytes.ok_or_else(|| Wrong::new("a buffer lies beyond the batch"))?;
        if self.is_packed && !bytes.is_empty() { self.unpacked(bytes) } else { Ok(Cow::Borrowed(bytes)) }
    }

    /// A packed buffer: its length, −1 when it is not packed after all, and what zstd made of it.
    fn unpacked(&mut self, bytes: &'b [u8]) -> Result<Cow<'b, [u8]>, Wrong> {
        let torn = || Wrong::new("a packed buffer is none");
        let (length, packed) = bytes.split_first_chunk().ok_or_else(torn)?;
        let length = i64::from_le_bytes(*length);
        if length == -1 {
            return Ok(Cow::Borrowed(packed));
        }
        let length = usize::try_from(length).map_err(|_| torn())?;
        let left = self.left.checked_sub(length).ok_or_else(|| Wrong::new(TOO_LARGE))?;
        let unpacked = Packing::Zstd.unpack(packed, length).map_err(|_| torn())?;
        if unpacked.broke_off || unpacked.bytes.len() != length {
            return Err(torn());
        }
        *self.left = left;
        Ok(Cow::Owned(unpacked.bytes))
    }
}

/// Said of packed buffers that are too much.
pub(super) const TOO_LARGE: &str = "its buffers are too large when unpacked";

fn long_enough(buffer: &[u8], bytes: Option<usize>) -> Result<(), Wrong> {
    match bytes {
        Some(bytes) if buffer.len() >= bytes => Ok(()),
        _ => Err(Wrong::new("a buffer is shorter than its rows need")),
    }
}
