//! What ships beside the program: the image's recipe, the configuration, the default show, the scripts.
//!
//! There is no container engine where the tests run, so `Dockerfile.gpu` is read rather than built: each test checks one
//! way in which a build or a container would fail. Left out: that the base images exist, and that the packages bear the
//! same names on Ubuntu (they do as of 24.04).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Runs a tool, or says that this machine has none.
fn run(tool: &str, arguments: &[&str]) -> Option<Output> {
    Command::new(tool).args(arguments).current_dir(root()).output().ok()
}

#[expect(clippy::print_stderr, reason = "a test that could not check anything says so where people look")]
fn not_checked(why: &str) {
    eprintln!("not checked: {why}");
}

// ---------------------------------------------------------------- the image

/// One instruction of a Dockerfile, its continuation lines joined.
#[derive(Debug, PartialEq)]
struct Instruction {
    name: String,
    rest: String,
}

impl Instruction {
    /// The words after the flags (`--from=builder`).
    fn words(&self) -> Vec<&str> {
        self.rest.split_whitespace().skip_while(|word| word.starts_with("--")).collect()
    }

    fn flag(&self, name: &str) -> Option<&str> {
        let flags = self.rest.split_whitespace().take_while(|word| word.starts_with("--"));
        flags
            .filter_map(|flag| flag.strip_prefix("--")?.split_once('='))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }
}

fn parse_dockerfile(text: &str) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    let mut pending = String::new();
    // Comments go first: Docker drops them even between the lines of one instruction.
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(line) = line.strip_suffix('\\') {
            pending.push_str(line);
            pending.push(' ');
            continue;
        }
        pending.push_str(line);
        let (name, rest) = pending.split_once(char::is_whitespace).unwrap_or((&pending, ""));
        instructions.push(Instruction { name: name.to_ascii_uppercase(), rest: rest.trim().to_owned() });
        pending.clear();
    }
    assert!(pending.is_empty(), "the last line continues into nothing");
    instructions
}

fn dockerfile() -> Vec<Instruction> {
    parse_dockerfile(&read("Dockerfile.gpu"))
}

/// Those of the last stage: what the image says when it runs.
fn runtime_stage() -> Vec<Instruction> {
    let all = dockerfile();
    let start = all.iter().rposition(|instruction| instruction.name == "FROM").expect("a FROM");
    all.into_iter().skip(start).collect()
}

/// The argument of the last instruction of that name, which is the one that counts.
fn last(instructions: &[Instruction], name: &str) -> Option<String> {
    instructions.iter().rfind(|instruction| instruction.name == name).map(|instruction| instruction.rest.clone())
}

/// The packages named after `apt-get install` in a RUN.
fn packages_of(run: &str) -> Vec<&str> {
    let commands = run.split("&&").map(str::trim);
    let installs = commands.filter_map(|command| command.strip_prefix("apt-get install"));
    installs.flat_map(str::split_whitespace).filter(|word| !word.starts_with('-')).collect()
}

/// Whether `.dockerignore` keeps a file out of the build. Its last matching line decides, `!` brings a file back.
fn is_ignored(rules: &str, path: &str) -> bool {
    let rules = rules.lines().map(str::trim).filter(|rule| !rule.is_empty() && !rule.starts_with('#'));
    rules.fold(false, |ignored, rule| {
        let (verdict, pattern) = rule.strip_prefix('!').map_or((true, rule), |pattern| (false, pattern));
        let pattern: Vec<_> = pattern.trim_matches('/').split('/').collect();
        let path: Vec<_> = path.split('/').collect();
        // A pattern that matches a directory matches what is in it.
        let matches = (1..=path.len()).any(|length| matches_path(&pattern, &path[..length]));
        if matches { verdict } else { ignored }
    })
}

fn matches_path(pattern: &[&str], path: &[&str]) -> bool {
    match (pattern, path) {
        ([], []) => true,
        (["**", rest @ ..], _) => matches_path(rest, path) || (!path.is_empty() && matches_path(pattern, &path[1..])),
        ([first, pattern @ ..], [name, path @ ..]) => matches_name(first, name) && matches_path(pattern, path),
        _ => false,
    }
}

