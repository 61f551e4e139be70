//! `blend.wgsl`: a group that is mixed with what lies below it by a blend mode.
//!
//! The shader reads a copy of what it is drawn on and writes what becomes of it, so its pipelines replace. A pipeline is
//! made when its mode is first used: a scene uses few of the many.

use std::collections::HashMap;

use super::{
    Error,
    device::Gpu,
    pipeline::{self, Render, Source},
    raster,
};
use crate::scene::{BlendMode, BlendSpace};

pub(crate) const SOURCE: Source =
    Source { name: "blend.wgsl", uses_common: true, text: include_str!("../../shaders/blend.wgsl") };
const LABEL: &str = "gpu.items.blend";

/// Which pipeline: mode, sampling, whether the clip's edges lie between pixels.
type Key = (BlendMode, usize, bool);

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    raster: raster::Draw,
    key: Key,
}

/// Draws groups with blend modes. Their slots are those of rasters.
#[derive(Debug)]
pub(crate) struct Blend {
    module: wgpu::ShaderModule,
    layouts: [wgpu::BindGroupLayout; 3],
    pipelines: HashMap<Key, wgpu::RenderPipeline>,
    space: BlendSpace,
}

impl Blend {
    /// `layouts` are those of groups 0 to 2; a backdrop is group 3, laid out as group 2.
    pub(crate) fn new(device: &wgpu::Device, layouts: [&wgpu::BindGroupLayout; 3], space: BlendSpace) -> Self {
        let module = pipeline::module(device, SOURCE);
        Self { module, layouts: layouts.map(Clone::clone), pipelines: HashMap::new(), space }
    }

    /// What mixes an item that was written as a raster by `mode`.
    ///
    /// # Errors
    /// [`Error::Create`] when the mode's pipeline cannot be made.
    pub(crate) fn of(&mut self, gpu: &Gpu, raster: raster::Draw, mode: BlendMode) -> Result<Draw, Error> {
        let key = (mode, raster.sampling, raster.is_aligned);
        if !self.pipelines.contains_key(&key) {
            let made = gpu.scoped("the pipeline of a blend mode", || self.build(&gpu.device, key))?;
            self.pipelines.insert(key, made);
        }
        Ok(Draw { raster, key })
    }

    fn build(&self, device: &wgpu::Device, (mode, sampling, is_aligned): Key) -> wgpu::RenderPipeline {
        let [frame, item, texture] = &self.layouts;
        Render {
            label: LABEL,
            module: &self.module,
            layouts: &[Some(frame), Some(item), Some(texture), Some(texture)],
            fragment: "paint",
            constants: &[
                ("mode", mode.index() as f64),
                ("sampling", sampling as f64),
                ("is_aligned", f64::from(u8::from(is_aligned))),
            ],
            blend: None,
            space: self.space,
        }
        .build(device)
    }

    /// `backdrop` holds what lies below; `slots` is group 1 of rasters.
    pub(crate) fn draw(
        &self,
        pass: &mut wgpu::RenderPass<'_>,
        slots: &wgpu::BindGroup,
        backdrop: &wgpu::BindGroup,
        draw: &Draw,
    ) {
        let Some(pipeline) = self.pipelines.get(&draw.key) else { return };
        pass.set_pipeline(pipeline);
        draw.raster.bind(pass, slots);
        pass.set_bind_group(3, backdrop, &[]);
        pass.draw(0..4, 0..1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shader's numbers are those of [`BlendMode`]: each mode but the first has its case.
    #[test]
    fn every_mode_has_its_formula() {
        for mode in &BlendMode::ALL[1..] {
            let case = format!("const {}: u32 = {}u;", mode.name().to_uppercase().replace('-', "_"), mode.index());
            assert!(SOURCE.text.contains(&case), "{case}");
        }
    }
}
