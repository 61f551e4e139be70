//! The README is true: its shell lines are run as they stand there, against a daemon with the default show.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::daemon::Daemon;

/// Functions in place of the programs that a reader has installed: a failing request fails the line.
const PRELUDE: &str = r#"
set -eu
curl() { command curl --silent --show-error --fail-with-body "$@"; }
stream_manager() { "$PROGRAM" "$@"; }
"#;

/// The shell blocks of the README under this heading.
fn blocks_under(heading: &str) -> String {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let start = readme.find(&format!("\n## {heading}\n")).unwrap_or_else(|| panic!("README has no `{heading}`"));
    let section = &readme[start + 4..];
    let section = &section[..section.find("\n## ").unwrap_or(section.len())];
    let blocks: Vec<_> = section.split("```sh\n").skip(1).map(|block| block.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty(), "no shell lines under `{heading}`");
    blocks.concat()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn run(script: &str, directory: &Path) -> String {
    let output = Command::new("sh")
        .args(["-c", &format!("{PRELUDE}{script}")])
        .current_dir(directory)
        .env("PROGRAM", env!("CARGO_BIN_EXE_stream-manager"))
        .env("NODEVICE_SELECT", "1")
        .output()
        .unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

#[test]
fn the_curl_lines_change_the_picture() {
    let daemon = Daemon::serve_with(None, &[]);
    let directory = tempfile::tempdir().unwrap();
    // The reader stands in the checkout.
    std::os::unix::fs::symlink(root().join("assets"), directory.path().join("assets")).unwrap();
    daemon.save_picture(&directory.path().join("before.png"));
    let lines = blocks_under("Change the picture");
    assert!(lines.matches("curl ").count() >= 5, "five lines that change the picture");
    let script = lines.replace("http://127.0.0.1:8080", daemon.base());
    assert!(script.contains(daemon.base()));
    let answers = run(&script, directory.path());
    assert!(answers.contains("appliedFrame"), "{answers}");
    let picture = |name: &str| image::open(directory.path().join(name)).unwrap().into_rgba8();
    let (before, after) = (picture("before.png"), picture("frame.png"));
    assert_eq!(before.dimensions(), (1920, 1080));
    assert_ne!(before, after);
    assert_eq!(daemon.get("/api/v1/streams/main/layers/bid-amount")["content"]["text"], "2.0 ETH");
    assert_eq!(daemon.get("/api/v1/streams/main/outputs/second")["url"], "rtmp://127.0.0.1/live");
    assert_eq!(daemon.get("/api/v1/assets?kind=picture&tag=logo")["assets"][0]["name"], "logo.png");
}

#[test]
fn the_offline_lines_write_what_they_say() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(root().join("config/default-show.json"), directory.path().join("show.json")).unwrap();
    let script = blocks_under("Without going on air").replace("stream-manager ", "stream_manager ");
    assert!(run(&script, directory.path()).contains("--listen"), "the help");
    assert_eq!(image::image_dimensions(directory.path().join("frame.png")).unwrap(), (1920, 1080));
    let probe =
        "ffprobe -v error -count_packets -select_streams v -show_entries stream=nb_read_packets -of csv=p=0 show.flv";
    assert_eq!(run(probe, directory.path()).trim(), "600", "20 s at 30 frames a second");
}

/// Each in turn against one daemon, which is afterwards as it was before.
#[test]
fn the_scripts_of_the_examples_do_what_they_say() {
    let daemon = Daemon::serve_with(None, &[]);
    let documents = || {
        ["layers", "scenes", "outputs", "audio/sources"].map(|part| {
            let mut document = daemon.get(&format!("/api/v1/streams/main/{part}"));
            document.as_object_mut().unwrap().remove("revision");
            document
        })
    };
    let before = documents();
    let directory = tempfile::tempdir().unwrap();
    let examples = root().join("config/examples");
    let logo = root().join("assets/show/logo.png");
    let mut scripts: Vec<_> = fs::read_dir(&examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    scripts.retain(|path| path.extension().is_some_and(|extension| extension == "sh"));
    scripts.sort();
    assert!(scripts.len() >= 6);
    for script in scripts {
        let arguments = match script.file_name().unwrap().to_str().unwrap() {
            "upload.sh" => logo.to_str().unwrap(),
            "outputs.sh" => "rtmp://127.0.0.1:9/live key",
            _ => "",
        };
        let line = format!("HOLD=0 URL={} PREVIEW=preview.png {} {arguments}", daemon.base(), script.display());
        let said = run(&format!("sleep() {{ :; }}; {line}"), directory.path());
        assert!(said.contains("\"revision\":"), "{line}: {said}");
    }
    assert_eq!(documents(), before);
    assert_eq!(image::image_dimensions(directory.path().join("preview.png")).unwrap(), (1920, 1080));
    assert_eq!(daemon.get("/api/v1/assets")["assets"], serde_json::json!([]));
}

#[test]
fn every_example_is_a_good_show() {
    let is_show = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "json");
    let entries = fs::read_dir(root().join("config/examples")).unwrap().map(|entry| entry.unwrap().path());
    let examples: Vec<_> = entries.filter(is_show).collect();
    assert!(examples.len() >= 8);
    for example in examples {
        run(&format!("stream_manager check {}", example.display()), &root());
    }
}

#[test]
fn every_link_leads_somewhere() {
    for document in ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "config/examples/README.md"] {
        let text = fs::read_to_string(root().join(document)).unwrap();
        let folder = root().join(document).parent().unwrap().to_owned();
        for link in text.split("](").skip(1).map(|rest| rest.split(')').next().unwrap()) {
            let is_local = !link.starts_with("http");
            assert!(!is_local || folder.join(link).exists(), "{document} links to {link}");
        }
    }
}