fn matches_name(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name
            .strip_prefix(before)
            .is_some_and(|rest| (0..=rest.len()).filter_map(|at| rest.get(at..)).any(|tail| matches_name(after, tail))),
    }
}

/// All files under a path of the repository, relative to its root; the path itself if it is a file.
fn files_under(path: &str) -> Vec<String> {
    let full = root().join(path);
    if full.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(&full).unwrap_or_else(|error| panic!("{path}: {error}"));
    let names =
        entries.map(|entry| entry.expect("a directory entry").file_name().into_string().expect("a name in UTF-8"));
    names.flat_map(|name| files_under(&format!("{path}/{name}"))).collect()
}

/// The sources of every COPY from the build context.
fn copied() -> Vec<String> {
    let instructions = dockerfile();
    let copies =
        instructions.iter().filter(|instruction| instruction.name == "COPY" && instruction.flag("from").is_none());
    let sources = copies.flat_map(|copy| {
        let words = copy.words();
        assert!(words.len() >= 2, "a source and a destination: {copy:?}");
        words[..words.len() - 1].iter().map(|source| source.trim_end_matches('/').to_owned()).collect::<Vec<_>>()
    });
    sources.collect()
}

#[test]
fn the_dockerfile_parser_joins_lines_and_drops_comments() {
    let parsed =
        parse_dockerfile("# a\nFROM x AS y\nRUN a \\\n # b\n && apt-get install -y \\\n p q\ncopy --from=y a b\n");
    assert_eq!(parsed.iter().map(|instruction| instruction.name.as_str()).collect::<Vec<_>>(), ["FROM", "RUN", "COPY"]);
    assert_eq!(packages_of(&parsed[1].rest), ["p", "q"]);
    assert_eq!(parsed[2].flag("from"), Some("y"));
    assert_eq!(parsed[2].words(), ["a", "b"]);
}

#[test]
fn dockerignore_rules_match_as_docker_has_them() {
    let rules = "# c\ntarget\n**/*.md\nassets/show/src\n!README.md\n";
    for (path, ignored) in [
        ("target/release/x", true),
        ("src/target", false),
        ("a/b/c.md", true),
        ("README.md", false),
        ("assets/show/src/host.svg", true),
        ("assets/show/host.png", false),
    ] {
        assert_eq!(is_ignored(rules, path), ignored, "{path}");
    }
}

#[test]
fn every_copied_file_exists_and_is_in_the_build_context() {
    let rules = read(".dockerignore");
    let sources = copied();
    assert!(!sources.is_empty());
    for source in sources {
        let files = files_under(&source);
        assert!(files.iter().any(|file| !is_ignored(&rules, file)), "nothing of {source} passes .dockerignore");
    }
}

/// A file that the program embeds and the image's builder lacks would break the build there and nowhere else.
#[test]
fn every_embedded_file_is_copied_into_the_builder() {
    let (rules, sources) = (read(".dockerignore"), copied());
    for file in files_under("src").iter().filter(|file| file.ends_with(".rs")) {
        let text = read(file);
        for embedded in ["include_str!(\"", "include_bytes!(\""].iter().flat_map(|call| text.split(call).skip(1)) {
            let literal = embedded.split('"').next().expect("split yields one part");
            let path = relative_to_root(&root().join(file).with_file_name(literal));
            assert!(root().join(&path).is_file(), "{file} embeds {path}, which does not exist");
            let is_copied = sources.iter().any(|source| path == *source || path.starts_with(&format!("{source}/")));
            assert!(
                is_copied && !is_ignored(&rules, &path),
                "{file} embeds {path}, which Dockerfile.gpu does not copy"
            );
        }
    }
}

/// Resolves `..` by name alone, so that a file that does not exist still has a path to report.
fn relative_to_root(path: &Path) -> String {
    let mut plain = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            assert!(plain.pop(), "{} leaves the file system", path.display())
        } else {
            plain.push(part)
        }
    }
    plain.strip_prefix(root()).expect("a path inside the repository").to_str().expect("a path in UTF-8").to_owned()
}

