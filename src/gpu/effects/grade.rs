//! `grade.wgsl`: colours point by point.
//!
//! Spec: Filter Effects 1, section 9 (the matrices of `saturate` and `hue-rotate`); ASC CDL 1.2.

use super::{Program, Second};
use crate::{
    gpu::pipeline::{self, Source},
    scene::effect::Grade,
};

pub(super) const PROGRAM: Program = Program::new::<gpu_data::Grade>(
    "gpu.effects.grade",
    Source {
        name: "grade.wgsl",
        uses_common: false,
        text: concat!(include_str!("../../../shaders/effects.wgsl"), include_str!("../../../shaders/grade.wgsl")),
    },
    Second::Nothing,
);

mod gpu_data {
    use bytemuck::{Pod, Zeroable};

    /// `Grade` of `grade.wgsl`.
    #[repr(C)]
    #[derive(Debug, Clone, Copy, Pod, Zeroable)]
    pub(crate) struct Grade {
        /// Brightness, contrast, one over gamma, the CDL's saturation.
        pub(crate) tone: [f32; 4],
        /// Rows that give red, green and blue.
        pub(crate) saturation: [[f32; 4]; 3],
        pub(crate) hue: [[f32; 4]; 3],
        /// Black, one over the way to white, one over gamma.
        pub(crate) levels_in: [f32; 4],
        /// Black, the way to white.
        pub(crate) levels_out: [f32; 4],
        pub(crate) slope: [f32; 4],
        pub(crate) offset: [f32; 4],
        pub(crate) power: [f32; 4],
    }
}

pub(super) fn layouts() -> Vec<pipeline::Layout> {
    vec![pipeline::layout!("grade.wgsl", gpu_data::Grade as "Grade" {
        tone, saturation, hue, levels_in, levels_out, slope, offset, power
    })]
}

pub(super) fn slot(grade: &Grade) -> gpu_data::Grade {
    let Grade { brightness, contrast, saturation, hue, gamma, levels, cdl } = grade;
    let row = |[r, g, b]: [f64; 3]| [r as f32, g as f32, b as f32, 0.0];
    let levels_in = [levels.in_black, 1.0 / (levels.in_white - levels.in_black), 1.0 / levels.gamma];
    gpu_data::Grade {
        tone: [*brightness, *contrast, 1.0 / gamma, cdl.saturation].map(|v| v as f32),
        saturation: saturate(*saturation).map(row),
        hue: hue_rotate(*hue).map(row),
        levels_in: row(levels_in),
        levels_out: row([levels.out_black, levels.out_white - levels.out_black, 0.0]),
        slope: row(cdl.slope),
        offset: row(cdl.offset),
        power: row(cdl.power),
    }
}

fn saturate(s: f64) -> [[f64; 3]; 3] {
    [
        [0.213 + 0.787 * s, 0.715 - 0.715 * s, 0.072 - 0.072 * s],
        [0.213 - 0.213 * s, 0.715 + 0.285 * s, 0.072 - 0.072 * s],
        [0.213 - 0.213 * s, 0.715 - 0.715 * s, 0.072 + 0.928 * s],
    ]
}

fn hue_rotate(degrees: f64) -> [[f64; 3]; 3] {
    let (sin, cos) = degrees.to_radians().sin_cos();
    [
        [0.213 + cos * 0.787 - sin * 0.213, 0.715 - cos * 0.715 - sin * 0.715, 0.072 - cos * 0.072 + sin * 0.928],
        [0.213 - cos * 0.213 + sin * 0.143, 0.715 + cos * 0.285 + sin * 0.140, 0.072 - cos * 0.072 - sin * 0.283],
        [0.213 - cos * 0.213 - sin * 0.787, 0.715 - cos * 0.715 + sin * 0.715, 0.072 + cos * 0.928 + sin * 0.072],
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_changes_nothing() {
        let slot = slot(&Grade::default());
        let one = [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]];
        for (row, expected) in slot.saturation.iter().chain(&slot.hue).zip(one.iter().chain(&one)) {
            assert!(row.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{row:?}");
        }
        assert_eq!((slot.tone, slot.levels_in), ([1.0; 4], [0.0, 1.0, 1.0, 0.0]));
        assert_eq!((slot.levels_out[..2].to_vec(), slot.slope, slot.power), (vec![0.0, 1.0], slot.power, slot.slope));
    }

    /// Half a turn of pure red: 0.213 twice, less what it had.
    #[test]
    fn hue_turns_about_grey() {
        let half = hue_rotate(180.0);
        let red = half.map(|row| row[0]);
        for (found, expected) in red.into_iter().zip([-0.574, 0.426, 0.426]) {
            assert!((found - expected).abs() < 1e-9, "{red:?}");
        }
        for row in half.into_iter().chain(saturate(0.3)) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "grey stays: {row:?}");
        }
    }
}
