//! Small dicts that say the same from record to record, such as parameters: written once, and known again by the very objects in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwapOption;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::limits::{REMEMBER_AFTER, REMEMBER_AGAIN_EVERY};

/// The last such dict and its bytes.
#[derive(Default)]
pub struct Remembered {
    last: ArcSwapOption<Last>,
    /// Dicts in a row that were others.
    missed: AtomicU32,
}

struct Last {
    /// Held, so that no other object gets the address of one of them.
    entries: Box<[(Py<PyAny>, Py<PyAny>)]>,
    encoded: Box<[u8]>,
}

impl Remembered {
    /// Appends what `put` appends for a dict. It is not asked when the dict holds the very objects of the last one, none of which can change;
    /// the entry named `but` does not count.
    #[inline]
    pub fn put(
        &self,
        dict: &Bound<'_, PyDict>,
        but: Option<&Bound<'_, PyString>>,
        out: &mut Vec<u8>,
        put: impl FnOnce(&mut Vec<u8>) -> PyResult<()>,
    ) -> PyResult<()> {
        if let Some(last) = &*self.last.load()
            && last.is(dict, but)
        {
            self.missed.store(0, Ordering::Relaxed);
            out.extend_from_slice(&last.encoded);
            return Ok(());
        }
        let start = out.len();
        put(out)?;
        let missed = self.missed.fetch_add(1, Ordering::Relaxed);
        // One that is another each time is not worth the effort.
        if missed < REMEMBER_AFTER || missed.is_multiple_of(REMEMBER_AGAIN_EVERY) {
            self.last.store(Last::of(dict, but, &out[start..]).map(Arc::new));
        }
        Ok(())
    }
}

impl Last {
    fn of(dict: &Bound<'_, PyDict>, but: Option<&Bound<'_, PyString>>, encoded: &[u8]) -> Option<Self> {
        let mut entries = Vec::with_capacity(dict.len());
        for (name, value) in dict.iter().filter(|(name, _)| !but.is_some_and(|but| name.is(but))) {
            if !cannot_change(&name) || !cannot_change(&value) {
                return None;
            }
            entries.push((name.unbind(), value.unbind()));
        }
        Some(Self { entries: entries.into(), encoded: encoded.into() })
    }

    /// Whether a dict holds the very same objects, in order.
    #[inline]
    fn is(&self, dict: &Bound<'_, PyDict>, but: Option<&Bound<'_, PyString>>) -> bool {
        let (mut at, mut name, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        let mut entries = self.entries.iter();
        pyo3::sync::critical_section::with_critical_section(dict, || {
            // SAFETY: attached, and a live dict; no Python code runs while we walk.
            while unsafe { ffi::PyDict_Next(dict.as_ptr(), &mut at, &mut name, &mut value) } != 0 {
                if but.is_some_and(|but| but.as_ptr() == name) {
                    continue;
                }
                match entries.next() {
                    Some((ours, held)) if ours.as_ptr() == name && held.as_ptr() == value => {}
                    _ => return false,
                }
            }
            entries.len() == 0
        })
    }
}

/// Whether an object is of a plain type whose objects never change.
fn cannot_change(object: &Bound<'_, PyAny>) -> bool {
    use pyo3::types::{PyBool, PyFloat, PyInt};
    object.is_none()
        || object.is_exact_instance_of::<PyString>()
        || object.is_exact_instance_of::<PyFloat>()
        || object.is_exact_instance_of::<PyInt>()
        || object.is_exact_instance_of::<PyBool>()
}
