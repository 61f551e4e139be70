//! Shaders that users write, in WGSL: what they are given, what they may do, how they are kept within bounds.
//!
//! ```wgsl
//! fn shade(in: ShadeInput) -> vec4f {            // one pixel: straight, sRGB-encoded, 0 to 1
//!     let glow = 0.5 + 0.5 * sin(in.time * params.speed + in.uv.x * 6.0);
//!     return vec4f(params.tint.rgb * glow, 1.0);
//! }
//! ```
//!
//! | given | what it is |
//! |---|---|
//! | `in.uv` | 0 to 1 across the layer's box, from the top left corner |
//! | `in.position`, `in.size` | the same, and the box, in layer pixels |
//! | `in.time` | seconds of the stream's own time, starting again at 0 after the layer's `period` (an hour), so that a 32-bit number stays exact to 1/4000 s for ever |
//! | `in.progress` | 0 to 1 in a transition; 0 elsewhere |
//! | `params.NAME` | the document's numbers (`f32`) and colours (`vec4f`, straight, sRGB-encoded) |
//! | `sample(uv)` | in an effect: the layer's own picture, straight, sRGB-encoded; beyond the box what the layer shows there, then clear |
//! | `sample_from(uv)`, `sample_to(uv)` | in a transition: the scene that goes, the one that comes; clear beyond their edges |
//!
//! What comes out is clamped to 0 to 1; what is no number counts as 0. `vec4f`, `let`, loops, arrays, structs, functions
//! and private variables are WGSL's own; bindings, entry points, derivatives, atomics, barriers are refused.
//!
//! ```text
//!  text ── scan ──► naga: parse, validate ── bounds: allowed, small ── meter: loops count ──► Program
//!         (depth)                            (types, cost)            (the intermediate code)
//! ```
//!
//! **Why it ends.** The text is followed by `user.wgsl`, which calls `shade`. Recursion is not WGSL. Every turn of every
//! loop takes one from a counter that a pixel starts with; a loop ends where nothing is left. Between two turns a pixel
//! passes each instruction at most once, so it executes at most `cost * (fuel + 1)` operations, and the counter is
//! chosen so that this is about [`OPERATIONS_MAX`]. Pure: compiled when a document is read. How long a pixel takes is
//! measured by the GPU floor.

mod bounds;
mod growth;
mod scan;
mod texts;

use std::{
    borrow::Cow,
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use naga::{
    Span,
    front::wgsl,
    valid::{Capabilities, ModuleInfo, ValidationFlags, Validator},
};

pub use self::texts::{forget, know};

/// Longest text in bytes.
pub const SOURCE_LEN_MAX: usize = 16 << 10;
/// Most parameters.
pub const PARAMS_MAX: usize = 16;
/// Operations on one number that a pixel takes at most, about: on a GPU of 10^13 a second a full HD picture takes a
/// second at worst, and a software one is told by measuring.
pub const OPERATIONS_MAX: u32 = 1 << 22;
/// Operations of the whole program with its calls written out, at most. A software driver takes some seconds to compile
/// the dearest.
pub const COST_MAX: u32 = 8 << 10;
/// Turns of all loops together that a pixel may take, whatever they cost.
pub const FUEL_MAX: u32 = 64 << 10;

/// Seconds after which `in.time` starts again at 0, at most: a 32-bit number is exact to 1/4000 s up to here.
pub const PERIOD_MAX: f64 = 3600.0;

const WRAPPER: &str = include_str!("../../shaders/user.wgsl");
const COMMON: &str = include_str!("../../shaders/common.wgsl");

/// What a shader is used for: what it may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// It fills a layer.
    Content,
    /// It changes a layer's picture.
    Effect,
    /// It leads from one scene to another.
    Transition,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Content, Self::Effect, Self::Transition];

    /// The functions beside its own that a shader may call.
    fn functions(self) -> &'static [&'static str] {
        match self {
            Self::Content => &[],
            Self::Effect => &["sample"],
            Self::Transition => &["sample_from", "sample_to"],
        }
    }
}

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParamType {
    /// `f32`.
    Number,
    /// `vec4f`.
    Colour,
}

/// Everything a program depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Code {
    /// What it is used for.
    pub role: Role,
    /// The user's text.
    pub source: String,
    /// Names and types of its parameters, in order.
    pub params: Vec<(String, ParamType)>,
}

/// A shader that is safe to run.
#[derive(Debug)]
pub struct Program {
    code: Code,
    module: naga::Module,
    uses_time: bool,
    cost: u32,
    hash: u64,
}

// The rest follows from the code; its hash is kept, for the GPU floor looks its programs up on every frame.
impl PartialEq for Program {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.code == other.code
    }
}

impl Eq for Program {}

impl Hash for Program {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Program {
    /// What it was made of.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// The validated intermediate code, with the entry points `corner` and `paint`.
    pub fn module(&self) -> &naga::Module {
        &self.module
    }

    /// Whether its picture depends on `in.time`.
    pub fn uses_time(&self) -> bool {
        self.uses_time
    }

