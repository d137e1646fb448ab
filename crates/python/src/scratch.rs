//! Memory that a thread keeps between records, so that a record allocates nothing.

use std::cell::Cell;

use crate::limits::SCRATCH_BYTES_KEPT;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Lends the thread's buffer, empty. A call within the call gets a fresh one.
pub fn with_buffer<T>(with: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    let mut buffer = SCRATCH.try_with(Cell::take).unwrap_or_default();
    buffer.clear();
    let value = with(&mut buffer);
    if buffer.capacity() <= SCRATCH_BYTES_KEPT {
        // A thread that ends has no use for it.
        let _ = SCRATCH.try_with(|scratch| scratch.set(buffer));
    }
    value
}
