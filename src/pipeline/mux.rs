//! The mux thread: packets of pictures and sound in, one sequence out for each rendition, to every output's own queue.
//!
//! An output takes a packet without blocking, so the slowest costs the others nothing; a body is shared by reference, that
//! of a piece of sound by all renditions.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc::Receiver},
};

use bytes::Bytes;
use tokio::time::Instant;

use super::{
    bitrate::{Decision, Governor, Reading, Reason, TICK_MS},
    interleave::Interleaver,
    metrics::RenditionMetrics,
    rendition::{BitrateChange, BitrateReason, Control},
};
use crate::{
    base::id::Id,
    output::{Headers, Network, Output, Packet, Stats, Target},
};

/// Packets of one rendition, and of sound, on their way to the mux thread: about a second of them. The thread never waits
/// for anything, so this fills only when the machine stands still; then the encoders wait.
pub(super) const QUEUE: usize = 64;
/// Length of the window over which rates are measured, in milliseconds of the stream.
const WINDOW_MS: u64 = 4000;

/// What the mux thread is told.
#[derive(Debug)]
pub(super) enum ToMux {
    /// Of the rendition with this index.
    Picture { rendition: usize, packet: Packet, ready_at: Instant },
    /// For all of them.
    Sound { packet: Packet, ready_at: Instant },
    /// The sequence header of a rendition's new encoder.
    VideoHeader { rendition: usize, header: Bytes },
}

impl ToMux {
    /// A picture that is ready now.
    pub(super) fn picture(rendition: usize, packet: Packet) -> Self {
        Self::Picture { rendition, packet, ready_at: Instant::now() }
    }

    /// A piece of sound that is ready now.
    pub(super) fn sound(packet: Packet) -> Self {
        Self::Sound { packet, ready_at: Instant::now() }
    }
}

/// A rendition's outputs and the headers they start with. The lock is held for pushes that do not block.
#[derive(Debug)]
pub(super) struct FanOut(Mutex<State>);

#[derive(Debug)]
struct State {
    headers: Arc<Headers>,
    outputs: Vec<Member>,
    next_number: u64,
}

#[derive(Debug)]
struct Member {
    id: Id,
    /// Which it is of all that there ever were.
    number: u64,
    output: Output,
}

