//! Every shader is valid, and Rust and WGSL agree on every struct they share, member by member.
//!
//! Checked with naga, the validator wgpu itself uses, so no GPU is needed.

use std::collections::BTreeSet;

use naga::{
    front::wgsl,
    proc::Layouter,
    valid::{Capabilities, ValidationFlags, Validator},
};
use stream_manager::gpu::{Layout, layouts, shaders};

fn module(name: &str, source: &str) -> naga::Module {
    wgsl::parse_str(source).unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(source)))
}

#[test]
fn every_shader_is_valid() {
    for (name, source) in shaders() {
        let module = module(name, &source);
        let validated = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
        validated.unwrap_or_else(|error| panic!("{name}: {}", error.emit_to_string(&source)));
    }
}

#[test]
fn every_file_is_used() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/shaders");
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let used = shaders().iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(files.collect::<BTreeSet<_>>(), used);
}

#[test]
fn rust_and_wgsl_lay_structs_out_alike() {
    let sources = shaders();
    for layout in layouts() {
        let (name, source) = sources.iter().find(|(name, _)| *name == layout.shader).unwrap();
        compare(&layout, &module(name, source));
    }
}

fn compare(rust: &Layout, module: &naga::Module) {
    let context = format!("{} of {}", rust.name, rust.shader);
    let (handle, wgsl) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(rust.name)).expect(&context);
    let naga::TypeInner::Struct { members, .. } = &wgsl.inner else { panic!("{context} is no struct") };
    let in_wgsl: Vec<_> = members.iter().map(|m| (m.name.as_deref().unwrap(), m.offset as usize)).collect();
    let in_rust: Vec<_> = rust.members.iter().map(|m| (m.name, m.offset)).collect();
    assert_eq!(in_rust, in_wgsl, "{context}");
    let mut layouter = Layouter::default();
    layouter.update(module.to_ctx()).unwrap();
    assert_eq!(rust.size, layouter[handle].size as usize, "size of {context}");
}

/// A uniform that is not in the list of layouts would escape the comparison.
#[test]
fn every_uniform_is_compared() {
    let compared: BTreeSet<_> = layouts().iter().map(|layout| layout.name).collect();
    for (name, source) in shaders() {
        let module = module(name, &source);
        let is_uniform = |variable: &&naga::GlobalVariable| variable.space == naga::AddressSpace::Uniform;
        for variable in module.global_variables.iter().map(|(_, variable)| variable).filter(is_uniform) {
            let ty = module.types[variable.ty].name.as_deref().unwrap_or("a plain type");
            assert!(compared.contains(ty), "{name}: {ty} is not compared with Rust");
        }
    }
}
