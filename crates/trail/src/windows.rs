//! Windows (`docs/formats/window.md`): what batches counted is kept in the catalog, written with the transaction that places the batch, until a
//! window is over and becomes a record. Edge: counting is `minutebook_sketch`'s; numbers and sealing are the drain's.

use crate::catalog::WindowRow;
use crate::drain::SYSTEM;
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::Result;
use crate::limits::{PENDING_WINDOWS, WINDOW_GRACE_S};
use crate::own::{self, OwnRecord};
use crate::seal::SealReport;
use minutebook_record::cbor::{self, Reader};
use minutebook_sketch::limits::COUNT_MIN;
use minutebook_sketch::{Key, Length, Window};
use minutebook_verify::Id;
use minutebook_verify::keys::{Cipher, Secret, content_key, derive};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use zeroize::Zeroize;

/// The windows that have no record yet.
#[derive(Debug, Default)]
pub(crate) struct Windows {
    open: BTreeMap<Key, Open>,
    /// Those whose record is on its way.
    leaving: HashMap<Id, (Key, Open)>,
    /// Changed since they were written to the catalog.
    changed: BTreeSet<Key>,
    /// Rows that are not needed any more.
    gone: Vec<Id>,
}

/// A window and its row.
#[derive(Debug)]
struct Open {
    row: Id,
    /// Rows that it was put together from: after a crash, or since a shorter one handed its own on.
    more_rows: Vec<Id>,
    window: Window,
}

impl Windows {
    /// Adds what a batch counted, or what a shorter window hands on, whose `rows` go with the transaction that writes where it went.
    fn add(
        &mut self,
        key: Key,
        window: Window,
        rows: Vec<Id>,
        fresh: &mut dyn FnMut() -> Result<Id>,
    ) -> Result<()> {
        let key = if self.open.len() < PENDING_WINDOWS || self.open.contains_key(&key) {
            key
        } else {
            Key { length: Length::Day, start: Length::Day.start_of(key.start), model: key.model }
        };
        match self.open.get_mut(&key) {
            Some(open) => {
                open.window.merge(window);
                open.more_rows.extend(rows);
            }
            None => {
                let open = Open { row: fresh()?, more_rows: rows, window };
                self.open.insert(key.clone(), open);
            }
        }
        self.changed.insert(key);
        Ok(())
    }

    /// Takes back what the catalog has; of one window it has several rows when its record was on its way.
    fn restore(&mut self, key: Key, row: Id, window: Window) {
        match self.open.get_mut(&key) {
            Some(open) => {
                open.more_rows.push(row);
                open.window.merge(window);
                self.changed.insert(key);
            }
            None => {
                self.open.insert(key, Open { row, more_rows: Vec::new(), window });
            }
        }
    }

    /// Takes out the windows that are over, shorter ones first; `all`: every one that says which numbers it counted. One of few decisions is
    /// handed on to the longer one that it lies in.
    fn take_due(
        &mut self,
        now_s: i64,
        all: bool,
        fresh: &mut dyn FnMut() -> Result<Id>,
    ) -> Result<Vec<(Key, Open)>> {
        let mut due = Vec::new();
        for length in [Length::Minute, Length::Hour, Length::Day] {
            let over = self.open.iter().filter(|(key, open)| {
                key.length == length && (is_over(key, now_s) || (all && !open.window.covers.is_empty()))
            });
            let over: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
            for key in over {
                let Some(open) = self.open.remove(&key) else { continue };
                self.changed.remove(&key);
                match key.longer() {
                    Some(longer) if open.window.decisions < COUNT_MIN => {
                        let mut rows = open.more_rows;
                        rows.push(open.row);
                        self.add(longer, open.window, rows, fresh)?;
                    }
                    _ => due.push((key, open)),
                }
            }
        }
        Ok(due)
    }

    /// The record of a window is placed: its row goes, and what it counted goes on into the longer window.
    fn leave(&mut self, row: &Id, fresh: &mut dyn FnMut() -> Result<Id>) -> Result<()> {
        let Some((key, Open { row, more_rows, mut window })) = self.leaving.remove(row) else {
            return Ok(());
        };
        self.gone.push(row);
        self.gone.extend(more_rows);
        if let Some(longer) = key.longer() {
            // The record has said which numbers these are.
            window.covers.clear();
            self.add(longer, window, Vec::new(), fresh)?;
        }
        Ok(())
    }
}

/// Whether a window has ended and what comes late has come: longer ones wait for what shorter ones hand on.
fn is_over(key: &Key, now_s: i64) -> bool {
    let grace = WINDOW_GRACE_S
        * match key.length {
            Length::Minute => 1,
            Length::Hour => 5,
            Length::Day => 9,
        };
    key.start.saturating_add(key.length.seconds() as i64 + grace) <= now_s
}

impl Engine {
    /// Takes up the windows that the catalog has.
    pub(crate) async fn load_windows(&mut self) -> Result<()> {
        for row in self.catalog.pending_windows().await? {
            let key = self.class_epochs.values().find(|(id, _)| *id == row.class_epoch).map(|(_, key)| key);
            let opened = key.and_then(|key| open(&self.file.id, &content_key(key), &row));
            match opened {
                Some((key, window)) => self.windows.restore(key, row.id, window),
                // The decisions themselves are sealed; what was counted of them is told as missing by `verify`.
                None => {
                    tracing::warn!("a window in the catalog cannot be read: its decisions are in no window")
                }
            }
        }
        Ok(())
    }

