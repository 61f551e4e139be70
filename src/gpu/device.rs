//! Opening a GPU: which adapter, what it is, and whether it still lives.
//!
//! Only Vulkan is asked, so a data-centre GPU without a display and the software driver of CI take the same path.
//! Limits are the smallest that do the job, the same everywhere: what runs on one machine runs on all.

use std::{
    fmt,
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use serde::Serialize;

use super::Error;

/// Longest side of a texture: room for the largest canvas; every Vulkan device offers it.
pub(crate) const TEXTURE_SIDE_MAX: u32 = 4096;

/// What glyphon calls its atlases' textures; it does not say otherwise how large they are.
const GLYPH_ATLAS: &str = "glyphon atlas";

/// Which adapter is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Part of the adapter's name, whatever the case; empty: the best one.
    pub adapter: String,
    /// Whether a software adapter will do.
    pub allow_software: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { adapter: String::new(), allow_software: true }
    }
}

/// What an adapter says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AdapterReport {
    /// Name of the chip.
    pub name: String,
    /// Driver with its version.
    pub driver: String,
    /// Programming interface, e.g. `vulkan`.
    pub backend: String,
    /// `discrete`, `integrated`, `virtual`, `cpu` or `other`.
    pub device_type: String,
    /// Whether the picture is drawn by the CPU.
    pub is_software: bool,
}

impl AdapterReport {
    fn of(adapter: &wgpu::Adapter) -> Self {
        let info = adapter.get_info();
        let (device_type, _) = kind_of(info.device_type);
        Self {
            name: info.name,
            driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
            backend: info.backend.to_str().to_owned(),
            device_type: device_type.to_owned(),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
        }
    }
}

impl fmt::Display for AdapterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {})", self.name, self.device_type, self.driver)
    }
}

/// Name of a type of adapter, and its rank: lower is better.
fn kind_of(device_type: wgpu::DeviceType) -> (&'static str, u8) {
    match device_type {
        wgpu::DeviceType::DiscreteGpu => ("discrete", 0),
        wgpu::DeviceType::IntegratedGpu => ("integrated", 1),
        wgpu::DeviceType::VirtualGpu => ("virtual", 2),
        wgpu::DeviceType::Other => ("other", 3),
        wgpu::DeviceType::Cpu => ("cpu", 4),
    }
}

/// Memory that a device has given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Bytes of all textures and buffers.
    pub bytes: u64,
    /// Those of them in which glyphs are kept.
    pub glyph_atlas_bytes: u64,
}

/// An open device with its queue. Shared by all compositors.
pub struct Gpu {
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    report: AdapterReport,
    adapters: Vec<AdapterReport>,
    health: Arc<Health>,
    /// Held while something is timed: what others time meanwhile would wait for it in the queue.
    pub(crate) stopwatch: Mutex<()>,
}

/// Set by the driver's callbacks, on whatever thread they run.
#[derive(Debug, Default)]
struct Health {
    is_lost: AtomicBool,
    faults: AtomicU64,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("report", &self.report).field("health", &self.health).finish_non_exhaustive()
    }
}

