//! `blur.wgsl`: a Gaussian blur of any width.
//!
//! Up to [`SIGMA_MAX`] it is a sum of texels along rows, then along columns. A wider one is made on a picture that was
//! halved until it is not: halving and enlarging blur, too, and what they do is taken off what is left to do, for
//! variances add up. What is blurred holds nothing finer than a smaller picture can.

use std::sync::Arc;

use super::{Effects, Error, Pass, Program, Second, Sheet, Tools};
use crate::gpu::{
    pipeline::{self, Source},
    textures::Texture,
};

pub(super) const PROGRAM: Program = Program::new::<gpu_data::Blur>(
    "gpu.effects.blur",
    Source {
        name: "blur.wgsl",
        uses_common: false,
        text: concat!(include_str!("../../../shaders/effects.wgsl"), include_str!("../../../shaders/blur.wgsl")),
    },
    Second::Nothing,
);

/// Largest standard deviation that is made at once, in texels.
const SIGMA_MAX: f32 = 5.0;
/// Texels to either side: three standard deviations.
const RADIUS_MAX: usize = 15;
/// Below this standard deviation nothing is seen of a blur.
const SIGMA_MIN: f32 = 0.1;

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Blur` of `blur.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Blur {
        /// One texel along the line that is blurred.
        pub(crate) direction: [i32; 2],
        /// Texels to either side that count.
        pub(crate) radius: u32,
        /// Texels of the source for each pixel.
        pub(crate) rate: f32,
        /// Of the middle, then of those to either side.
        pub(crate) weights: [[f32; 4]; 4],
    }
}

pub(super) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("blur.wgsl", gpu_data::Blur as "Blur" { direction, radius, rate, weights })]
}

/// A blurred picture, smaller by `rate`; no sheet: the source itself, for there is nothing to be seen of the blur.
pub(super) struct Blurred {
    pub(super) sheet: Option<Arc<Sheet>>,
    pub(super) rate: f32,
}

impl Effects {
    /// Blurs `source` to `to`.
    pub(super) fn plan_blur(
        &mut self,
        tools: &mut Tools<'_>,
        source: &Arc<Texture>,
        to: &Arc<Sheet>,
        sigma: f32,
        passes: &mut Vec<Pass>,
    ) -> Result<(), Error> {
        let (halvings, rest) = split(sigma);
        if halvings == 0 {
            let between = self.sheets.take(tools, source.size)?;
            self.plan_lines(tools, source, &between, to, rest, passes)?;
            self.sheets.give(between);
            return Ok(());
        }
        let blurred = self.plan_blurred(tools, source, sigma, passes)?;
        let small = blurred.sheet.as_ref().map_or(source, |sheet| &sheet.picture).clone();
        passes.push(self.pass(tools, (&PROGRAM, "enlarge"), &scaling(blurred.rate), &small, None, to)?);
        blurred.sheet.into_iter().for_each(|sheet| self.sheets.give(sheet));
        Ok(())
    }

    /// Blurs `source` to a sheet that is as small as it may be.
    pub(super) fn plan_blurred(
        &mut self,
        tools: &mut Tools<'_>,
        source: &Arc<Texture>,
        sigma: f32,
        passes: &mut Vec<Pass>,
    ) -> Result<Blurred, Error> {
        if sigma < SIGMA_MIN {
            return Ok(Blurred { sheet: None, rate: 1.0 });
        }
        let (halvings, rest) = split(sigma);
        let mut small: Option<Arc<Sheet>> = None;
        for _ in 0..halvings {
            let from = small.as_ref().map_or(source, |sheet| &sheet.picture).clone();
            let half = self.sheets.take(tools, from.size.map(|side| side.div_ceil(2)))?;
            passes.push(self.pass(tools, (&PROGRAM, "halve"), &scaling(1.0), &from, None, &half)?);
            small.replace(half).into_iter().for_each(|sheet| self.sheets.give(sheet));
        }
        let from = small.as_ref().map_or(source, |sheet| &sheet.picture).clone();
        let between = self.sheets.take(tools, from.size)?;
        let to = match small {
            Some(small) => small,
            None => self.sheets.take(tools, from.size)?,
        };
        self.plan_lines(tools, &from, &between, &to, rest, passes)?;
        self.sheets.give(between);
        Ok(Blurred { sheet: Some(to), rate: 0.5_f32.powi(halvings) })
    }