impl FanOut {
    pub(super) fn new(headers: Headers) -> Self {
        Self(Mutex::new(State { headers: Arc::new(headers), outputs: Vec::new(), next_number: 0 }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts an output with the current headers. There must be none of the same id.
    pub(super) fn add(&self, target: Target, network: &Network) {
        let mut state = self.lock();
        let id = target.id().clone();
        let output = Output::spawn(network, target, state.headers.clone());
        let number = state.next_number;
        state.next_number += 1;
        state.outputs.push(Member { id, number, output });
    }

    pub(super) fn remove(&self, id: &Id) -> Option<Output> {
        let mut state = self.lock();
        let index = state.outputs.iter().position(|member| member.id == *id)?;
        Some(state.outputs.remove(index).output)
    }

    pub(super) fn remove_all(&self) -> Vec<Output> {
        std::mem::take(&mut self.lock().outputs).into_iter().map(|member| member.output).collect()
    }

    pub(super) fn stats(&self) -> Vec<Stats> {
        self.lock().outputs.iter().map(|member| member.output.stats()).collect()
    }

    fn push(&self, packet: &Packet, ready_at: Instant) {
        self.lock().outputs.iter().for_each(|member| member.output.push_ready(packet, ready_at));
    }

    /// Lets the governor look at all outputs.
    fn govern(&self, governor: &mut Governor, now_ms: u64, control: &Control) -> Option<BitrateChange> {
        let state = self.lock();
        // A disk that is late is no reason for a worse picture.
        let followed = state.outputs.iter().filter(|member| member.output.has_network());
        let readings = followed.map(|Member { number, output, .. }| Reading {
            number: *number,
            is_primary: output.is_primary(),
            flow: output.flow(),
        });
        let Decision { from_kbps, to_kbps, reason } = governor.tick(now_ms, &control.wanted(), readings)?;
        let (reason, output) = match reason {
            Reason::Congestion(number) => {
                let slow = state.outputs.iter().find(|member| member.number == number);
                (BitrateReason::Congestion, slow.map(|member| member.id.clone()))
            }
            Reason::Recovery => (BitrateReason::Recovery, None),
            Reason::Configured => (BitrateReason::Configured, None),
        };
        Some(BitrateChange { at_ms: now_ms, from_kbps, to_kbps, reason, output })
    }

    fn set_video_header(&self, video: Bytes) {
        let mut state = self.lock();
        state.headers = Arc::new(Headers { video, ..(*state.headers).clone() });
        state.outputs.iter().for_each(|member| member.output.set_headers(state.headers.clone()));
    }
}

/// One rendition on the mux thread.
#[derive(Debug)]
pub(super) struct Lane {
    interleaver: Interleaver,
    recent: Recent,
    fan_out: Arc<FanOut>,
    metrics: RenditionMetrics,
    governor: Governor,
    control: Arc<Control>,
    next_tick_ms: u64,
}

impl Lane {
    pub(super) fn new(
        interleaver: Interleaver,
        fan_out: Arc<FanOut>,
        metrics: RenditionMetrics,
        control: Arc<Control>,
    ) -> Self {
        let governor = Governor::new(control.wanted().ceiling_kbps);
        Self { interleaver, recent: Recent::default(), fan_out, metrics, governor, control, next_tick_ms: 0 }
    }

    /// What leaves with a packet that is ready since then was not ready before: it waited for this one.
    fn push(&mut self, packet: Packet, ready_at: Instant) {
        let now_ms = packet.dts_ms;
        let Self { interleaver, recent, fan_out, metrics, .. } = self;
        interleaver.push(packet, |packet| leave(&packet, ready_at, recent, fan_out, metrics));
        metrics.av_skew_ms.set(interleaver.skew_ms());
        if now_ms >= self.next_tick_ms {
            self.next_tick_ms = now_ms + TICK_MS;
            self.govern(now_ms);
        }
    }

    fn govern(&mut self, now_ms: u64) {
        let Some(change) = self.fan_out.govern(&mut self.governor, now_ms, &self.control) else { return };
        match change.reason {
            BitrateReason::Congestion => self.metrics.bitrate_steps_down.inc(),
            BitrateReason::Recovery => self.metrics.bitrate_steps_up.inc(),
            BitrateReason::Configured => {}
        }
        self.metrics.bitrate_target_bps.set(i64::from(change.to_kbps) * 1000);
        self.control.change(change);
    }

    fn finish(self) {
        let Self { mut interleaver, mut recent, fan_out, metrics, .. } = self;
        let ready_at = Instant::now();
        interleaver.finish(|packet| leave(&packet, ready_at, &mut recent, &fan_out, &metrics));
        metrics.bitrate_bps.set(0);
        metrics.active_fps.set(0.0);
        metrics.av_skew_ms.set(0);
    }
}

fn leave(packet: &Packet, ready_at: Instant, recent: &mut Recent, fan_out: &FanOut, metrics: &RenditionMetrics) {
    recent.push(packet);
    let (bits, pictures) = recent.rates();
    metrics.bitrate_bps.set(bits);
    metrics.active_fps.set(pictures);
    fan_out.push(packet, ready_at);
}

/// Runs until all encoders have gone.
pub(super) fn run(packets: Receiver<ToMux>, mut lanes: Vec<Lane>) {
    for message in packets {
        match message {
            ToMux::Picture { rendition, packet, ready_at } => lanes[rendition].push(packet, ready_at),
            ToMux::Sound { packet, ready_at } => {
                lanes.iter_mut().for_each(|lane| lane.push(packet.clone(), ready_at));
            }
            ToMux::VideoHeader { rendition, header } => lanes[rendition].fan_out.set_video_header(header),
        }
    }
    lanes.into_iter().for_each(Lane::finish);
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