impl Gpu {
    /// Opens the best adapter that fits: discrete before integrated before virtual before software.
    pub fn open(options: &Options) -> Result<Arc<Self>, Error> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::VULKAN,
            // Validation layers cost time and are rarely installed: WGPU_VALIDATION=1 switches them on.
            flags: wgpu::InstanceFlags::empty().with_env(),
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters = block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
        adapters.sort_by_key(|adapter| kind_of(adapter.get_info().device_type).1);
        let reports: Vec<_> = adapters.iter().map(AdapterReport::of).collect();
        let chosen = choose(&reports, options)?;
        tracing::info!(adapter = %reports[chosen], all = %list(&reports), "GPU chosen");
        Self::open_adapter(&adapters[chosen], reports[chosen].clone(), reports)
    }

    fn open_adapter(
        adapter: &wgpu::Adapter,
        report: AdapterReport,
        adapters: Vec<AdapterReport>,
    ) -> Result<Arc<Self>, Error> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("gpu.device"),
            required_features: wgpu::Features::empty(),
            required_limits: limits(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (device, queue) = block_on(adapter.request_device(&descriptor))
            .map_err(|error| Error::NoDevice { adapter: report.name.clone(), reason: error.to_string() })?;
        let health = Arc::new(Health::default());
        watch(&device, &health);
        Ok(Arc::new(Self { device, queue, report, adapters, health, stopwatch: Mutex::default() }))
    }

    /// The adapter in use.
    pub fn report(&self) -> &AdapterReport {
        &self.report
    }

    /// All adapters of the machine, best first.
    pub fn adapters(&self) -> &[AdapterReport] {
        &self.adapters
    }

    /// Whether the device is gone, as far as the driver has told; everything made from it is useless then.
    pub fn is_lost(&self) -> bool {
        self.health.is_lost.load(Ordering::Relaxed)
    }

    /// Has the driver tell what it has to: without that, a device of which nobody makes use is never known to be gone.
    pub fn is_lost_after_all(&self) -> bool {
        // It fails for a device that is gone, which the flag says, too.
        let _ = self.device.poll(wgpu::PollType::Poll);
        self.is_lost()
    }

    /// Errors that no caller handled, since the device was opened. Any is a bug or a broken driver.
    pub fn faults_total(&self) -> u64 {
        self.health.faults.load(Ordering::Relaxed)
    }

    /// What it has allocated now. Walks all allocations: for whoever asks, not for every frame.
    pub fn memory(&self) -> Memory {
        let Some(report) = self.device.generate_allocator_report() else { return Memory::default() };
        let glyphs = report.allocations.iter().filter(|allocation| allocation.name == GLYPH_ATLAS);
        Memory {
            bytes: report.total_allocated_bytes,
            glyph_atlas_bytes: glyphs.map(|allocation| allocation.size).sum(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.is_lost() { Err(Error::Lost) } else { Ok(()) }
    }

    /// Runs `make`; what the driver reports meanwhile becomes an error about `what`.
    pub(crate) fn scoped<T>(&self, what: &str, make: impl FnOnce() -> T) -> Result<T, Error> {
        use wgpu::ErrorFilter::{Internal, OutOfMemory, Validation};
        let scopes = [Internal, OutOfMemory, Validation].map(|filter| self.device.push_error_scope(filter));
        let made = make();
        // Scopes are a stack: the last pushed comes off first.
        let errors: Vec<_> = scopes.into_iter().rev().filter_map(|scope| block_on(scope.pop())).collect();
        match errors.first() {
            None => Ok(made),
            Some(error) => Err(Error::Create { what: what.into(), reason: error.to_string() }),
        }
    }

    /// Waits, at most `wait`, for a submission; frees what finished. False when it is not done yet.
    pub(crate) fn wait(&self, submission: &wgpu::SubmissionIndex, wait: Duration) -> Result<bool, Error> {
        self.check()?;
        let poll = if wait.is_zero() {
            wgpu::PollType::Poll
        } else {
            wgpu::PollType::Wait { submission_index: Some(submission.clone()), timeout: Some(wait) }
        };
        let polled = self.device.poll(poll);
        self.check()?;
        Ok(!matches!(polled, Err(wgpu::PollError::Timeout)))
    }
}

/// What the largest canvas needs, and no more.
fn limits() -> wgpu::Limits {
    wgpu::Limits { max_texture_dimension_2d: TEXTURE_SIDE_MAX, ..wgpu::Limits::downlevel_defaults() }
}

fn choose(reports: &[AdapterReport], options: &Options) -> Result<usize, Error> {
    let wanted = options.adapter.to_lowercase();
    let fits = |&i: &usize| reports[i].name.to_lowercase().contains(&wanted);
    let fitting: Vec<usize> = (0..reports.len()).filter(fits).collect();
    if fitting.is_empty() {
        return Err(Error::NoAdapter { wanted: options.adapter.clone(), found: list(reports) });
    }
    let is_allowed = |&i: &usize| options.allow_software || !reports[i].is_software;
    fitting.into_iter().find(is_allowed).ok_or_else(|| Error::SoftwareRefused { found: list(reports) })
}

fn list(reports: &[AdapterReport]) -> String {
    let names: Vec<_> = reports.iter().map(AdapterReport::to_string).collect();
    if names.is_empty() { "none".into() } else { names.join("; ") }
}

fn watch(device: &wgpu::Device, health: &Arc<Health>) {
    let lost = health.clone();
    device.set_device_lost_callback(move |reason, message| {
        lost.is_lost.store(true, Ordering::Relaxed);
        // Dropping the last handle is reported as a loss, too; that is nobody's problem.
        if reason != wgpu::DeviceLostReason::Destroyed {
            tracing::error!(?reason, message, "GPU device lost");
        }
    });
    let faults = health.clone();
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        faults.faults.fetch_add(1, Ordering::Relaxed);
        tracing::error!(%error, "GPU error that nobody handled");
    }));
}

