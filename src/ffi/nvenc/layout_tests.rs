//! What `sys` says, held against NVIDIA's own header: a C program made from its tables is compiled with the header that
//! Debian's `libffmpeg-nvenc-dev` has, and says itself where they differ.

use std::{fmt::Write, fs, process::Command};

use super::sys::{self, Layout};

/// The start of the program: `is` prints what is not as it should be.
const HEAD: &str = r#"#include <ffnvcodec/nvEncodeAPI.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
static int checks, wrong;
static void is(const char *what, unsigned long long header, unsigned long long ours) {
    checks++;
    if (header != ours) { wrong++; printf("%s: %#llx in the header, %#llx here\n", what, header, ours); }
}
/* The first word of a struct that is not zero, shifted to where it lies. */
static void bit(const char *what, const void *s, size_t size, size_t offset, unsigned long long ours) {
    uint32_t word; size_t at;
    for (at = 0; at < size; at += 4) {
        memcpy(&word, (const char *)s + at, 4);
        if (word) { is(what, at, offset); is(what, word, ours); return; }
    }
    is(what, 0, ours);
}
int main(void) {
"#;

fn check_struct(program: &mut String, layout: &Layout) {
    let Layout { name, size, align, fields, bits } = layout;
    writeln!(program, "  is(\"sizeof {name}\", sizeof({name}), {size});").unwrap();
    writeln!(program, "  is(\"alignof {name}\", _Alignof({name}), {align});").unwrap();
    // A word of bit fields has no name in C: where it lies, its bits show.
    for (field, offset, size) in fields.iter().filter(|(field, ..)| *field != "bits") {
        writeln!(program, "  is(\"{name}.{field}\", offsetof({name}, {field}), {offset});").unwrap();
        writeln!(program, "  is(\"sizeof {name}.{field}\", sizeof((({name} *)0)->{field}), {size});").unwrap();
    }
    for (bit, offset, at) in *bits {
        writeln!(program, "  {{ {name} s; memset(&s, 0, sizeof s); s.{bit} = 1;").unwrap();
        writeln!(program, "    bit(\"{name}.{bit}\", &s, sizeof s, {offset}, 1ull << {at}); }}").unwrap();
    }
}

fn check_guid(program: &mut String, name: &str, guid: &sys::GUID) {
    let sys::GUID { Data1, Data2, Data3, Data4 } = guid;
    writeln!(program, "  is(\"{name}\", {name}.Data1, {Data1}u); is(\"{name}\", {name}.Data2, {Data2});").unwrap();
    writeln!(program, "  is(\"{name}\", {name}.Data3, {Data3});").unwrap();
    for (i, byte) in Data4.iter().enumerate() {
        writeln!(program, "  is(\"{name}\", {name}.Data4[{i}], {byte});").unwrap();
    }
}

/// The program, and how many comparisons it makes.
fn program() -> (String, usize) {
    let mut program = String::from(HEAD);
    sys::LAYOUTS.iter().for_each(|layout| check_struct(&mut program, layout));
    for (name, value) in sys::CONSTANTS {
        writeln!(program, "  is(\"{name}\", (uint32_t)({name}), {value}u);").unwrap();
    }
    sys::GUIDS.iter().for_each(|(name, guid)| check_guid(&mut program, name, guid));
    let size = size_of::<sys::NV_ENC_CODEC_CONFIG>();
    writeln!(program, "  is(\"sizeof NV_ENC_CODEC_CONFIG\", sizeof(NV_ENC_CODEC_CONFIG), {size});").unwrap();
    writeln!(program, "  is(\"NVENCAPI_VERSION\", NVENCAPI_VERSION, {}u);", sys::NVENCAPI_VERSION).unwrap();
    writeln!(program, "  {{ NV_ENC_RC_PARAMS s; memset(&s, 0, sizeof s); s.aqStrength = 1;").unwrap();
    let (offset, at) = (std::mem::offset_of!(sys::NV_ENC_RC_PARAMS, bits), super::AQ_STRENGTH_SHIFT);
    writeln!(program, "    bit(\"NV_ENC_RC_PARAMS.aqStrength\", &s, sizeof s, {offset}, 1ull << {at}); }}").unwrap();
    // Two comparisons for each bit field, as `bit` makes.
    let bits: usize = sys::LAYOUTS.iter().map(|layout| layout.bits.len()).sum();
    let fields: usize = sys::LAYOUTS.iter().map(|l| l.fields.iter().filter(|(name, ..)| *name != "bits").count()).sum();
    let checks = 2 * (sys::LAYOUTS.len() + fields + bits + 1) + sys::CONSTANTS.len() + 11 * sys::GUIDS.len() + 2;
    program.push_str("  printf(\"%d of %d differ\\n\", wrong, checks);\n  return wrong != 0;\n}\n");
    (program, checks)
}

#[test]
fn every_struct_and_constant_is_the_headers() {
    let directory = tempfile::tempdir().unwrap();
    let (source, binary) = (directory.path().join("layout.c"), directory.path().join("layout"));
    let (program, checks) = program();
    fs::write(&source, program).unwrap();
    let compiled = Command::new("cc").args(["-w", "-o"]).arg(&binary).arg(&source).output().expect("cc is needed");
    let said = String::from_utf8_lossy(&compiled.stderr);
    assert!(compiled.status.success(), "apt-get install libffmpeg-nvenc-dev\n{said}");
    let ran = Command::new(&binary).output().unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!(said.trim_end(), format!("0 of {checks} differ"));
    assert!(checks > 400, "{checks}");
}
