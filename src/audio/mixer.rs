//! The mixer: a [`Mix`] and a sample number in, 1024 stereo samples out.
//!
//! No clock, no files, no locks. What a block is follows from the document and its number: gains, fades and pans are
//! functions of the time, and sources are asked by number. What has a past is short: changes that the document makes at
//! once are led over to in [`RAMP_SAMPLES`], ducking and limiter take their times. A block that does not follow the last
//! one starts all of that anew, where the document has it.
//!
//! ```text
//!  asked for            0 .. 1023      1024 .. 2047
//!  mixed for it         0 .. 2047      2048 .. 3071        one block ahead: the limiter looks into it
//! ```
//!
//! Sources are asked for one block ahead, so the limiter costs no time: sample *n* of the mix is made of sample *n* of
//! each source. A change of the document holds from the next sample that is mixed, which whoever makes it is told.
//!
//! A source that panics is silent from then on; the others do not notice.
//!
//! Gains are worked out at knots, each 64 samples, and go straight from one to the next.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use super::{
    BLOCK_SAMPLES, Block, CHANNELS, SAMPLE_RATE, SILENT_BLOCK, Source,
    duck::Ducker,
    fader,
    limiter::{self, Limiter},
    meter::{BlockLevels, Gauge, Measured, SourceLevels, Stereo},
    mix::{Mix, Strip},
};
use crate::base::id::Id;

/// Samples from knot to knot.
pub(super) const KNOT_SAMPLES: usize = 64;
/// Knots of a block.
pub(super) const KNOTS: usize = BLOCK_SAMPLES / KNOT_SAMPLES;
/// Samples, 10 ms, in which a gain that jumps gets from nothing to full scale, and one sound to another.
const RAMP_SAMPLES: usize = 480;
/// Loudest sample that a source may give: 36 dB above full scale, as a broken file of floating point has it.
const SAMPLE_MAX: f32 = 64.0;

/// Says how much of a layer is seen at a sample, 0 to 1.
pub type Seen<'a> = dyn FnMut(&Id, u64) -> f64 + 'a;

/// A source, opened for the strip of this id.
pub type Opened = (Id, Box<dyn Source>);

/// Everything that is heard.
#[derive(Debug)]
pub struct Mixer {
    mix: Arc<Mix>,
    slots: Vec<Slot>,
    /// The gain of the whole at the end of what is mixed.
    gain: f32,
    limiter: Limiter,
    /// What the limiter gave beyond the last block asked for.
    surplus: Box<[[f32; CHANNELS]; SURPLUS]>,
    /// The next block, if it follows the last one.
    next_sample: Option<u64>,
    /// The first sample that is not mixed yet.
    mixed: u64,
    scratch: Box<Block>,
    /// Samples of sources that were not there in time, until they are asked for.
    missing: u64,
    /// Sources that are not heard any more.
    retired: Vec<Box<dyn Source>>,
}

/// Samples that the limiter gives of a block's own number.
const SURPLUS: usize = BLOCK_SAMPLES - limiter::DELAY_SAMPLES;

/// What the document says of a slot for one block.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    /// None: it is leaving.
    strip: Option<&'a Strip>,
    /// Whether mute and solo let it through.
    is_let_through: bool,
    /// How much of its layer is seen; all of it where it follows none.
    seen: f32,
}

/// A source with what has a past.
#[derive(Debug)]
struct Slot {
    id: Id,
    /// Its place in the document; none: it is leaving.
    strip: Option<usize>,
    source: Box<dyn Source>,
    /// What takes the source's place with the next block.
    next: Option<Box<dyn Source>>,
    delay: u64,
    /// Of left and right, and how much of its layer was seen, at the end of what is mixed.
    gains: [f32; CHANNELS],
    seen: Option<f32>,
    ducker: Ducker,
    raw: Box<Block>,
    /// Gains from which the block starts and at the end of each interval, without ducking.
    knots: [[f32; CHANNELS]; KNOTS + 1],
    /// How much ducking lets through where the block starts.
    ducked: f32,
    /// Mean squares of the intervals, behind the fader.
    squares: [f32; KNOTS],
    levels: Stereo,
    /// Why it is not heard as it should be.
    problem: Option<Arc<str>>,
    is_over: bool,
}

