//! Who watches a stream while it runs.

use super::{Error, Streams};
use crate::pipeline::{Full, Look, Watch};

impl Streams {
    /// Somebody who watches a stream in this look, until that stops.
    pub fn watch(&self, id: &str, look: Look) -> Result<Watch, Error> {
        let entry = self.entry(id)?;
        let current = entry.lock();
        let Some(stream) = &current.stream else {
            let fix = "start it first";
            return Err(Error::State { id: current.document.id.clone(), state: current.state(), fix });
        };
        stream.watch(look).map_err(|Full { what, limit }| Error::TooMany { what, limit })
    }
}
