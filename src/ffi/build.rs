//! Cargo's build script: compiles what is written in C, for the features that want it; by default nothing.
//!
//! `x264` needs libx264 with its header, which pkg-config finds; both are the machine's, and nothing is downloaded.

fn main() {
    println!("cargo::rerun-if-changed=src/ffi/build.rs");
    #[cfg(feature = "x264")]
    x264();
}

#[cfg(feature = "x264")]
fn x264() {
    println!("cargo::rerun-if-changed=src/ffi/x264.c");
    // The first release with the parameters that the shim sets.
    let library = match pkg_config::Config::new().atleast_version("0.155").probe("x264") {
        Ok(library) => library,
        Err(error) => {
            let what = "the feature `x264` needs libx264 with its header: install libx264-dev and pkg-config";
            println!("cargo::error={what} ({})", error.to_string().lines().next().unwrap_or_default());
            return;
        }
    };
    cc::Build::new().file("src/ffi/x264.c").includes(library.include_paths).extra_warnings(true).compile("sm_x264");
}