/// The layer of the dependencies is built from the manifest and files that are made up there: all that it names.
#[test]
fn the_empty_program_has_what_the_manifest_names() {
    let manifest: Value = Figment::from(Toml::string(&read("Cargo.toml"))).extract().expect("TOML");
    let script = manifest["package"]["build"].as_str().expect("a build script");
    let instructions = dockerfile();
    let made_up = instructions.iter().find(|i| i.name == "RUN" && i.rest.contains("fn main() {}")).expect("a program");
    for file in ["src/main.rs", "src/lib.rs", script] {
        assert!(made_up.rest.contains(file), "{file}");
    }
}

#[test]
fn stages_are_defined_before_they_are_copied_from() {
    let mut stages = BTreeSet::new();
    for instruction in dockerfile() {
        if instruction.name == "FROM"
            && let [_, keyword, name] = instruction.words()[..]
        {
            assert!(keyword.eq_ignore_ascii_case("as"), "{instruction:?}");
            stages.insert(name.to_owned());
        }
        if let Some(stage) = instruction.flag("from") {
            assert!(stages.contains(stage), "no stage is called {stage}: {instruction:?}");
        }
    }
    assert!(stages.len() >= 2, "a builder and a runtime: {stages:?}");
}

#[test]
fn every_apt_package_is_known_to_apt() {
    let instructions = dockerfile();
    let packages: BTreeSet<_> =
        instructions.iter().filter(|i| i.name == "RUN").flat_map(|i| packages_of(&i.rest)).collect();
    assert!(packages.contains("libvulkan1") && packages.contains("mesa-vulkan-drivers"), "{packages:?}");

    // apt's own lists, not just what is installed: a Debian that was never updated knows nothing to judge by.
    let lists = fs::read_dir("/var/lib/apt/lists").into_iter().flatten().flatten();
    if !lists.into_iter().any(|entry| entry.file_name().to_string_lossy().contains("_Packages")) {
        return not_checked("apt has no package lists here (apt-get update)");
    }
    for package in packages {
        let Some(output) = run("apt-cache", &["show", "--quiet", package]) else {
            return not_checked("no apt-cache here");
        };
        assert!(output.status.success() && !output.stdout.is_empty(), "apt knows no package {package}");
    }
}

#[test]
fn the_vulkan_manifest_names_nvidias_headless_library() {
    let manifest: Value = serde_json::from_str(&read("config/docker/nvidia_icd.json")).expect("JSON");
    assert_eq!(manifest["ICD"]["library_path"], "libEGL_nvidia.so.0");
    let version = manifest["ICD"]["api_version"].as_str().expect("a version");
    assert!(version.starts_with("1.3."), "{version}");

    let into_place = "config/docker/nvidia_icd.json /etc/vulkan/icd.d/nvidia_icd.json";
    assert!(runtime_stage().iter().any(|i| i.name == "COPY" && i.rest == into_place), "{into_place}");
}

/// The toolkit reads these from the image; without `video` there is no NVENC, without `graphics` no Vulkan.
#[test]
fn the_image_asks_for_the_driver_parts_it_needs() {
    let stage = runtime_stage();
    let settings: Vec<_> = stage.iter().filter(|i| i.name == "ENV").flat_map(Instruction::words).collect();
    assert!(settings.contains(&"NVIDIA_VISIBLE_DEVICES=all"), "{settings:?}");
    assert!(settings.contains(&"NVIDIA_DRIVER_CAPABILITIES=compute,video,graphics,utility"), "{settings:?}");
}

#[test]
fn the_container_runs_as_a_user_it_creates_and_not_as_root() {
    let stage = runtime_stage();
    let user = last(&stage, "USER").expect("a USER");
    assert!(!["root", "0"].contains(&user.split(':').next().expect("split yields one part")), "{user}");
    let created_at =
        stage.iter().position(|i| i.name == "RUN" && i.rest.contains("useradd") && i.rest.ends_with(&user));
    let used_at = stage.iter().position(|i| i.name == "USER");
    assert!(created_at.is_some() && created_at < used_at, "{user} is not created before it is used");
}

