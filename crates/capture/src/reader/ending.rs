//! Asking an owner to end the part that it writes to (`docs/formats/spool.md`, ending a part on request): its definitions go only with it.

use std::fs;
use std::io;

use crate::identity::remove_if_there;
use crate::part_file::REQUEST;
use crate::shape::ShapeDef;

use super::{EpochReader, Owner, ReadError};

impl EpochReader {
    /// The shapes that are defined in the part that was read last, as long as it is there: freeing its frames leaves these.
    pub fn definitions(&self) -> impl Iterator<Item = &ShapeDef> {
        self.part.iter().flat_map(|part| part.defined.shapes()).map(|shape| &**shape)
    }

    /// Asks the owner to go on in another part. It looks about once a second, and answers by ending this one, which reading finds; an owner
    /// that is stopped does not answer. Says whether there was somebody and something to ask. To be [withdrawn](EpochReader::withdraw) later.
    ///
    /// # Errors
    ///
    /// The request cannot be written, or the owner not told.
    pub fn ask_to_end_part(&mut self) -> Result<bool, ReadError> {
        let Some(part) = &self.part else { return Ok(false) };
        let request = request(self.header.epoch.get(), part.number);
        if self.owner()? != Owner::Alive {
            return Ok(false);
        }
        fs::write(self.folder.join(REQUEST), request)?;
        Ok(true)
    }

    /// Takes a request back, if there is one. A request for a part that has ended does nothing.
    ///
    /// # Errors
    ///
    /// It cannot be removed.
    pub fn withdraw(&self) -> io::Result<()> {
        remove_if_there(&self.folder.join(REQUEST))
    }
}

/// The text of a request.
pub(crate) fn request(epoch: u64, part: u32) -> String {
    format!("{epoch} {part}\n")
}
