//! The mux thread: packets of both tracks in, one sequence out, to every output's own queue.
//!
//! An output takes a packet without blocking, so the slowest costs the others nothing; a body is shared by reference.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
};

use bytes::Bytes;

use super::{interleave::Interleaver, metrics::StreamMetrics};
use crate::{
    base::id::Id,
    output::{Headers, Network, Output, Packet, Spec, Stats},
};

/// Packets on their way to the mux thread: about a second of picture and sound. The thread never waits for anything, so
/// this fills only when the machine stands still; then the encoders wait.
pub(super) const QUEUE: usize = 128;
/// Length of the window over which rates are measured, in milliseconds of the stream.
const WINDOW_MS: u64 = 4000;

/// What the mux thread is told.
#[derive(Debug)]
pub(super) enum ToMux {
    Packet(Packet),
    /// A new encoder's sequence header.
    VideoHeader(Bytes),
}

/// The stream's outputs and the headers they start with. The lock is held for pushes that do not block.
#[derive(Debug)]
pub(super) struct FanOut(Mutex<State>);

#[derive(Debug)]
struct State {
    headers: Arc<Headers>,
    outputs: Vec<(Id, Output)>,
}

impl FanOut {
    pub(super) fn new(headers: Headers) -> Self {
        Self(Mutex::new(State { headers: Arc::new(headers), outputs: Vec::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an output with the current headers; gives back the one of the same id that it replaces.
    pub(super) fn add(&self, spec: Spec, network: &Network) -> Option<Output> {
        let mut state = self.lock();
        let replaced = take(&mut state.outputs, spec.id());
        let id = spec.id().clone();
        let output = Output::spawn(network, spec, state.headers.clone());
        state.outputs.push((id, output));
        replaced
    }

    pub(super) fn remove(&self, id: &Id) -> Option<Output> {
        take(&mut self.lock().outputs, id)
    }

    pub(super) fn remove_all(&self) -> Vec<Output> {
        std::mem::take(&mut self.lock().outputs).into_iter().map(|(_, output)| output).collect()
    }

    pub(super) fn stats(&self) -> Vec<Stats> {
        self.lock().outputs.iter().map(|(_, output)| output.stats()).collect()
    }

    fn push(&self, packet: &Packet) {
        self.lock().outputs.iter().for_each(|(_, output)| output.push(packet));
    }

    fn set_video_header(&self, video: Bytes) {
        let mut state = self.lock();
        state.headers = Arc::new(Headers { video, ..(*state.headers).clone() });
        state.outputs.iter().for_each(|(_, output)| output.set_headers(state.headers.clone()));
    }
}

fn take(outputs: &mut Vec<(Id, Output)>, id: &Id) -> Option<Output> {
    let index = outputs.iter().position(|(other, _)| other == id)?;
    Some(outputs.remove(index).1)
}

/// Runs until both encoders have gone.
pub(super) fn run(packets: Receiver<ToMux>, mut interleaver: Interleaver, fan_out: &FanOut, metrics: &StreamMetrics) {
    let mut recent = Recent::default();
    let mut leave = |packet: Packet| {
        recent.push(&packet);
        let (bits, pictures) = recent.rates();
        metrics.bitrate_bps.set(bits);
        metrics.active_fps.set(pictures);
        fan_out.push(&packet);
    };
    for message in packets {
        match message {
            ToMux::Packet(packet) => {
                interleaver.push(packet, &mut leave);
                metrics.av_skew_ms.set(interleaver.skew_ms());
            }
            ToMux::VideoHeader(header) => fan_out.set_video_header(header),
        }
    }
    interleaver.finish(leave);
    metrics.bitrate_bps.set(0);
    metrics.active_fps.set(0.0);
    metrics.av_skew_ms.set(0);
}

/// Packets of the last seconds.
#[derive(Debug, Default)]
struct Recent {
    window: VecDeque<(u64, usize, bool)>,
    bytes: usize,
    pictures: usize,
}

impl Recent {
    fn push(&mut self, packet: &Packet) {
        let is_video = packet.kind.is_video();
        self.window.push_back((packet.dts_ms, packet.body.len(), is_video));
        self.bytes += packet.body.len();
        self.pictures += usize::from(is_video);
        while let Some(&(dts_ms, len, is_video)) = self.window.front()
            && dts_ms + WINDOW_MS <= packet.dts_ms
        {
            self.bytes -= len;
            self.pictures -= usize::from(is_video);
            self.window.pop_front();
        }
    }

    /// Bits and pictures per second, once the window is full.
    fn rates(&self) -> (i64, f64) {
        let span_ms = self.window.front().zip(self.window.back()).map_or(0, |(first, last)| last.0 - first.0);
        // A window that is not full yet says little; one that is spans its length, less a packet.
        if span_ms < WINDOW_MS / 2 {
            return (0, 0.0);
        }
        let span_ms = if span_ms + 100 > WINDOW_MS { WINDOW_MS } else { span_ms };
        ((self.bytes as u64 * 8000 / span_ms) as i64, self.pictures as f64 * 1000.0 / span_ms as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Kind;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let mut recent = Recent::default();
        for n in 0..300u64 {
            let body = Bytes::from(vec![0; if n < 150 { 10_000 } else { 1_000 }]).into();
            recent.push(&Packet { kind: Kind::Video { is_key: false }, dts_ms: n * 40, body });
        }
        let (bits, pictures) = recent.rates();
        assert_eq!((bits, pictures), (200_000, 25.0), "1000 bytes each 40 ms");
    }
}
