//! Headless Chromium: a page in, its screenshot and the numbers it computed out.

use std::{
    fs::{self, File},
    path::Path,
    process::{Command, Stdio},
};

use image::RgbaImage;
use serde_json::Value;

use crate::support::until;

/// Where the page's script leaves its numbers, as JSON.
pub(crate) const NUMBERS: &str = "numbers";
/// What makes the picture the same everywhere: no GPU, one code value a channel, one pixel a CSS pixel, grey and unhinted
/// glyphs at fractions of a pixel. The rest keeps it from the network and, as tests may run as root, from its sandbox.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--force-device-scale-factor=1",
    "--force-color-profile=srgb",
    "--disable-lcd-text",
    "--font-render-hinting=none",
    "--hide-scrollbars",
    // Else no file may be another one's mask.
    "--allow-file-access-from-files",
    "--disable-quic",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    // The page's own time, in milliseconds, which lets it wait for its fonts.
    "--virtual-time-budget=2000",
];

pub(crate) fn file_url(path: &Path) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let mut url = String::from("file://");
    for byte in path.to_str().expect("a path in UTF-8").bytes() {
        if is_plain(char::from(byte)) { url.push(char::from(byte)) } else { url += &format!("%{byte:02X}") }
    }
    url
}

/// Shows a page in a window of this size.
pub(crate) fn show(html: &str, [width, height]: [u32; 2]) -> (RgbaImage, Value) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("page.html"), html).unwrap();
    fs::create_dir(at("profile")).unwrap();
    let mut command = Command::new("chromium");
    command
        .args(FLAGS)
        .arg(format!("--user-data-dir={}", at("profile").display()))
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", at("page.png").display()))
        .arg("--dump-dom")
        .arg(file_url(&at("page.html")))
        .stdin(Stdio::null())
        .stdout(File::create(at("dom")).unwrap())
        .stderr(File::create(at("log")).unwrap());
    let mut browser = command.spawn().unwrap_or_else(|error| {
        panic!("chromium cannot be started ({error}); it is the oracle of these tests: apt-get install chromium")
    });
    let ended = until(|| browser.try_wait().unwrap());
    // Fails only for a process that has ended.
    let _ = browser.kill();
    let log = || fs::read_to_string(at("log")).unwrap_or_default();
    let status = ended.unwrap_or_else(|| panic!("chromium does not end\n{}", log()));
    assert!(status.success(), "chromium: {status}\n{}", log());
    let picture = image::open(at("page.png")).unwrap_or_else(|error| panic!("{error}\n{}", log())).into_rgba8();
    assert_eq!(picture.dimensions(), (width, height), "size of the screenshot");
    (picture, numbers(&fs::read_to_string(at("dom")).unwrap()))
}

fn numbers(dom: &str) -> Value {
    let start = format!("<pre id=\"{NUMBERS}\" hidden=\"\">");
    let text = dom.split_once(&start).and_then(|(_, rest)| rest.split_once("</pre>")).map(|(text, _)| text);
    let text = text.unwrap_or_else(|| panic!("the page's script did not end:\n{dom}"));
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