#[test]
fn the_container_starts_stops_and_answers_for_its_health() {
    let stage = runtime_stage();
    assert_eq!(last(&stage, "STOPSIGNAL").as_deref(), Some("SIGTERM"));
    assert_eq!(last(&stage, "EXPOSE").as_deref(), Some("8080"));
    let health = last(&stage, "HEALTHCHECK").expect("a HEALTHCHECK");
    assert!(health.contains("CMD curl") && health.contains("/healthz"), "{health}");
    let installed: Vec<_> = stage.iter().filter(|i| i.name == "RUN").flat_map(|i| packages_of(&i.rest)).collect();
    assert!(installed.contains(&"curl"), "the health check has no curl: {installed:?}");

    // The exec form, which is JSON: the shell form would leave the signals with the shell.
    let entrypoint: Vec<String> =
        serde_json::from_str(&last(&stage, "ENTRYPOINT").expect("an ENTRYPOINT")).expect("JSON");
    assert_eq!(entrypoint, ["stream-manager"]);
    let command: Vec<String> = serde_json::from_str(&last(&stage, "CMD").expect("a CMD")).expect("JSON");
    let [serve, flag, config] = &command[..] else { panic!("{command:?}") };
    assert_eq!([serve.as_str(), flag], ["serve", "--config"]);
    let is_copied = stage.iter().any(|i| i.name == "COPY" && i.words().last() == Some(&config.as_str()));
    assert!(is_copied, "{config} is not in the image");
}

// ---------------------------------------------------------------- the default show

fn default_show() -> Value {
    serde_json::from_str(&read("config/default-show.json")).expect("JSON")
}

fn layers(show: &Value) -> &[Value] {
    show["layers"].as_array().expect("layers")
}

#[test]
fn every_picture_of_the_default_show_is_bundled() {
    let show = default_show();
    let assets: Vec<_> = layers(&show).iter().filter_map(|layer| layer["content"]["asset"].as_str()).collect();
    assert!(!assets.is_empty());
    for asset in assets {
        let name = asset.strip_prefix("builtin:").unwrap_or_else(|| panic!("{asset} is not built in"));
        assert!(root().join("assets").join(name).is_file(), "assets/{name} does not exist");
    }
}

#[test]
fn the_default_show_sets_its_texts_in_bundled_fonts() {
    // assets/fonts/README.md is the list of families: a family it does not name is not bundled.
    let readme = read("assets/fonts/README.md");
    for layer in layers(&default_show()) {
        if let Some(font) = layer["content"]["font"].as_str() {
            assert!(readme.contains(&format!("| `{font}` |")), "{}: no family {font}", layer["id"]);
        }
    }
}

#[test]
fn the_default_show_keeps_to_its_canvas_and_names_each_layer_once() {
    let show = default_show();
    let (width, height) = (number(&show["canvas"]["width"]), number(&show["canvas"]["height"]));
    let mut ids = BTreeSet::new();
    for layer in layers(&show) {
        let (id, transform) = (layer["id"].as_str().expect("an id"), &layer["transform"]);
        assert!(ids.insert(id), "two layers are called {id}");
        let (x, y) = (number(&transform["positionX"]), number(&transform["positionY"]));
        let (right, bottom) = (x + number(&transform["width"]), y + number(&transform["height"]));
        assert!(x >= 0.0 && y >= 0.0 && right <= width && bottom <= height, "{id} leaves the canvas");
    }
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("a number: {value}"))
}

// ---------------------------------------------------------------- scripts

fn scripts() -> Vec<String> {
    let folders = ["config/run", "config/examples", "assets/show/src"]
        .into_iter()
        .flat_map(files_under)
        .filter(|file| file.ends_with(".sh"));
    folders.chain([".ci/run".to_owned()]).collect()
}

#[test]
fn scripts_parse() {
    for script in scripts() {
        let shell = if read(&script).contains("bash") { "bash" } else { "sh" };
        let output = run(shell, &["-n", &script]).unwrap_or_else(|| panic!("no {shell} here"));
        assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn scripts_satisfy_shellcheck() {
    let scripts = scripts();
    let arguments: Vec<_> = ["--external-sources"].into_iter().chain(scripts.iter().map(String::as_str)).collect();
    let Some(output) = run("shellcheck", &arguments) else { return not_checked("no shellcheck here") };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[cfg(unix)]
#[test]
fn scripts_that_are_run_are_executable() {
    use std::os::unix::fs::PermissionsExt;
    // lib.sh is sourced and has no first line to run it by.
    for script in scripts().iter().filter(|script| read(script).starts_with("#!")) {
        let mode = fs::metadata(root().join(script)).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{script} is not executable");
    }
}