    /// Operations on one number that it takes without counting loops.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Turns of all loops together that a pixel may take.
    pub fn fuel(&self) -> u32 {
        (OPERATIONS_MAX / self.cost.max(1)).min(FUEL_MAX)
    }
}

/// Makes a program of a user's text, or says what is wrong with it and in which line and column. The text may be given by
/// the digest of one that is known.
pub fn compile(mut code: Code) -> Result<Arc<Program>, String> {
    if let Cow::Owned(text) = texts::resolve(&code.source)? {
        code.source = text;
    }
    if code.source.len() > SOURCE_LEN_MAX {
        return Err(format!("{} bytes are out of range: 1 to {SOURCE_LEN_MAX}", code.source.len()));
    }
    let mut hasher = DefaultHasher::new();
    code.hash(&mut hasher);
    let hash = hasher.finish();
    if let Some(program) = known(|program| program.hash == hash && program.code == code) {
        return Ok(program);
    }
    // naga is young and the text is anybody's: a panic costs this shader alone.
    let made = catch_unwind(AssertUnwindSafe(|| build(&code)));
    let made = made.unwrap_or_else(|_| Err("it makes the WGSL compiler panic; simplify it".into()));
    let program = made.map(|(module, uses_time, cost)| Arc::new(Program { code, module, uses_time, cost, hash }))?;
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    programs.truncate(PROGRAMS_MAX - 1);
    programs.push_front(program.clone());
    Ok(program)
}

/// The programs made last: a layer whose parameters are animated is read anew on every frame, of the same code.
static PROGRAMS: Mutex<VecDeque<Arc<Program>>> = Mutex::new(VecDeque::new());
const PROGRAMS_MAX: usize = 64;

fn known(is_it: impl Fn(&Program) -> bool) -> Option<Arc<Program>> {
    let mut programs = PROGRAMS.lock().unwrap_or_else(PoisonError::into_inner);
    let place = programs.iter().position(|program| is_it(program))?;
    let program = programs.remove(place)?;
    programs.push_front(program.clone());
    Some(program)
}

/// `in.time` at a moment of the stream.
pub fn seconds(elapsed: Duration, period: f64) -> f32 {
    (elapsed.as_secs_f64() % period) as f32
}

/// Why a name is not one of a parameter, if it is not.
pub fn check_name(name: &str) -> Result<(), String> {
    let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let is_short = (1..=32).contains(&name.len());
    if !is_word || !is_short || !name.starts_with(|c: char| c.is_ascii_lowercase()) || name.contains("__") {
        return Err(
            "not a parameter's name: up to 32 letters, digits and single `_`, starting with a small letter".into()
        );
    }
    if naga::keywords::wgsl::RESERVED.contains(&name) {
        return Err(format!("`{name}` is a word of WGSL; choose another name"));
    }
    Ok(())
}

/// The whole text that the compiler reads; the user's stands first, so that lines and columns are the user's.
fn full_text(code: &Code) -> String {
    let of_type = |param: &ParamType| match param {
        ParamType::Number => ("f32", ".x"),
        ParamType::Colour => ("vec4f", ""),
    };
    let (mut members, mut values) = (String::new(), Vec::new());
    for (i, (name, param)) in code.params.iter().enumerate() {
        let (type_name, part) = of_type(param);
        members += &format!("{name}: {type_name}, ");
        values.push(format!("item.values[{i}]{part}"));
    }
    let params = match values.is_empty() {
        true => "fn take_params() {}".into(),
        false => format!(
            "struct Params {{ {members}}}\nvar<private> params: Params;\nfn take_params() {{ params = Params({}); }}",
            values.join(", ")
        ),
    };
    format!("{}\n{params}\n{WRAPPER}\n{COMMON}", code.source)
}

/// A small text of this role, as the compiler reads it; for the tests of `user.wgsl`.
#[doc(hidden)]
pub(crate) fn example(role: Role) -> String {
    let read: String = role.functions().iter().map(|name| format!(" + {name}(in.uv)")).collect();
    let source = format!("fn shade(in: ShadeInput) -> vec4f {{ return params.tint * params.gain{read}; }}");
    let params = vec![("gain".into(), ParamType::Number), ("tint".into(), ParamType::Colour)];
    full_text(&Code { role, source, params })
}

fn build(code: &Code) -> Result<(naga::Module, bool, u32), String> {
    let source = &code.source;
    scan::check(source, &[WRAPPER, COMMON])?;
    let full = full_text(code);
    let mut module = wgsl::parse_str(&full).map_err(|error| {
        let spans = error.labels().map(|(span, _)| span);
        let notes: String = error.notes().map(|note| format!("; {note}")).collect();
        placed(source, spans, &format!("{}{notes}", error.message()))
    })?;
    let scope = bounds::Scope::new(code, &module)?;
    let info = validate(&module, source)?;
    let (cost, uses_time) = (scope.cost(&info)?, scope.uses_time(&info));
    bounds::meter(&mut module, source.len());
    validate(&module, source)?;
    Ok((module, uses_time, cost))
}

fn validate(module: &naga::Module, source: &str) -> Result<ModuleInfo, String> {
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    validator.validate(module).map_err(|error| {
        let mut message = error.as_inner().to_string();
        let mut cause = std::error::Error::source(error.as_inner());
        while let Some(inner) = cause {
            message = format!("{message}: {inner}");
            cause = inner.source();
        }
        placed(source, error.spans().map(|(span, _)| *span), &message)
    })
}

/// A message with the place in the user's text that it is about: the first span that lies there.
fn placed(source: &str, mut spans: impl Iterator<Item = Span>, message: &str) -> String {
    let is_users = |span: &Span| span.to_range().is_some_and(|range| range.start < source.len());
    match spans.find(is_users) {
        Some(span) => at(source, span.to_range().map_or(0, |range| range.start), message),
        None => format!("it does not fit `fn shade(in: ShadeInput) -> vec4f`: {message}"),
    }
}

/// A message about the byte `offset` of a text.
fn at(source: &str, offset: usize, message: &str) -> String {
    let before = &source[..source.floor_char_boundary(offset)];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    format!("line {line}, column {column}: {message}")
}

#[cfg(test)]
mod tests;