impl Mixer {
    /// A mixer of this document, with a source opened for each of its strips.
    pub fn new(mix: Arc<Mix>, opened: Vec<Opened>) -> Self {
        let mut mixer = Self {
            mix: Arc::default(),
            slots: Vec::new(),
            gain: 0.0,
            limiter: Limiter::new(),
            surplus: Box::new([[0.0; CHANNELS]; SURPLUS]),
            next_sample: None,
            mixed: 0,
            scratch: Box::new(SILENT_BLOCK),
            missing: 0,
            retired: Vec::new(),
        };
        mixer.change(mix, opened);
        mixer
    }

    /// Another document, from the next sample that is mixed, with a source for each strip that is new or sounds otherwise
    /// now. Sources that are replaced or not there any more fade out.
    pub fn change(&mut self, mix: Arc<Mix>, opened: Vec<Opened>) {
        for (id, source) in opened {
            match self.slots.iter_mut().find(|slot| slot.strip.is_some() && slot.id == id) {
                Some(slot) => self.retired.extend(slot.next.replace(source)),
                None => self.slots.push(Slot::new(id, source)),
            }
        }
        for slot in self.slots.iter_mut().filter(|slot| slot.strip.is_some()) {
            slot.strip = mix.sources.iter().position(|strip| strip.id == slot.id);
        }
        self.mix = mix;
    }

    /// Sources that are not heard any more, for a thread that may take its time to drop them.
    pub fn take_retired(&mut self) -> Vec<Box<dyn Source>> {
        std::mem::take(&mut self.retired)
    }

    /// A source that is not heard as it should be, and why.
    pub fn problem(&self) -> Option<(&Id, &str)> {
        self.slots.iter().find_map(|slot| Some((&slot.id, slot.problem.as_deref()?)))
    }

    /// Samples of sources that were not there in time, since this was last asked.
    pub fn take_missing(&mut self) -> u64 {
        std::mem::take(&mut self.missing)
    }

    /// Whether some source follows a layer.
    pub fn follows_layers(&self) -> bool {
        self.mix.sources.iter().any(|strip| strip.follow_layer.is_some())
    }

    /// The document.
    pub fn mix(&self) -> &Arc<Mix> {
        &self.mix
    }

    /// Puts the samples `first_sample..first_sample + 1024` into `out`.
    pub fn block(&mut self, first_sample: u64, seen: &mut Seen<'_>, out: &mut Block) {
        if self.next_sample != Some(first_sample) {
            self.restart(first_sample, seen, out);
        }
        self.mix_next(seen, out);
        // What came out of the limiter belongs, but for its delay, to the next block.
        out.rotate_right(SURPLUS);
        self.surplus.swap_with_slice(&mut out[..SURPLUS]);
        self.next_sample = Some(first_sample + BLOCK_SAMPLES as u64);
    }

    /// Measures what [`Self::block`] gave.
    pub fn measure(&self, gauge: &mut Gauge, block: &Block) -> Measured {
        let mut levels = BlockLevels { gain: self.limiter.gain(), ..BlockLevels::default() };
        for slot in &self.slots {
            if let Some(index) = slot.strip {
                let (id, problem, is_over) = (slot.id.clone(), slot.problem.clone(), slot.is_over);
                levels.sources[index] = Some(SourceLevels { id, levels: slot.levels, problem, is_over });
            }
        }
        gauge.measure(block, &self.mix.silence, levels)
    }