    /// Along rows, then along columns.
    fn plan_lines(
        &mut self,
        tools: &mut Tools<'_>,
        from: &Arc<Texture>,
        between: &Arc<Sheet>,
        to: &Arc<Sheet>,
        sigma: f32,
        passes: &mut Vec<Pass>,
    ) -> Result<(), Error> {
        passes.push(self.pass(tools, (&PROGRAM, "blur"), &line(sigma, [1, 0]), from, None, between)?);
        passes.push(self.pass(tools, (&PROGRAM, "blur"), &line(sigma, [0, 1]), &between.picture, None, to)?);
        Ok(())
    }
}

/// How often a picture is halved for a blur with this standard deviation, and what is left for the small one.
fn split(sigma: f32) -> (i32, f32) {
    let variance = f64::from(sigma).powi(2);
    let mut halvings = 0;
    let mut rest = variance;
    while rest.sqrt() > f64::from(SIGMA_MAX) {
        halvings += 1;
        let texel = 4.0_f64.powi(halvings);
        // A halving is the mean of two texels, a variance of a quarter of their size squared; enlarging is a triangle
        // two texels wide, a sixth of theirs.
        rest = (variance - (texel - 1.0) / 12.0) / texel - 1.0 / 6.0;
    }
    (halvings, rest.sqrt() as f32)
}

/// Weights of the middle texel and of those to either side: the curve at each, all together one.
fn weights(sigma: f32) -> Vec<f32> {
    let radius = ((sigma * 3.0).ceil() as usize).min(RADIUS_MAX);
    let sigma = f64::from(sigma).max(1e-3);
    let curve: Vec<f64> = (0..=radius).map(|i| (-0.5 * (i as f64 / sigma).powi(2)).exp()).collect();
    let sum = 2.0 * curve.iter().sum::<f64>() - curve[0];
    curve.into_iter().map(|weight| (weight / sum) as f32).collect()
}

fn line(sigma: f32, direction: [i32; 2]) -> gpu_data::Blur {
    let weights = weights(sigma);
    let mut slot = gpu_data::Blur { direction, radius: weights.len() as u32 - 1, rate: 1.0, weights: [[0.0; 4]; 4] };
    slot.weights.as_flattened_mut()[..weights.len()].copy_from_slice(&weights);
    slot
}

fn scaling(rate: f32) -> gpu_data::Blur {
    gpu_data::Blur { direction: [0; 2], radius: 0, rate, weights: [[0.0; 4]; 4] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_a_bell_of_one() {
        let found = weights(1.0);
        // exp(-i^2 / 2) over 1 + 2 (0.60653 + 0.13534 + 0.01111) = 2.50596
        for (weight, expected) in found.iter().zip([0.39905, 0.24204, 0.05401, 0.00443]) {
            assert!((weight - expected).abs() < 1e-5, "{found:?}");
        }
        assert_eq!((found.len(), weights(5.0).len(), weights(0.0)), (4, 16, vec![1.0]));
    }

    /// What the parts of a wide blur do to a point has the variance that was asked for.
    #[test]
    fn the_parts_of_a_wide_blur_add_up() {
        for sigma in [0.5, 3.0, 5.0, 5.1, 12.0, 40.0, 250.0, 4000.0] {
            let (halvings, rest) = split(sigma);
            assert!((1.9..=5.0).contains(&rest) || halvings == 0, "{sigma}: {halvings} {rest}");
            let steps: f64 = (0..halvings).map(|i| 0.25 * 4.0_f64.powi(i)).sum();
            let texel = 4.0_f64.powi(halvings);
            let enlarging = if halvings > 0 { texel / 6.0 } else { 0.0 };
            let variance = steps + texel * f64::from(rest).powi(2) + enlarging;
            assert!((variance.sqrt() / f64::from(sigma) - 1.0).abs() < 1e-4, "{sigma}: {}", variance.sqrt());
        }
    }
}
