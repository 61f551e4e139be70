//! What every floor shares: ids, sizes, rational time, colour, the clock, secrets, names of contents, schemas,
//! the picture that leaves the GPU.
//!
//! Nothing here knows wgpu, tokio, files or the environment.

pub mod clock;
pub mod colour;
pub mod digest;
pub mod id;
pub mod nv12;
pub mod rate;
pub mod schema;
pub mod secret;
pub mod size;
