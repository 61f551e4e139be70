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
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use super::{Error, device::Gpu};

/// Buffers in the ring of a compositor.
pub(crate) const RING: usize = 3;

const PENDING: u8 = 0;
const MAPPED: u8 = 1;
const REFUSED: u8 = 2;

/// Buffers that travel between the GPU and the CPU.
#[derive(Debug)]
pub(crate) struct Readback {
    free: Vec<wgpu::Buffer>,
    in_flight: VecDeque<InFlight>,
}

#[derive(Debug)]
struct InFlight {
    frame: u64,
    buffer: wgpu::Buffer,
    submission: wgpu::SubmissionIndex,
    /// Written by the callback of the mapping.
    state: Arc<AtomicU8>,
}

/// A copy that is recorded but not submitted.
#[derive(Debug)]
pub(crate) struct Scheduled {
    buffer: wgpu::Buffer,
    state: Arc<AtomicU8>,
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
        Self { free: (0..count).map(buffer).collect(), in_flight: VecDeque::with_capacity(count) }
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
        let state = Arc::new(AtomicU8::new(PENDING));
        let done = state.clone();
        encoder.map_buffer_on_submit(&buffer, wgpu::MapMode::Read, .., move |mapped| {
            done.store(if mapped.is_ok() { MAPPED } else { REFUSED }, Ordering::Release);
        });
        Ok(Scheduled { buffer, state })
    }

    /// Notes that the copy was submitted.
    pub(crate) fn submitted(
        &mut self,
        frame: u64,
        Scheduled { buffer, state }: Scheduled,
        submission: wgpu::SubmissionIndex,
    ) {
        self.in_flight.push_back(InFlight { frame, buffer, submission, state });
    }

    /// Waits, at most `wait`, for the oldest picture and hands its bytes to `read`; its frame number, if it is there.
    pub(crate) fn collect(
        &mut self,
        gpu: &Gpu,
        wait: Duration,
        read: impl FnOnce(&[u8]),
    ) -> Result<Option<u64>, Error> {
        let Some(oldest) = self.in_flight.front() else { return Ok(None) };
        gpu.wait(&oldest.submission, wait)?;
        let state = oldest.state.load(Ordering::Acquire);
        if state == PENDING {
            return Ok(None);
        }
        let Some(InFlight { frame, buffer, .. }) = self.in_flight.pop_front() else { return Ok(None) };
        let result = if state == MAPPED {
            let result = buffer.get_mapped_range(..).map(|view| read(&view)).map_err(|error| error.to_string());
            buffer.unmap();
            result
        } else {
            Err("its buffer could not be mapped".into())
        };
        self.free.push(buffer);
        result.map(|()| Some(frame)).map_err(|reason| Error::Readback { frame, reason })
    }
}