/// The result of a future of wgpu's. Without a browser they are ready at once; should one not be, it is asked again.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::yield_now(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The GPU all tests share. They fail, with the fix in the message, where there is none.
    pub(crate) fn gpu() -> Arc<Gpu> {
        static GPU: std::sync::OnceLock<Arc<Gpu>> = std::sync::OnceLock::new();
        GPU.get_or_init(|| Gpu::open(&Options::default()).unwrap_or_else(|error| panic!("{error}"))).clone()
    }

    fn report(name: &str, device_type: &str) -> AdapterReport {
        AdapterReport {
            name: name.into(),
            driver: "1.0".into(),
            backend: "vulkan".into(),
            device_type: device_type.into(),
            is_software: device_type == "cpu",
        }
    }

    #[test]
    fn adapters_are_chosen_by_name_and_kind() {
        let all = [report("NVIDIA L4", "discrete"), report("llvmpipe", "cpu")];
        let options = |adapter: &str, allow_software| Options { adapter: adapter.into(), allow_software };
        assert_eq!(choose(&all, &options("", false)), Ok(0));
        assert_eq!(choose(&all, &options("LLVM", true)), Ok(1));
        assert!(matches!(choose(&all, &options("llvm", false)), Err(Error::SoftwareRefused { .. })));
        let error = choose(&all, &options("Radeon", true)).unwrap_err().to_string();
        assert!(error.contains("the name `Radeon`; found: NVIDIA L4 (discrete, 1.0); llvmpipe"), "{error}");
        let error = choose(&[], &options("", true)).unwrap_err().to_string();
        assert!(error.contains("found: none") && error.contains("mesa-vulkan-drivers"), "{error}");
    }

    #[test]
    fn a_report_is_camel_case() {
        let json = serde_json::to_value(gpu().report()).unwrap();
        assert!(json["isSoftware"].is_boolean() && json["deviceType"].is_string() && json["backend"] == "vulkan");
    }

    #[test]
    fn an_impossible_object_is_an_error_and_not_a_fault() {
        let gpu = gpu();
        let side = TEXTURE_SIDE_MAX + 1;
        let made = gpu.scoped("a texture", || {
            gpu.device.create_texture(&wgpu::TextureDescriptor {
                label: None,
                size: wgpu::Extent3d { width: side, height: 1, depth_or_array_layers: 1 },
                mip_level_count: 1,
                sample_count: 1,
                dimension: wgpu::TextureDimension::D2,
                format: wgpu::TextureFormat::Rgba8Unorm,
                usage: wgpu::TextureUsages::TEXTURE_BINDING,
                view_formats: &[],
            })
        });
        assert!(matches!(made, Err(Error::Create { .. })));
        assert_eq!(gpu.faults_total(), 0);
    }
}
