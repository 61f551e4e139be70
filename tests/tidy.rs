//! Rules of the house that no compiler checks: the floors of `src/lib.rs`, the places of `unsafe`, of clocks and of
//! `anyhow`, files that say what they are, files that are used at all.
//!
//! A rule is a function from a file to what is wrong in it, each as `file:line: what`; comments and texts are blanked
//! first, so that they may speak of what is forbidden. [`every_rule_finds_what_it_forbids`] shows each rule failing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Modules of one line that may use each other; of the others on a line none may.
const NEIGHBOURS: &[&str] = &["rtmp", "flv", "mp4", "h264", "hevc", "aac"];
/// Stands beside the tower: all floors but `base` may use it, and it uses `base` alone.
const BESIDE: &str = "ffi";
const FOUNDATION: &str = "base";
/// Modules that know nothing of the machine, and what that means.
const PURE: &[&str] = &["scene", "rtmp", "flv", "mp4", "h264", "hevc", "aac"];
const IMPURE: &[&str] = &[
    "wgpu",
    "tokio",
    "std::fs",
    "std::env",
    "std::net::TcpStream",
    "std::thread",
    "std::time::Instant",
    "std::time::SystemTime",
];
/// Where tests may pause while they poll another thread or process.
const POLLERS: &[&str] = &["tests/support/", "tests/servers/", "tests/daemon/"];

/// A Rust file as the rules see it.
#[derive(Debug)]
struct Source {
    /// From the repository's root.
    path: String,
    text: String,
    /// The same text, as long, with comments and texts blanked.
    code: String,
    /// Every path that a `use` names, with its line.
    imports: Vec<(usize, Vec<String>)>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let code = code_of(text);
        let imports = imports(&code);
        Self { path: path.into(), text: text.into(), code, imports }
    }

    /// The module of the library it belongs to; the binary's are not floors.
    fn module(&self) -> Option<&str> {
        let inner = self.path.strip_prefix("src/")?;
        let module = inner.split_once('/').map_or(inner, |(module, _)| module);
        (!matches!(module, "lib.rs" | "main.rs" | "app")).then(|| module.trim_end_matches(".rs"))
    }

    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {what}", self.path)
    }

    /// The lines on which `path` is imported, or written out.
    fn uses_of(&self, path: &str) -> BTreeSet<usize> {
        let segments: Vec<_> = path.split("::").collect();
        let imported = self.imports.iter().filter(|(_, found)| found.starts_with(&strings(&segments)));
        imported.map(|(line, _)| *line).chain(lines_with(&self.code, &format!("{path}::"))).collect()
    }
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// Lines (from 1) on which `needle` stands as a word of its own.
fn lines_with(code: &str, needle: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let stands_alone = |line: &str, at: usize| {
        let (before, after) = (line[..at].chars().next_back(), line[at + needle.len()..].chars().next());
        let last = needle.chars().next_back();
        !(before.is_some_and(|c| is_word(c) || c == ':') || last.is_some_and(is_word) && after.is_some_and(is_word))
    };
    let has = |line: &str| line.match_indices(needle).any(|(at, _)| stands_alone(line, at));
    code.lines().zip(1..).filter(|(line, _)| has(line)).map(|(_, number)| number).collect()
}

/// The text with comments, texts and characters blanked; every line stays where it is.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let previous = code.chars().next_back().unwrap_or(' ');
        let len = token_len(rest, previous.is_alphanumeric() || previous == '_');
        match len {
            Some(len) => {
                code.extend(rest[..len].chars().map(|c| if c == '\n' { c } else { ' ' }));
                rest = &rest[len..];
            }
            None => {
                code.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    code
}

/// How long the comment, the text or the character is that `rest` begins with, if it does.
fn token_len(rest: &str, is_within_word: bool) -> Option<usize> {
    let to_end = |found: Option<usize>| found.unwrap_or(rest.len());
    if rest.starts_with("//") {
        return Some(to_end(rest.find('\n')));
    }
    if rest.starts_with("/*") {
        return Some(to_end(rest.find("*/").map(|at| at + 2)));
    }
    let raw = if is_within_word { None } else { rest.strip_prefix("br").or(rest.strip_prefix('r')) };
    if let Some(text) = raw.map(|raw| raw.trim_start_matches('#')).filter(|text| text.starts_with('"')) {
        let from = rest.len() - text.len();
        let end = format!("\"{}", "#".repeat(rest[..from].matches('#').count()));
        return Some(to_end(rest[from + 1..].find(&end).map(|at| from + 1 + at + end.len())));
    }
    if rest.starts_with('"') {
        return Some(to_end(quoted_len(rest, '"')));
    }
    // A lifetime has no closing quote after one character.
    let mut chars = rest.strip_prefix('\'')?.chars();
    let is_char = chars.next()? == '\\' || chars.next()? == '\'';
    is_char.then(|| to_end(quoted_len(rest, '\'')))
}

fn quoted_len(text: &str, quote: char) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().skip(1).find_map(|(at, c)| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end.then_some(at + 1)
    })
}