    /// Begins anew at `first`: mixes its block, so that the next one can be looked into.
    fn restart(&mut self, first: u64, seen: &mut Seen<'_>, scratch: &mut Block) {
        let mix = self.mix.clone();
        self.mixed = first;
        self.gain = fader::factor_at(mix.gain_db, mix.fade.as_ref(), first) as f32;
        self.limiter.reset();
        for slot in &mut self.slots {
            let wanted = Wanted::at(first, slot, &mix, seen);
            self.retired.extend(slot.restart(wanted, first));
        }
        self.mix_next(seen, scratch);
        self.surplus.copy_from_slice(&scratch[limiter::DELAY_SAMPLES..]);
    }

    /// Mixes the next block and gives what comes out of the limiter.
    fn mix_next(&mut self, seen: &mut Seen<'_>, out: &mut Block) {
        let (mix, first) = (self.mix.clone(), self.mixed);
        let end = first + BLOCK_SAMPLES as u64;
        *out = SILENT_BLOCK;
        for slot in &mut self.slots {
            let wanted = Wanted::at(end, slot, &mix, seen);
            self.retired.extend(slot.fetch(first, &mut self.scratch));
            self.missing += slot.source.take_missing();
            slot.set_gains(wanted, first);
        }
        for index in 0..self.slots.len() {
            let duck = self.slots[index].strip.and_then(|strip| mix.sources[strip].duck.as_ref());
            let heard =
                duck.and_then(|duck| self.slots.iter().find(|slot| slot.strip.is_some() && slot.id == duck.under));
            let heard = heard.map(|slot| slot.squares);
            let slot = &mut self.slots[index];
            let ducked = slot.ducker.factors(duck, heard.as_ref());
            slot.add_to(&ducked, out);
        }
        self.apply_gain(&mix, first, out);
        self.limiter.process(&mix.limiter, out);
        self.let_go();
        self.mixed = end;
    }

    fn apply_gain(&mut self, mix: &Mix, first: u64, out: &mut Block) {
        for (knot, pairs) in out.chunks_exact_mut(KNOT_SAMPLES).enumerate() {
            let wanted = fader::factor_at(mix.gain_db, mix.fade.as_ref(), end_of(first, knot)) as f32;
            let from = self.gain;
            self.gain = toward(from, wanted);
            let step = (self.gain - from) / KNOT_SAMPLES as f32;
            for (index, pair) in pairs.iter_mut().enumerate() {
                let gain = from + step * (index + 1) as f32;
                *pair = pair.map(|sample| sample * gain);
            }
        }
    }

    /// Forgets slots that have left.
    fn let_go(&mut self) {
        let has_left = |slot: &Slot| slot.strip.is_none() && slot.gains == [0.0; CHANNELS];
        while let Some(index) = self.slots.iter().position(has_left) {
            let slot = self.slots.remove(index);
            self.retired.push(slot.source);
            self.retired.extend(slot.next);
        }
    }
}

/// The sample at which an interval of the block that starts at `first` ends.
fn end_of(first: u64, knot: usize) -> u64 {
    first + ((knot + 1) * KNOT_SAMPLES) as u64
}

/// A gain one knot nearer to what is wanted.
fn toward(now: f32, wanted: f32) -> f32 {
    let step = now.max(wanted).max(1.0) * KNOT_SAMPLES as f32 / RAMP_SAMPLES as f32;
    if now < wanted { (now + step).min(wanted) } else { (now - step).max(wanted) }
}

impl<'a> Wanted<'a> {
    /// What `mix` wants of a slot, as far as its layer is seen at `sample`.
    fn at(sample: u64, slot: &Slot, mix: &'a Mix, seen: &mut Seen<'_>) -> Self {
        let strip = slot.strip.map(|index| &mix.sources[index]);
        let layer = strip.and_then(|strip| strip.follow_layer.as_ref());
        let seen = layer.map_or(1.0, |layer| seen(layer, sample) as f32);
        Self { strip, is_let_through: strip.is_some_and(|strip| mix.lets_through(strip)), seen }
    }

    fn delay(&self, now: u64) -> u64 {
        self.strip.map_or(now, |strip| (strip.delay_ms * f64::from(SAMPLE_RATE) / 1000.0).round() as u64)
    }

