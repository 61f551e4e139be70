//! `matte.wgsl`: a group that takes away from what lies below it on the same surface.
//!
//! No copy of what lies below is needed: the shader writes how much is left, and the blend state multiplies.

use std::collections::HashMap;

use super::{
    Error,
    device::Gpu,
    pipeline::{self, Render, Source},
    raster,
};
use crate::scene::{
    BlendSpace,
    draw::{Channel, Matte as Document},
};

pub(crate) const SOURCE: Source =
    Source { name: "matte.wgsl", uses_common: true, text: include_str!("../../shaders/matte.wgsl") };
const LABEL: &str = "gpu.items.matte";

/// Leaves as much of what is there as the alpha that is written says.
pub(crate) const KEEP: wgpu::BlendState = {
    let keep = wgpu::BlendComponent {
        src_factor: wgpu::BlendFactor::Zero,
        dst_factor: wgpu::BlendFactor::SrcAlpha,
        operation: wgpu::BlendOperation::Add,
    };
    wgpu::BlendState { color: keep, alpha: keep }
};

/// Which pipeline: channel, whether it is inverted.
type Key = (bool, bool);

/// An item that was written.
#[derive(Debug, Clone)]
pub(crate) struct Draw {
    raster: raster::Draw,
    key: Key,
}

/// Draws mattes. Their slots are those of rasters.
#[derive(Debug)]
pub(crate) struct Matte {
    module: wgpu::ShaderModule,
    layouts: [wgpu::BindGroupLayout; 3],
    pipelines: HashMap<Key, wgpu::RenderPipeline>,
    space: BlendSpace,
}

impl Matte {
    /// `layouts` are those of groups 0 to 2.
    pub(crate) fn new(device: &wgpu::Device, layouts: [&wgpu::BindGroupLayout; 3], space: BlendSpace) -> Self {
        let module = pipeline::module(device, SOURCE);
        Self { module, layouts: layouts.map(Clone::clone), pipelines: HashMap::new(), space }
    }

    /// What takes away with an item that was written as a raster.
    ///
    /// # Errors
    /// [`Error::Create`] when the pipeline cannot be made.
    pub(crate) fn of(&mut self, gpu: &Gpu, raster: raster::Draw, matte: Document) -> Result<Draw, Error> {
        let key = (matte.channel == Channel::Luma, matte.is_inverted);
        if !self.pipelines.contains_key(&key) {
            let made = gpu.scoped("the pipeline of a mask", || self.build(&gpu.device, key))?;
            self.pipelines.insert(key, made);
        }
        Ok(Draw { raster, key })
    }

    fn build(&self, device: &wgpu::Device, (is_luma, is_inverted): Key) -> wgpu::RenderPipeline {
        let flag = |flag: bool| f64::from(u8::from(flag));
        Render {
            label: LABEL,
            module: &self.module,
            layouts: &self.layouts.each_ref().map(Some),
            fragment: "paint",
            constants: &[
                ("channel", flag(is_luma)),
                ("is_inverted", flag(is_inverted)),
                ("is_linear", flag(self.space == BlendSpace::Linear)),
                ("is_aligned", 1.0),
            ],
            blend: Some(KEEP),
            space: self.space,
        }
        .build(device)
    }

    /// `slots` is group 1 of rasters.
    pub(crate) fn draw(&self, pass: &mut wgpu::RenderPass<'_>, slots: &wgpu::BindGroup, draw: &Draw) {
        let Some(pipeline) = self.pipelines.get(&draw.key) else { return };
        pass.set_pipeline(pipeline);
        draw.raster.bind(pass, slots);
        pass.draw(0..4, 0..1);
    }
}