/// Every path of every `use`, groups expanded: `use a::{b, c::d}` is `a::b` and `a::c::d`.
fn imports(code: &str) -> Vec<(usize, Vec<String>)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ") {
        let before = code[..at].lines().next_back().filter(|_| !code[..at].ends_with('\n')).unwrap_or_default().trim();
        if (before.is_empty() || before.starts_with("pub")) && code[at..].contains(';') {
            expand(&code[at + 4..], code[..at].matches('\n').count() + 1, &mut found);
        }
    }
    found
}

/// The paths of one tree, up to its semicolon. A rename is one more segment.
fn expand(tree: &str, mut line: usize, found: &mut Vec<(usize, Vec<String>)>) {
    let tree = tree.split(';').next().unwrap_or_default().replace(" as ", "::") + ";";
    let (mut path, mut word, mut groups) = (Vec::<String>::new(), String::new(), vec![0]);
    for c in tree.chars() {
        match c {
            '\n' => line += 1,
            '{' => groups.push(path.len()),
            ':' if !word.is_empty() => path.push(std::mem::take(&mut word)),
            ',' | '}' | ';' => {
                if !word.is_empty() {
                    path.push(std::mem::take(&mut word));
                    found.push((line, path.clone()));
                }
                path.truncate(groups.last().copied().unwrap_or(0));
                if c == '}' {
                    groups.pop();
                }
            }
            c if c.is_whitespace() || c == ':' => {}
            c => word.push(c),
        }
    }
}

/// The floors of the `text` block in `src/lib.rs`, from top to bottom: the modules of each line.
fn floors(lib: &str) -> Vec<Vec<String>> {
    let block = lib.split("//! ```text\n").nth(1).and_then(|rest| rest.split("//! ```").next()).unwrap_or_default();
    // Modules stand to the left of the remark, which a run of three blanks sets apart.
    let modules = |line: &str| {
        let names = line.trim_start_matches("//! ").split("   ").next().unwrap_or_default();
        names.split_whitespace().map(str::to_owned).collect()
    };
    block.lines().map(modules).collect()
}

/// Whether module `user` may use module `used`.
fn may_use(floors: &[Vec<String>], user: &str, used: &str) -> bool {
    let floor = |module: &str| floors.iter().position(|line| line.iter().any(|name| name == module));
    let (Some(above), Some(below)) = (floor(user), floor(used)) else { return false };
    match (user, used) {
        _ if user == used => true,
        (BESIDE, _) => used == FOUNDATION,
        (_, BESIDE) => user != FOUNDATION,
        _ if above == below => NEIGHBOURS.contains(&user) && NEIGHBOURS.contains(&used),
        _ => above < below,
    }
}