    /// The gains of left and right at `sample`, when so much of the layer is seen.
    fn gains(&self, sample: u64, seen: f32) -> [f32; CHANNELS] {
        let Some(strip) = self.strip.filter(|_| self.is_let_through) else { return [0.0; CHANNELS] };
        let gain = fader::factor_at(strip.gain_db, strip.fade.as_ref(), sample) as f32 * seen;
        balance(strip.pan as f32).map(|side| side * gain)
    }
}

/// The side that the balance leans away from goes down by a quarter of a cosine, to nothing at the end.
fn balance(pan: f32) -> [f32; CHANNELS] {
    let side = |lean: f32| if lean >= 1.0 { 0.0 } else { (lean.max(0.0) * std::f32::consts::FRAC_PI_2).cos() };
    [side(pan), side(-pan)]
}

impl Slot {
    fn new(id: Id, source: Box<dyn Source>) -> Self {
        Self {
            id,
            // Found by `change`.
            strip: Some(0),
            source,
            next: None,
            delay: 0,
            gains: [0.0; CHANNELS],
            seen: None,
            ducker: Ducker::default(),
            raw: Box::new(SILENT_BLOCK),
            knots: [[0.0; CHANNELS]; KNOTS + 1],
            ducked: 1.0,
            squares: [0.0; KNOTS],
            levels: Stereo::default(),
            problem: None,
            is_over: false,
        }
    }

    /// Begins where the document has it; gives back a source that was replaced.
    fn restart(&mut self, wanted: Wanted<'_>, first: u64) -> Option<Box<dyn Source>> {
        self.delay = wanted.delay(self.delay);
        self.seen = Some(wanted.seen);
        self.gains = wanted.gains(first, wanted.seen);
        (self.ducker, self.ducked) = (Ducker::default(), 1.0);
        let next = self.next.take()?;
        Some(std::mem::replace(&mut self.source, next))
    }

    /// Fills `raw`; gives back a source that was replaced or failed. The new one is there from the first sample on if the old one
    /// was silent, otherwise it is led over to.
    fn fetch(&mut self, first: u64, scratch: &mut Block) -> Option<Box<dyn Source>> {
        let is_good = fetch(&mut *self.source, first, self.delay, &mut self.raw);
        let mut next = match self.next.take() {
            Some(next) => next,
            None if is_good => {
                self.is_over = self.source.is_over();
                self.note(self.source.problem());
                return None;
            }
            // One that failed is silent from now on.
            None => Box::new(Failed::new()),
        };
        if !fetch(&mut *next, first, self.delay, scratch) {
            next = Box::new(Failed::new());
        }
        self.is_over = next.is_over();
        self.note(next.problem());
        let was_heard = self.raw.as_flattened().iter().any(|&sample| sample != 0.0);
        let fading = if was_heard { RAMP_SAMPLES } else { 0 };
        for (index, (old, &new)) in self.raw.iter_mut().zip(scratch.iter()).enumerate() {
            let share = if index < fading { index as f32 / RAMP_SAMPLES as f32 } else { 1.0 };
            *old = std::array::from_fn(|side| {
                new[side] * share + if share < 1.0 { old[side] * (1.0 - share) } else { 0.0 }
            });
        }
        Some(std::mem::replace(&mut self.source, next))
    }

    /// Says once why it is not heard as it should be, and once that it is again.
    fn note(&mut self, problem: Option<Arc<str>>) {
        if problem == self.problem {
            return;
        }
        match &problem {
            Some(reason) => tracing::warn!(source = %self.id, %reason, "a source is not heard as it should be"),
            None => tracing::info!(source = %self.id, "a source is heard as it should be"),
        }
        self.problem = problem;
    }