    /// The records of the windows that are over. `all`: of all that counted anything since their last record.
    pub(crate) fn window_records(&mut self, all: bool) -> Result<Vec<OwnRecord>> {
        let random = std::sync::Arc::clone(&self.environment.random);
        let mut fresh = || draw(random.as_ref());
        let now_s = self.environment.clock.wall_ns().div_euclid(1_000_000_000);
        let mut records = Vec::new();
        for (key, mut open) in self.windows.take_due(now_s, all, &mut fresh)? {
            let mut parts = open.window.seal().into_iter();
            let first = parts.next().map(|part| own::window(&key, &part, self.log_size, Some(open.row)));
            records.extend(first.transpose()?);
            for part in parts {
                records.push(own::window(&key, &part, self.log_size, None)?);
            }
            self.windows.leaving.insert(open.row, (key, open));
        }
        Ok(records)
    }

    /// Takes over what placed batches counted, and lets go of windows whose records are placed with them.
    pub(crate) fn count(&mut self, counted: BTreeMap<Key, Window>, sealed: &[Id]) -> Result<()> {
        let random = std::sync::Arc::clone(&self.environment.random);
        let mut fresh = || draw(random.as_ref());
        for row in sealed {
            self.windows.leave(row, &mut fresh)?;
        }
        for (key, window) in counted {
            self.windows.add(key, window, Vec::new(), &mut fresh)?;
        }
        Ok(())
    }

    /// What the catalog has to write of windows: changed rows, and those that go.
    pub(crate) async fn window_rows(&mut self) -> Result<(Vec<WindowRow>, Vec<Id>)> {
        let mut rows = Vec::new();
        for key in std::mem::take(&mut self.windows.changed) {
            let (class_epoch, secret) = self.class_epoch(SYSTEM).await?;
            let Some(open) = self.windows.open.get_mut(&key) else { continue };
            let nonce = draw(self.environment.random.as_ref())?;
            let body = close(&self.file.id, &content_key(&secret), &open.row, nonce, &key, &mut open.window);
            rows.push(WindowRow { id: open.row, class_epoch, body });
            self.windows.gone.append(&mut open.more_rows);
        }
        Ok((rows, std::mem::take(&mut self.windows.gone)))
    }

    /// Forgets of the windows that have no record yet what few decisions had, so that nothing of an erased person's is named in one later. Durable
    /// on return.
    pub(crate) async fn reduce_windows(&mut self) -> Result<()> {
        for (key, open) in &mut self.windows.open {
            open.window.reduce();
            self.windows.changed.insert(key.clone());
        }
        let (rows, gone) = self.window_rows().await?;
        self.catalog.put_windows(&rows, &gone).await
    }

    /// Seals all windows that counted decisions since their last record, whether they are over or not, so that they add up to the decisions that
    /// are sealed. Durable on return.
    ///
    /// # Errors
    /// As [`Engine::seal_round`].
    pub async fn seal_windows(&mut self) -> Result<SealReport> {
        self.check_running()?;
        if self.windows.open.values().all(|open| open.window.covers.is_empty()) {
            return Ok(SealReport::default());
        }
        self.all_windows = true;
        let result = self.seal_round().await;
        self.all_windows = false;
        result
    }

    /// Whether a window is over and waits for a round to become a record.
    pub fn has_windows_due(&self) -> bool {
        let now_s = self.environment.clock.wall_ns().div_euclid(1_000_000_000);
        self.windows.open.keys().any(|key| is_over(key, now_s))
    }
}

fn cipher(content: &Secret, row: &Id) -> Cipher {
    Cipher::new(&derive(content, "pending-window", row))
}

fn associated(trail: &Id, row: &Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    cbor::write_array(&mut out, 3);
    cbor::write_text(&mut out, "minutebook/pending-window/1");
    cbor::write_bytes(&mut out, trail);
    cbor::write_bytes(&mut out, row);
    out
}

fn close(trail: &Id, content: &Secret, row: &Id, nonce: [u8; 12], key: &Key, window: &mut Window) -> Vec<u8> {
    let mut clear = Vec::new();
    cbor::write_array(&mut clear, 4);
    cbor::write_unsigned(&mut clear, key.length.seconds());
    cbor::write_signed(&mut clear, key.start);
    cbor::write_bytes(&mut clear, &key.model);
    cbor::write_bytes(&mut clear, &window.encode());
    cipher(content, row).seal_with(nonce, &associated(trail, row), &mut clear);
    [&nonce[..], &clear].concat()
}

/// What a row has, with the content key of its class-epoch.
pub(crate) fn open(trail: &Id, content: &Secret, row: &WindowRow) -> Option<(Key, Window)> {
    let (nonce, sealed) = row.body.split_first_chunk::<12>()?;
    let mut sealed = sealed.to_vec();
    let clear = cipher(content, &row.id).open_with(*nonce, &associated(trail, &row.id), &mut sealed)?;
    let mut reader = Reader::new(clear);
    reader.array_of(4, "a window with its key").ok()?;
    let length = Length::from_seconds(reader.unsigned().ok()?)?;
    let key = Key { length, start: reader.signed().ok()?, model: reader.bytes().ok()?.into() };
    let window = Window::decode(reader.bytes().ok()?)?;
    reader.finish().ok()?;
    sealed.zeroize();
    Some((key, window))
}
