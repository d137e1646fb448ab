//! Room for parts: within the spill limit, and as long as the disk has any; and who may take more than that.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use minutebook_record::{Epoch, ProducerId};

use crate::error::CaptureError;
use crate::live_part::LivePart;
use crate::part_file::{FileName, PartHeader};
use crate::producer::Settings;
use crate::sys;

/// Where a frame may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// To the parts.
    Parts,
    /// To the reserve too, when there is no room for a part: what a run that closes says last.
    Reserve,
}

/// Makes a part, unless it would take the producer beyond its spill limit.
pub(crate) fn make_part(
    settings: &Settings,
    folder: &Path,
    producer: ProducerId,
    epoch: Epoch,
    part: u32,
) -> Result<Arc<LivePart>, CaptureError> {
    check_room(settings, folder)?;
    let header = PartHeader { trail: settings.trail, producer, epoch, part, capacity: settings.part_bytes };
    LivePart::create(folder, &header, settings.backing, &*settings.storage)
        .map(Arc::new)
        .map_err(|e| full_or(settings, e, "making a part"))
}

/// Whether another part is within the producer's spill limit.
pub(crate) fn check_room(settings: &Settings, folder: &Path) -> Result<(), CaptureError> {
    let used = spilled(folder).map_err(CaptureError::io("reading the producer's folder"))?;
    if used + settings.part_bytes > settings.spill_bytes {
        return Err(CaptureError::Full { spill_bytes: settings.spill_bytes });
    }
    Ok(())
}

/// No room, or what else the system said.
pub(crate) fn full_or(settings: &Settings, source: io::Error, doing: &'static str) -> CaptureError {
    if sys::is_full(&source) {
        CaptureError::Full { spill_bytes: settings.spill_bytes }
    } else {
        CaptureError::Io { doing, source }
    }
}

/// Bytes on disk of all parts in the folder, holes not counted. A reserve counts once it has become a part.
fn spilled(folder: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if let Some(FileName::Part(..)) = entry.file_name().to_str().and_then(FileName::parse) {
            // A part that was drained and deleted meanwhile takes no room.
            bytes += entry.metadata().map_or(0, |metadata| metadata.blocks() * 512);
        }
    }
    Ok(bytes)
}
