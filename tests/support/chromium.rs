//! Headless Chromium: a page in, and out what it shows ([`show`]) or what it answers to a question ([`ask`]); or a window that
//! is looked into and acted upon while it is open ([`Window`]).

use std::{
    fs::{self, File},
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use image::RgbaImage;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket, stream::MaybeTlsStream};

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
/// How long the browser may take for one call.
const CALL_PATIENCE: Duration = Duration::from_secs(30);
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
    let (what, body) = message(&stream).ok()?;
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

/// Method and path of a request, or an answer's first line; and its body.
fn message(stream: &TcpStream) -> io::Result<(String, String)> {
    let mut request = BufReader::new(stream);
    let (mut first, mut body_len) = (String::new(), 0);
    request.read_line(&mut first)?;
    loop {
        let mut line = String::new();
        request.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                body_len = value.trim().parse().unwrap()
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = String::new();
    request.take(body_len).read_to_string(&mut body)?;
    Ok((first.trim_end().trim_end_matches(" HTTP/1.1").to_owned(), body))
}

/// A window of a browser that stays open, driven over Chromium's DevTools protocol.
pub(crate) struct Window {
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    calls: u64,
    _browser: Running,
    _dir: TempDir,
}

impl Window {
    /// Opens an address in a window of this size. What the page's policy forbids it is kept in `violations`, what it complains
    /// of and what it could not load in `complaints`.
    pub(crate) fn open(url: &str, [width, height]: [u32; 2]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut command = chromium(&dir);
        command.args(["--remote-debugging-port=0", "about:blank"]).arg(format!("--window-size={width},{height}"));
        command.stdin(Stdio::null());
        let browser = Running::spawn(&mut command);
        let said = dir.path().join("profile/DevToolsActivePort");
        // The file is written at once, and whole when it has its second line.
        let port = until(|| Some(fs::read_to_string(&said).ok()?.split_once('\n')?.0.parse::<u16>().unwrap()));
        let port = port.unwrap_or_else(|| panic!("chromium does not listen\n{}", browser.log()));
        let page = until(|| page_of(port)).unwrap_or_else(|| panic!("chromium has no page\n{}", browser.log()));
        let (socket, _) = tungstenite::connect(page).unwrap();
        if let MaybeTlsStream::Plain(stream) = socket.get_ref() {
            stream.set_read_timeout(Some(CALL_PATIENCE)).unwrap();
        }
        let mut window = Self { socket, calls: 0, _browser: browser, _dir: dir };
        let watch = "window.violations = []; addEventListener('securitypolicyviolation', \
                     (event) => violations.push(`${event.violatedDirective}: ${event.blockedURI}`)); \
                     window.complaints = []; console.error = (...said) => complaints.push(said.join(' ')); \
                     addEventListener('error', (event) => complaints.push(event.message ?? event.target.outerHTML), true);";
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        window.call("Page.enable", &json!({}));
        window.call("Emulation.setDeviceMetricsOverride", &size);
        window.call("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": watch }));
        window.call("Page.navigate", &json!({ "url": url }));
        window
    }

    /// What an expression, or what it promises, is worth.
    pub(crate) fn run(&mut self, expression: &str) -> Value {
        let call = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.call("Runtime.evaluate", &call);
        assert!(answer.get("exceptionDetails").is_none(), "{expression}: {answer}");
        answer["result"]["value"].take()
    }

    /// Waits until an expression is worth something that is true.
    pub(crate) fn until(&mut self, expression: &str) {
        if until(|| self.run(&format!("Boolean({expression})")).as_bool().filter(|is_so| *is_so)).is_none() {
            panic!("never: {expression}\n{}", self.run("document.body.innerText"));
        }
    }

    /// Types into what has the focus.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.call("Input.insertText", &json!({ "text": text }));
    }

    /// What the window shows.
    pub(crate) fn screenshot(&mut self) -> RgbaImage {
        let answer = self.call("Page.captureScreenshot", &json!({ "format": "png" }));
        let png = STANDARD.decode(answer["data"].as_str().unwrap()).unwrap();
        image::load_from_memory(&png).unwrap().into_rgba8()
    }

    /// Calls a method and gives its result, past what is told in between.
    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.calls += 1;
        let call = json!({ "id": self.calls, "method": method, "params": params });
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            let mut answer: Value = serde_json::from_str(&text).unwrap();
            if answer["id"] == self.calls {
                assert!(answer.get("error").is_none(), "{call}: {answer}");
                return answer["result"].take();
            }
        }
    }
}

/// The address at which the browser's page is driven.
fn page_of(port: u16) -> Option<String> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let asked = format!("GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");
    (&stream).write_all(asked.as_bytes()).ok()?;
    // An answer is laid out as a request is; the browser leaves the connection open.
    let (_, body) = message(&stream).ok()?;
    let pages: Value = serde_json::from_str(&body).ok()?;
    let page = pages.as_array()?.iter().find(|page| page["type"] == "page")?;
    Some(page["webSocketDebuggerUrl"].as_str()?.to_owned())
}