fn goes_down(source: &Source, floors: &[Vec<String>]) -> Vec<String> {
    let Some(user) = source.module() else { return Vec::new() };
    let imported = source.imports.iter().filter(|(_, path)| path.len() > 1 && path[0] == "crate");
    let imported = imported.map(|(line, path)| (*line, path[1].as_str()));
    let written = source.code.lines().zip(1..).flat_map(|(line, number)| {
        let after = line.match_indices("crate::").map(|(at, found)| &line[at + found.len()..]);
        after.map(move |rest| {
            (number, rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
        })
    });
    let written = written.filter(|(_, used)| !used.is_empty());
    let wrong = imported.chain(written).filter(|(_, used)| !may_use(floors, user, used)).collect::<BTreeSet<_>>();
    wrong
        .into_iter()
        .map(|(line, used)| source.at(line, &format!("`{user}` uses `{used}`, which is not below it")))
        .collect()
}

/// Paths out of a module go through `crate::`, where [`goes_down`] sees them.
fn stays_inside(source: &Source) -> Vec<String> {
    if source.module().is_none() {
        return Vec::new();
    }
    let is_root = source.path.ends_with("/mod.rs");
    let file_depth = source.path.matches('/').count() - usize::from(is_root);
    let mut wrong = Vec::new();
    let mut inline: Vec<String> = Vec::new();
    for (line, number) in source.code.lines().zip(1..) {
        let indent: String = line.chars().take_while(|c| *c == ' ').collect();
        let words = line.trim().trim_start_matches("pub").trim_start_matches("(super) ");
        if words.starts_with("mod ") && words.ends_with('{') {
            inline.push(indent);
        } else if inline.last().is_some_and(|open| line.trim_end() == format!("{open}}}")) {
            inline.pop();
        } else if line.contains(&"super::".repeat(file_depth + inline.len())) {
            wrong.push(source.at(number, "`super::` leaves the module: write `crate::`"));
        }
    }
    wrong
}

fn keeps_unsafe_in_ffi(source: &Source) -> Vec<String> {
    let wrong = lines_with(&source.code, "unsafe");
    if source.path.starts_with("src/ffi/") { Vec::new() } else { at_each(source, wrong, "`unsafe` outside src/ffi") }
}

fn says_why_it_is_safe(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.text.lines().map(str::trim).collect();
    let code: Vec<_> = source.code.lines().collect();
    let opens = |line: &&usize| code[**line - 1].contains("unsafe {") || code[**line - 1].contains("unsafe impl");
    let is_silent = |line: &usize| {
        let above = lines[..*line - 1].iter().rev();
        // The start of the statement may be some lines above.
        let above = above.skip_while(|line| !line.starts_with("//") && !line.ends_with([';', '{', '}']));
        !above.take_while(|line| line.starts_with("//")).any(|line| line.contains("SAFETY:"))
    };
    let blocks = lines_with(&source.code, "unsafe");
    let silent = blocks.iter().filter(opens).copied().filter(is_silent).collect();
    at_each(source, silent, "no SAFETY: sentence above this `unsafe`")
}

fn takes_time_from_the_clock(source: &Source) -> Vec<String> {
    if source.path == "src/base/clock.rs" {
        return Vec::new();
    }
    // Tokio's own Instant is virtual under its test clock.
    let is_tokio = source.imports.iter().any(|(_, path)| path.starts_with(&strings(&["tokio", "time", "Instant"])));
    let mut wrong = lines_with(&source.code, "SystemTime::now");
    wrong.extend(lines_with(&source.code, "time::Instant::now"));
    wrong.extend(lines_with(&source.code, "std::time::Instant::now"));
    wrong.extend(lines_with(&source.code, "std::time::SystemTime::now"));
    if !is_tokio {
        wrong.extend(lines_with(&source.code, "Instant::now"));
    }
    at_each(source, wrong, "time is read outside base::clock")
}

fn keeps_anyhow_in_app(source: &Source) -> Vec<String> {
    if source.path.starts_with("src/app/") || source.path.starts_with("tests/") {
        return Vec::new();
    }
    at_each(source, source.uses_of("anyhow").into_iter().collect(), "`anyhow` outside src/app")
}

fn stays_pure(source: &Source) -> Vec<String> {
    if !source.module().is_some_and(|module| PURE.contains(&module)) {
        return Vec::new();
    }
    let found = IMPURE.iter().flat_map(|path| source.uses_of(path).into_iter().map(move |line| (line, path)));
    found
        .collect::<BTreeSet<_>>()
        .into_iter()
        .map(|(line, path)| source.at(line, &format!("a pure module uses `{path}`")))
        .collect()
}

fn says_what_it_is(source: &Source) -> Vec<String> {
    let is_said = source.text.strip_prefix("//! ").is_some_and(|rest| !rest.trim_start().is_empty());
    if is_said { Vec::new() } else { at_each(source, vec![1], "does not open with `//!` and what it is") }
}

fn ignores_no_test(source: &Source) -> Vec<String> {
    let ignored = source.code.lines().zip(1..).filter(|(line, _)| line.contains("#[ignore")).map(|(_, number)| number);
    at_each(source, ignored.collect(), "an ignored test")
}

/// A pause decides whether a test passes on a slow machine; polling with a bound is in the helpers.
fn does_not_sleep(source: &Source) -> Vec<String> {
    if !source.path.starts_with("tests/") || POLLERS.iter().any(|helper| source.path.starts_with(helper)) {
        return Vec::new();
    }
    let sleeps = source
        .code
        .lines()
        .zip(1..)
        .filter(|(line, _)| line.contains("::sleep(") || line.contains(" sleep("))
        .map(|(_, number)| number);
    at_each(source, sleeps.collect(), "a test sleeps: poll with a helper")
}

fn at_each(source: &Source, lines: Vec<usize>, what: &str) -> Vec<String> {
    lines.into_iter().collect::<BTreeSet<_>>().into_iter().map(|line| source.at(line, what)).collect()
}

/// Names of directories of one machine, which mean nothing on another.
fn machine_paths(path: &str, text: &str) -> Vec<String> {
    // Put together here, so that this file does not contain them.
    let needles = ["root", "work", "home"].map(|name| format!("/{name}/"));
    // At the start of a path: in the middle of one it is a folder, or a JSON pointer's token, of that name.
    let starts = |line: &str, at: usize| !line[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
    let has = |line: &str| {
        let mut found = needles.iter().flat_map(|needle| line.match_indices(needle.as_str()));
        found.any(|(at, _)| starts(line, at))
    };
    let wrong = text.lines().zip(1..).filter(|(line, _)| has(line));
    wrong.map(|(line, number)| format!("{path}:{number}: names a path of one machine: {}", line.trim())).collect()
}

/// Files that no `mod` line leads to, from the crates' roots among `sources`.
fn dead_files(sources: &BTreeMap<String, Source>) -> Vec<String> {
    let is_root = |path: &str| {
        matches!(path, "src/lib.rs" | "src/main.rs" | "src/ffi/build.rs")
            || path.strip_prefix("tests/").is_some_and(|file| !file.contains('/'))
            || path.starts_with("tests/benches/")
            || path.starts_with("tests/") && path.ends_with("/main.rs")
    };
    let mut live: BTreeSet<String> = sources.keys().filter(|path| is_root(path)).cloned().collect();
    let mut open: Vec<String> = live.iter().cloned().collect();
    while let Some(path) = open.pop() {
        let directory = if is_root(&path) || path.ends_with("/mod.rs") {
            path.rsplit_once('/').map_or("", |(directory, _)| directory)
        } else {
            path.trim_end_matches(".rs")
        };
        for name in children(&sources[&path].code) {
            let places = [format!("{directory}/{name}.rs"), format!("{directory}/{name}/mod.rs")];
            let found = places.into_iter().filter(|place| sources.contains_key(place));
            open.extend(found.filter(|place| live.insert(place.clone())));
        }
    }
    sources
        .keys()
        .filter(|path| !live.contains(*path))
        .map(|path| format!("{path}:1: no `mod` line leads here"))
        .collect()
}

/// The modules that a file names with `mod NAME;`.
fn children(code: &str) -> impl Iterator<Item = &str> {
    code.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (before, name) = line.rsplit_once("mod ")?;
        (before.is_empty() || before.starts_with("pub")).then_some(name)
    })
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `directory`, as a path from the root; what is built and what git keeps for itself is left out.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(root().join(directory)).unwrap() {
        let entry = entry.unwrap();
        let (path, name) = (directory.join(entry.file_name()), entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            // In a linked work tree it is a file.
            _ if [".git", "node_modules", ".venv"].iter().any(|other| name == *other) => {}
            true if path == Path::new("target") => {}
            true => files.extend(files_below(&path)),
            false => files.push(path),
        }
    }
    files
}

