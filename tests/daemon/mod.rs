//! The daemon as its users have it: the program itself, on a free port, driven with curl.
//!
//! It is ended by its own process id when its value is dropped. Waiting is polling with a bound; the pauses decide nothing
//! but the speed.

#![allow(dead_code, reason = "each test crate uses its own part of this module")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(50);
/// Polls before a test is given up: two minutes.
const POLLS_MAX: usize = 2400;

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    base: String,
    directory: TempDir,
}

impl Daemon {
    /// Starts the daemon with this show on air.
    pub(crate) fn serve(show: &Value) -> Self {
        Self::serve_with(Some(show), &[])
    }

    /// Starts the daemon with a show, or the built-in one, and further arguments; waits until it listens.
    pub(crate) fn serve_with(show: Option<&Value>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_stream-manager"));
        command.args(["serve", "--listen", "127.0.0.1:0"]).args(arguments);
        if let Some(show) = show {
            let path = directory.path().join("show.json");
            fs::write(&path, show.to_string()).unwrap();
            command.arg("--scene").arg(path);
        }
        let log = File::create(directory.path().join("log")).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).env("NODEVICE_SELECT", "1");
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("listening on ").map(str::to_owned);
        let mut daemon = Self { child, base: String::new(), directory };
        daemon.base = base.unwrap_or_else(|| panic!("the daemon does not listen: {line}\n{}", daemon.log()));
        daemon
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Body of a successful request.
    pub(crate) fn get(&self, path: &str) -> Value {
        self.json(&[], path)
    }

    /// Answer to a merge patch.
    pub(crate) fn patch(&self, path: &str, patch: &Value) -> Value {
        self.json(&["-X", "PATCH", "--json", &patch.to_string()], path)
    }

    /// Answer to a document.
    pub(crate) fn post(&self, path: &str, document: &Value) -> Value {
        self.json(&["--json", &document.to_string()], path)
    }

    /// Answer to a deletion.
    pub(crate) fn delete(&self, path: &str) -> Value {
        self.json(&["-X", "DELETE"], path)
    }

    /// The text of `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        String::from_utf8(self.curl(&[], "/metrics")).unwrap()
    }

    /// Saves the picture on air.
    pub(crate) fn save_picture(&self, file: &Path) {
        fs::write(file, self.curl(&[], "/api/v1/streams/main/program.png")).unwrap();
    }

    fn json(&self, arguments: &[&str], path: &str) -> Value {
        serde_json::from_slice(&self.curl(arguments, path)).unwrap()
    }

    fn curl(&self, arguments: &[&str], path: &str) -> Vec<u8> {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail-with-body", "--max-time", "30"]);
        let output = command.args(arguments).arg(format!("{}{path}", self.base)).output();
        let output = output.expect("curl is missing: apt-get install curl");
        let body = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{path}: {} {body}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Waits until the output has sent this much of the stream.
    pub(crate) fn until_sent(&self, output: &str, duration_ms: u64) {
        let mut status = Value::Null;
        for _ in 0..POLLS_MAX {
            status = self.get("/api/v1/streams/main/status");
            let outputs = status["outputs"].as_array().unwrap();
            let sent = outputs.iter().find(|found| found["id"] == output);
            if sent.and_then(|sent| sent["outputDurationMs"].as_u64()).is_some_and(|sent| sent >= duration_ms) {
                return;
            }
            thread::sleep(POLL);
        }
        panic!("output {output} has not sent {duration_ms} ms: {status}\n{}", self.log());
    }

    /// Ends it as an init system does, and says what it logged; it must end well.
    pub(crate) fn end(mut self) -> String {
        let signalled = Command::new("kill").arg("-TERM").arg(self.pid().to_string()).status().unwrap();
        assert!(signalled.success());
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.child.try_wait().unwrap() {
                assert!(status.success(), "{status}\n{}", self.log());
                return self.log();
            }
            thread::sleep(POLL);
        }
        panic!("the daemon does not end\n{}", self.log());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
