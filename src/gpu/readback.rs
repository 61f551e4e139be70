//! The ring of buffers through which pictures come back: schedule now, collect later.
//!
//! ```text
//!  schedule ──► [in flight] [in flight] [in flight] ──► collect (oldest first) ──► free again
//! ```
//!
//! Mapping a buffer that the GPU still writes would wait for it; with three buffers the one that is collected was
//! written a frame or two ago. Whatever happens to a picture, its buffer is unmapped and free afterwards, and where it
//! differed from the one before is told with the next.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

use super::{Error, device::Gpu};
use crate::scene::damage::Damage;

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
    free: Vec<wgpu::Buffer>,
    in_flight: VecDeque<InFlight>,
    /// Damage of pictures that were lost on their way.
    lost: Damage,
}

#[derive(Debug)]
struct InFlight {
    frame: u64,
    damage: Damage,
    buffer: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    mapping: Arc<Mapping>,
}

/// A copy that is recorded but not submitted.
#[derive(Debug)]
pub(crate) struct Scheduled {
    buffer: wgpu::Buffer,
    mapping: Arc<Mapping>,
}

impl Readback {
    /// A ring of `count` buffers for pictures of `len` bytes, a multiple of four.
    pub(crate) fn new(device: &wgpu::Device, len: usize, count: usize) -> Self {
        let buffer = |_| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("gpu.readback"),
                size: len as u64,
                usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        };
        let free = (0..count).map(buffer).collect();
        Self { free, in_flight: VecDeque::with_capacity(count), lost: Damage::none() }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.free.is_empty()
    }

    /// Lets `copy` record how the next buffer is filled, and records its mapping.
    pub(crate) fn record(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        copy: impl FnOnce(&mut wgpu::CommandEncoder, &wgpu::Buffer),
    ) -> Result<Scheduled, Error> {
        let buffer = self.free.pop().ok_or(Error::RingFull)?;
        copy(encoder, &buffer);
        let mapping = Arc::new(Mapping::default());
        let finished = mapping.clone();
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., move |mapped| finished.finish(mapped.is_ok()));
        Ok(Scheduled { buffer, mapping })
    }

    /// Notes that the copy was submitted; `damage` is where its picture differs from that of the one before.
    pub(crate) fn submitted(
        &mut self,
        frame: u64,
        damage: Damage,
        Scheduled { buffer, mapping }: Scheduled,
        submission: wgpu::SubmissionIndex,
    ) {
        self.in_flight.push_back(InFlight { frame, damage, buffer, submission, mapping });
    }

    /// Waits, at most `wait`, for the oldest picture and hands its bytes to `read`. If it is there, its frame number, and
    /// where it differs from the last one that was collected.
    pub(crate) fn collect(
        &mut self,
        gpu: &Gpu,
        wait: Duration,
        read: impl FnOnce(&[u8]),
    ) -> Result<Option<(u64, Damage)>, Error> {
        let Some(oldest) = self.in_flight.front() else { return Ok(None) };
        // Streams share the device: another one's thread may have polled the end of our submission and be about to call
        // back. Then the submission is done and the mapping is not, for a moment.
        let rest = if gpu.wait(&oldest.submission, wait)? { wait } else { Duration::ZERO };
        let Some(is_mapped) = oldest.mapping.wait(rest) else { return Ok(None) };
        let Some(InFlight { frame, damage, buffer, .. }) = self.in_flight.pop_front() else { return Ok(None) };
        self.lost.join(&damage);
        let result = if is_mapped {
            let result = buffer.get_mapped_range(..).map(|view| read(&view)).map_err(|error| error.to_string());
            buffer.unmap();
            result
        } else {
            Err("its buffer could not be mapped".into())
        };
        self.free.push(buffer);
        result.map_err(|reason| Error::Readback { frame, reason })?;
        Ok(Some((frame, std::mem::take(&mut self.lost))))
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
