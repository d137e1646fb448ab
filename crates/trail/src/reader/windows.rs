//! Windows as they are asked for: those that have a record, and those that the catalog still counts. Edge: whatever is asked, no decision is
//! counted twice in what is given.

use crate::catalog::WindowRow;
use crate::error::Result;
use crate::reader::{Content, Filter, Reader, StoredRecord};
use crate::seal::blocking;
use crate::windows;
use minutebook_record::cbor::Reader as Cbor;
use minutebook_record::fields::ModelRef;
use minutebook_record::{FieldType, Kind};
use minutebook_sketch::{Key, Length, SealedWindow, Window};
use minutebook_verify::keys::Keys;
use std::collections::BTreeMap;
use std::ops::{ControlFlow, Range};

impl Reader {
    /// The windows of one length that begin in a span of time (s since 1970), of the models that are wanted. What a window of few decisions had is
    /// in the next longer one only.
    ///
    /// # Errors
    /// When a segment or the catalog cannot be read.
    pub async fn windows(
        &self,
        length: Length,
        span: Range<i64>,
        wants: &(dyn Fn(&ModelRef) -> bool + Sync),
    ) -> Result<BTreeMap<Key, Window>> {
        let is_wanted = |key: &Key| {
            let model = ModelRef::decode(&key.model).ok().flatten();
            let none = || ModelRef { name: String::new(), version: String::new(), artifact: None };
            span.contains(&key.start) && wants(&model.unwrap_or_else(none))
        };
        // At one moment, so that what becomes a record meanwhile is not counted in both.
        let (log_size, rows) = self.catalog.log_size_and_windows().await?;
        let mut found: BTreeMap<Key, Window> = BTreeMap::new();
        let mut add = |key: Key, window: Window| {
            let key = Key { length, start: length.start_of(key.start), model: key.model };
            if is_wanted(&key) {
                found.entry(key).or_default().merge(window);
            }
        };
        for (key, mut window) in self.open_windows(rows).await? {
            if key.length <= length {
                window.reduce();
                add(key, window);
            }
        }
        let second = |s: i64| s.saturating_mul(1_000_000_000);
        let filter = Filter {
            from_ns: second(span.start),
            to_ns: second(span.end),
            kinds: vec![Kind::Window],
            oldest_first: true,
        };
        let mut each = |record: StoredRecord| {
            if record.sealed.log_index < log_size
                && let Some((key, window)) = window_of(&record)
                && key.length == length
            {
                add(key, window);
            }
            ControlFlow::Continue(())
        };
        self.list(&filter, &mut each).await?;
        Ok(found)
    }

    /// Those of the catalog that the keys open.
    async fn open_windows(&self, rows: Vec<WindowRow>) -> Result<Vec<(Key, Window)>> {
        // Whoever has keys may have to ask the catalog for them, and waits for it.
        let (keys, trail) = (self.keys.clone(), self.file.id);
        let open = move |row: &WindowRow| windows::open(&trail, &keys.content(&row.class_epoch)?, row);
        blocking(move || Ok(rows.iter().filter_map(open).collect())).await
    }
}

/// What a `window` record tells; `None` when it is none, or cannot be read.
fn window_of(record: &StoredRecord) -> Option<(Key, Window)> {
    let Content::Readable { values, .. } = &record.content else { return None };
    let field = |name: &str| Some(values[record.schema.find_parts(&["window", name])?].as_slice());
    let model = record.schema.fields().iter().position(|field| field.field_type == FieldType::Model)?;
    let sealed = SealedWindow::from_fields(field)?;
    let key = Key {
        length: Length::from_seconds(Cbor::new(field("length")?).unsigned().ok()?)?,
        start: record.time_ns().div_euclid(1_000_000_000),
        model: values[model].as_slice().into(),
    };
    Some((key, sealed.open()?))
}
