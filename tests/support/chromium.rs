//! Headless Chromium: a page in, and out what it shows ([`show`]) or what it answers to a question ([`ask`]).

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use image::RgbaImage;
use serde_json::Value;
use tempfile::TempDir;

use super::{program::Running, until};

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
];
/// The page's own time, in milliseconds, which lets it wait for its fonts.
const TIME: &str = "--virtual-time-budget=2000";
/// How long a connection may say nothing.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn file_url(path: &Path) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
    let mut url = String::from("file://");
    for byte in path.to_str().expect("a path in UTF-8").bytes() {
        if is_plain(char::from(byte)) { url.push(char::from(byte)) } else { url += &format!("%{byte:02X}") }
    }
    url
}

/// Chromium with a profile of its own.
fn chromium(dir: &TempDir) -> Command {
    let is_there = Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(is_there.is_ok(), "chromium is the oracle of these tests: apt-get install chromium");
    let profile = dir.path().join("profile");
    fs::create_dir(&profile).unwrap();
    let mut command = Command::new("chromium");
    command.args(FLAGS).arg(format!("--user-data-dir={}", profile.display()));
    command
}

/// Shows a page in a window of this size.
pub(crate) fn show(html: &str, [width, height]: [u32; 2]) -> (RgbaImage, Value) {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::write(at("page.html"), html).unwrap();
    let mut command = chromium(&dir);
    command
        .arg(TIME)
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", at("page.png").display()))
        .arg("--dump-dom")
        .arg(file_url(&at("page.html")))
        .stdin(Stdio::null())
        .stdout(File::create(at("dom")).unwrap())
        .stderr(File::create(at("log")).unwrap());
    let mut browser = command.spawn().unwrap();
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

/// Opens a page that fetches `/question` and posts its answer, a text, to `/answer`; both are the test's, over loopback, so
/// that the page may take the time it needs and the interfaces that only secure contexts have.
pub(crate) fn ask(html: &str, question: &Value) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut command = chromium(&dir);
    command.arg(format!("http://{}/", listener.local_addr().unwrap())).stdin(Stdio::null());
    let browser = Running::spawn(&mut command);
    let answer = until(|| match listener.accept() {
        Ok((stream, _)) => serve(stream, html, question),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
            None
        }
    });
    answer.unwrap_or_else(|| panic!("the page does not answer\n{}", browser.log()))
}

/// Answers one request; the page's answer, if that is what it was.
fn serve(stream: TcpStream, html: &str, question: &Value) -> Option<String> {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Browsers open connections ahead of need, on which nothing comes.
    let (what, body) = request(&stream).ok()?;
    let (status, kind, said) = match what.as_str() {
        "GET /" => ("200 OK", "text/html; charset=utf-8", html.to_owned()),
        "GET /question" => ("200 OK", "application/json", question.to_string()),
        "POST /answer" => return Some(body),
        _ => ("404 Not Found", "text/plain", String::new()),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n", said.len());
    // A page that has gone away does not answer, which is noticed.
    let _ = (&stream).write_all(format!("{head}Connection: close\r\n\r\n{said}").as_bytes());
    None
}

/// Method and path of a request, and its body.
fn request(stream: &TcpStream) -> io::Result<(String, String)> {
    let mut request = BufReader::new(stream);
    let (mut first, mut body_len) = (String::new(), 0);
    request.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => body_len = value.parse().unwrap(),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    request.take(body_len).read_to_string(&mut body)?;
    Ok((first.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), body))
}
