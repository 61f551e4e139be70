//! The ring of buffers through which pictures come back: schedule now, collect later.
//!
//! ```text
//!  schedule ──► [in flight] [in flight] [in flight] ──► collect (oldest first) ──► free again
//! ```
//!
//! Mapping a buffer that the GPU still writes would wait for it; with three buffers the one that is collected was
//! written a frame or two ago. Whatever happens to a picture, its buffer is unmapped and free afterwards.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use super::{Error, device::Gpu};

/// Buffers in the ring of a compositor.
pub(crate) const RING: usize = 3;

/// Whether a buffer's mapping is done, and whether it succeeded.
#[derive(Debug, Default)]
struct Mapping {
    is_mapped: Mutex<Option<bool>>,
    done: Condvar,
}

impl Mapping {
    /// Called back, by whichever thread polls the device.
    fn finish(&self, is_mapped: bool) {
        *self.is_mapped.lock().unwrap_or_else(PoisonError::into_inner) = Some(is_mapped);
        self.done.notify_all();
    }

    /// How it ended, waiting at most `wait` for it.
    fn wait(&self, wait: Duration) -> Option<bool> {
        let state = self.is_mapped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.done.wait_timeout_while(state, wait, |state| state.is_none());
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

/// Buffers that travel between the GPU and the CPU.
#[derive(Debug)]
pub(crate) struct Readback {
    free: Vec<Buffer>,
    in_flight: VecDeque<InFlight>,
}

/// A buffer and its place among those of the ring.
#[derive(Debug)]
struct Buffer {
    index: usize,
    buffer: wgpu::Buffer,
}

#[derive(Debug)]
struct InFlight {
    frame: u64,
    buffer: Buffer,
    submission: wgpu::SubmissionIndex,
    mapping: Arc<Mapping>,
}

/// A copy that is recorded but not submitted.
#[derive(Debug)]
pub(crate) struct Scheduled {
    buffer: Buffer,
    mapping: Arc<Mapping>,
}

impl Readback {
    /// A ring of `count` buffers for pictures of `len` bytes, a multiple of four.
    pub(crate) fn new(device: &wgpu::Device, len: usize, count: usize) -> Self {
        let buffer = |index| {
            let buffer = device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gpu.readback"),
                size: len as u64,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            });
            Buffer { index, buffer }
        };
        Self { free: (0..count).map(buffer).collect(), in_flight: VecDeque::with_capacity(count) }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Lets `copy` record how the next buffer is filled, which still has what was copied into it before, and records its
    /// mapping. With the buffer goes its index, from 0.
    pub(crate) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        copy: impl FnOnce(&mut wgpu::CommandEncoder, usize, &wgpu::Buffer),
    ) -> Result<Scheduled, Error> {
        let buffer = self.free.pop().ok_or(Error::RingFull)?;
        copy(encoder, buffer.index, &buffer.buffer);
        let mapping = Arc::new(Mapping::default());
        let finished = mapping.clone();
        encoder.map_buffer_on_submit(&buffer.buffer, wgpu::MapMode::Read, .., move |mapped| {
            finished.finish(mapped.is_ok())
        });
        Ok(Scheduled { buffer, mapping })
    }

    /// Notes that the copy was submitted.
    pub(crate) fn submitted(
        &mut self,
        frame: u64,
        Scheduled { buffer, mapping }: Scheduled,
        submission: wgpu::SubmissionIndex,
    ) {
        self.in_flight.push_back(InFlight { frame, buffer, submission, mapping });
    }

    /// Waits, at most `wait`, for the oldest picture and hands its frame number and bytes to `read`; the number, if it is
    /// there.
    pub(crate) fn collect(
        &mut self,
        gpu: &Gpu,
        wait: Duration,
        read: impl FnOnce(u64, &[u8]),
    ) -> Result<Option<u64>, Error> {
        let Some(oldest) = self.in_flight.front() else { return Ok(None) };
        // Streams share the device: another one's thread may have polled the end of our submission and be about to call
        // back. Then the submission is done and the mapping is not, for a moment.
        let rest = if gpu.wait(&oldest.submission, wait)? { wait } else { Duration::ZERO };
        let Some(is_mapped) = oldest.mapping.wait(rest) else { return Ok(None) };
        let Some(InFlight { frame, buffer, .. }) = self.in_flight.pop_front() else { return Ok(None) };
        let result = if is_mapped {
            let mapped = &buffer.buffer;
            let result = mapped.get_mapped_range(..).map(|view| read(frame, &view)).map_err(|error| error.to_string());
            mapped.unmap();
            result
        } else {
            Err("its buffer could not be mapped".into())
        };
        self.free.push(buffer);
        result.map(|()| Some(frame)).map_err(|reason| Error::Readback { frame, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_that_another_thread_ends_is_waited_for() {
        let mapping = Arc::new(Mapping::default());
        assert_eq!(mapping.wait(Duration::ZERO), None);
        let other = mapping.clone();
        let thread = std::thread::Builder::new().name("poller".into()).spawn(move || other.finish(true)).unwrap();
        assert_eq!(mapping.wait(Duration::from_secs(60)), Some(true));
        thread.join().unwrap();
    }
}