    /// Works out the gains of the block at its knots, and how loud it is behind them.
    fn set_gains(&mut self, wanted: Wanted<'_>, first: u64) {
        // Moved in time while it is not heard.
        let is_moved = wanted.delay(self.delay) != self.delay;
        let wanted = Wanted { is_let_through: wanted.is_let_through && !is_moved, ..wanted };
        let was_seen = self.seen.replace(wanted.seen).unwrap_or(wanted.seen);
        self.knots[0] = self.gains;
        for knot in 0..KNOTS {
            let share = (knot + 1) as f32 / KNOTS as f32;
            let gains = wanted.gains(end_of(first, knot), was_seen + (wanted.seen - was_seen) * share);
            self.gains = std::array::from_fn(|side| toward(self.gains[side], gains[side]));
            self.knots[knot + 1] = self.gains;
        }
        if is_moved && self.gains == [0.0; CHANNELS] {
            self.delay = wanted.delay(self.delay);
        }
        for (knot, pairs) in self.raw.chunks_exact(KNOT_SAMPLES).enumerate() {
            let squares =
                pairs.iter().fold([0.0; CHANNELS], |[l, r], pair| [l + pair[0] * pair[0], r + pair[1] * pair[1]]);
            let [left, right] = self.knots[knot + 1];
            self.squares[knot] = (squares[0] * left * left + squares[1] * right * right) / (2 * KNOT_SAMPLES) as f32;
        }
    }

    /// Adds the block, as it is let through, to the whole.
    fn add_to(&mut self, ducked: &[f32; KNOTS], out: &mut Block) {
        self.levels = Stereo::default();
        let pairs = self.raw.chunks_exact(KNOT_SAMPLES).zip(out.chunks_exact_mut(KNOT_SAMPLES));
        for (knot, (raw, out)) in pairs.enumerate() {
            let from = self.knots[knot].map(|gain| gain * self.ducked);
            self.ducked = ducked[knot];
            let to = self.knots[knot + 1].map(|gain| gain * self.ducked);
            if from == [0.0; CHANNELS] && to == from {
                continue;
            }
            let steps: [f32; CHANNELS] = std::array::from_fn(|side| (to[side] - from[side]) / KNOT_SAMPLES as f32);
            for (index, (raw, out)) in raw.iter().zip(out).enumerate() {
                let at = (index + 1) as f32;
                let pair = std::array::from_fn(|side| raw[side] * (from[side] + steps[side] * at));
                self.levels.note(pair);
                out[0] += pair[0];
                out[1] += pair[1];
            }
        }
    }
}

/// What a source is replaced by that panicked.
#[derive(Debug)]
struct Failed(Arc<str>);

impl Failed {
    fn new() -> Self {
        Self("it failed; change it, or make it anew".into())
    }
}

impl Source for Failed {
    fn mix(&mut self, _first_sample: u64, _out: &mut Block) {}

    fn problem(&self) -> Option<Arc<str>> {
        Some(self.0.clone())
    }
}

/// Fills `raw` with the block that is heard from `first` on, `delay` samples late; before the stream there is silence.
/// False if the source failed.
fn fetch(source: &mut dyn Source, first: u64, delay: u64, raw: &mut Block) -> bool {
    *raw = SILENT_BLOCK;
    // Of a source that panicked nothing is asked again.
    if catch_unwind(AssertUnwindSafe(|| mix_late(source, first, delay, raw))).is_err() {
        *raw = SILENT_BLOCK;
        return false;
    }
    for sample in raw.as_flattened_mut() {
        *sample = if sample.is_finite() { sample.clamp(-SAMPLE_MAX, SAMPLE_MAX) } else { 0.0 };
    }
    true
}

fn mix_late(source: &mut dyn Source, first: u64, delay: u64, raw: &mut Block) {
    match first.checked_sub(delay) {
        Some(first) => source.mix(first, raw),
        None => {
            let late = delay - first;
            if late < BLOCK_SAMPLES as u64 {
                source.mix(0, raw);
                raw.rotate_right(late as usize);
                raw[..late as usize].fill([0.0; CHANNELS]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