fn sources() -> BTreeMap<String, Source> {
    let files = ["src", "tests"].into_iter().flat_map(|directory| files_below(Path::new(directory)));
    let rust = files.filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    let read = |path: PathBuf| {
        let name = path.to_str().unwrap().to_owned();
        let source = Source::new(&name, &fs::read_to_string(root().join(path)).unwrap());
        (name, source)
    };
    rust.map(read).collect()
}

fn library_floors() -> Vec<Vec<String>> {
    floors(&fs::read_to_string(root().join("src/lib.rs")).unwrap())
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[track_caller]
fn assert_rule(rule: impl Fn(&Source) -> Vec<String>) {
    assert_none(&sources().values().flat_map(rule).collect::<Vec<_>>());
}

#[test]
fn the_floors_are_those_of_the_library() {
    let floors: BTreeSet<_> = library_floors().concat().into_iter().collect();
    let lib = Source::new("src/lib.rs", &fs::read_to_string(root().join("src/lib.rs")).unwrap());
    let modules: BTreeSet<_> = children(&lib.code).map(str::to_owned).collect();
    assert_eq!(floors, modules, "the drawing in src/lib.rs and its `mod` lines");
}

#[test]
fn a_floor_uses_only_what_is_below_it() {
    let floors = library_floors();
    assert_rule(|source| goes_down(source, &floors));
}

#[test]
fn a_path_out_of_a_module_is_written_from_the_crate() {
    assert_rule(stays_inside);
}

#[test]
fn unsafe_stands_in_ffi_alone() {
    assert_rule(keeps_unsafe_in_ffi);
}

#[test]
fn every_unsafe_says_why_it_is_safe() {
    assert_rule(says_why_it_is_safe);
}

#[test]
fn time_comes_from_the_clock() {
    assert_rule(takes_time_from_the_clock);
}

#[test]
fn anyhow_stands_in_app_alone() {
    assert_rule(keeps_anyhow_in_app);
}

#[test]
fn pure_modules_know_nothing_of_the_machine() {
    assert_rule(stays_pure);
}

#[test]
fn every_file_opens_by_saying_what_it_is() {
    assert_rule(says_what_it_is);
    let shaders = files_below(Path::new("shaders"));
    assert!(!shaders.is_empty());
    let silent = |path: &&PathBuf| !fs::read_to_string(root().join(path)).unwrap().starts_with("// ");
    let silent = shaders.iter().filter(silent).map(|path| format!("{}:1: does not open with `//`", path.display()));
    assert_none(&silent.collect::<Vec<_>>());
}

#[test]
fn no_test_is_ignored() {
    assert_rule(ignores_no_test);
}

#[test]
fn tests_do_not_sleep() {
    assert_rule(does_not_sleep);
}

#[test]
fn no_file_is_dead() {
    assert_none(&dead_files(&sources()));
}

#[test]
fn every_shader_is_compiled_in() {
    let sources = sources();
    let is_used = |path: &PathBuf| {
        // However deep the module lies that names it.
        let needle = format!("/../{}\")", path.display());
        sources.values().any(|source| source.text.contains("include_str!(") && source.text.contains(&needle))
    };
    let dead = files_below(Path::new("shaders")).into_iter().filter(|path| !is_used(path));
    assert_none(&dead.map(|path| format!("{}:1: no include_str! names it", path.display())).collect::<Vec<_>>());
}

#[test]
fn no_file_names_a_path_of_one_machine() {
    let read = |path: PathBuf| Some((path.clone(), String::from_utf8(fs::read(root().join(path)).ok()?).ok()?));
    let texts = files_below(Path::new("")).into_iter().filter_map(read);
    let wrong = texts.flat_map(|(path, text)| machine_paths(&path.display().to_string(), &text));
    assert_none(&wrong.collect::<Vec<_>>());
}

#[test]
fn every_rule_finds_what_it_forbids() {
    type Rule = fn(&Source) -> Vec<String>;
    let down: Rule = |source| goes_down(source, &library_floors());
    let cases: &[(Rule, &str, &str, &[usize])] = &[
        (down, "src/scene/mod.rs", "use crate::{\n    base::id::Id,\n    gpu::{self, Gpu},\n};", &[3]),
        (down, "src/scene/mod.rs", "fn f() {\n    crate::flv::tag()\n}\n// crate::api is fine here", &[2]),
        (down, "src/gpu/mod.rs", "use crate::encode::Config;\nuse crate::media::Library;", &[1]),
        (down, "src/rtmp/mod.rs", "use crate::flv::Body;\nuse crate::base::id::Id;\nuse crate::scene::Scene;", &[3]),
        (down, "src/base/mod.rs", "use crate::ffi;", &[1]),
        (down, "src/ffi/mod.rs", "use crate::base::size::Size;\nuse crate::h264::Sps;", &[2]),
        (down, "src/state/mod.rs", "pub use crate::pipeline::Stream;\npub(crate) use crate::api::App;", &[2]),
        (stays_inside, "src/gpu/mod.rs", "use super::media;\nmod tests {\n    use super::*;\n}\nuse self::x;", &[1]),
        (stays_inside, "src/gpu/a.rs", "use super::b;\nfn f() {\n    super::super::media::f()\n}", &[3]),
        (keeps_unsafe_in_ffi, "src/gpu/mod.rs", "// unsafe\n\"unsafe\";\nunsafe { f() };\nlet unsafe_code = 1;", &[3]),
        (says_why_it_is_safe, "src/ffi/a.rs", "// SAFETY: so.\nlet a =\n    unsafe { f() };\nunsafe { g() };", &[4]),
        (takes_time_from_the_clock, "src/gpu/a.rs", "use std::time::Instant;\nlet a = Instant::now();", &[2]),
        (takes_time_from_the_clock, "src/gpu/a.rs", "use tokio::time::{Instant, sleep};\nlet a = Instant::now();", &[]),
        (takes_time_from_the_clock, "src/gpu/a.rs", "let a = std::time::SystemTime::now();", &[1]),
        (keeps_anyhow_in_app, "src/state/mod.rs", "use anyhow::Context;\nfn f() -> anyhow::Result<()> {}", &[1, 2]),
        (keeps_anyhow_in_app, "src/app/mod.rs", "use anyhow::Context;", &[]),
        (stays_pure, "src/flv/mod.rs", "use std::{\n    fmt,\n    fs::File,\n};\nlet x = tokio::spawn(y);", &[3, 5]),
        (stays_pure, "src/output/mod.rs", "use std::fs::File;", &[]),
        (says_what_it_is, "src/a/mod.rs", "use std::fmt;\n//! Late.", &[1]),
        (ignores_no_test, "tests/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &[2]),
        (does_not_sleep, "tests/a.rs", "fn f() {\n    thread::sleep(POLL);\n}", &[2]),
        (does_not_sleep, "tests/support/mod.rs", "thread::sleep(POLL);", &[]),
    ];
    for (number, (rule, path, text, lines)) in cases.iter().enumerate() {
        let found = rule(&Source::new(path, text));
        let expected: Vec<_> = lines.iter().map(|line| format!("{path}:{line}")).collect();
        let places: Vec<_> = found.iter().map(|wrong| wrong.split(": ").next().unwrap()).collect();
        assert_eq!(places, expected, "case {number}: {text}\n{found:?}");
    }
    assert_eq!(machine_paths("a", &["fine", "/usr/lib", concat!("/ro", "ot/x")].join("\n")).len(), 1);
}

#[test]
fn a_file_that_no_module_names_is_found() {
    let files =
        [("src/lib.rs", "mod a;"), ("src/a/mod.rs", "pub(crate) mod b;"), ("src/a/b.rs", ""), ("src/a/c.rs", "")];
    let sources = files.into_iter().map(|(path, text)| (path.to_owned(), Source::new(path, text))).collect();
    assert_eq!(dead_files(&sources), ["src/a/c.rs:1: no `mod` line leads here"]);
}

#[test]
fn comments_and_texts_are_not_code() {
    for (text, code) in [
        ("a // b\nc", "a     \nc"),
        ("/* a\n */ b", "    \n    b"),
        (r#"f("a\"b", 'c', '\'', 'x: &'a str)"#, "f(      ,    ,     , 'x: &'a str)"),
        ("r#\"a\"b\"# c", "         c"),
        ("br\"a\" for\"b\"", "      for   "),
    ] {
        assert_eq!(code_of(text), code, "{text}");
    }
}
