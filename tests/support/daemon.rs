//! The daemon as its users have it: the program itself, on a free port, driven with curl.

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tempfile::TempDir;

use super::{
    program::{self, Running},
    until,
};

/// A running daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    program: Running,
    base: String,
    /// Its show lies here.
    _directory: TempDir,
}

impl Daemon {
    /// Starts the daemon with this show on air.
    pub(crate) fn serve(show: &Value) -> Self {
        Self::serve_with(Some(show), &[])
    }

    /// Starts the daemon with a show, or the built-in one, and further arguments; waits until it listens.
    pub(crate) fn serve_with(show: Option<&Value>, arguments: &[&str]) -> Self {
        Self::serve_in(&[], show, arguments)
    }

    /// The same, with these variables in its environment.
    pub(crate) fn serve_in(environment: &[(&str, &str)], show: Option<&Value>, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut command = program::command(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments).envs(environment.iter().copied());
        if let Some(show) = show {
            let path = directory.path().join("show.json");
            fs::write(&path, show.to_string()).unwrap();
            command.arg("--scene").arg(path);
        }
        let mut program = Running::spawn(&mut command);
        let line = program.line();
        let base = line.strip_prefix("listening on ").map(str::to_owned);
        let base = base.unwrap_or_else(|| panic!("the daemon does not listen: {line}\n{}", program.log()));
        Self { program, base, _directory: directory }
    }

    /// Its address, `http://127.0.0.1:PORT`.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.program.log()
    }

    /// Status and body of the answer to a document that may be refused.
    pub(crate) fn try_post(&self, path: &str, document: &Value) -> String {
        let mut command = Command::new("curl");
        command.args(["--silent", "--include", "--max-time", "30", "--json", &document.to_string()]);
        let output = command.arg(format!("{}{path}", self.base)).output().expect("apt-get install curl");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// Bytes of memory that it has in use.
    pub(crate) fn resident_bytes(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.pid())).unwrap();
        let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * 4096
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

    /// Answer to the bytes of a file.
    pub(crate) fn upload(&self, path: &str, file: &Path) -> Value {
        let body = format!("@{}", file.display());
        self.json(&["-H", "Content-Type: application/octet-stream", "--data-binary", &body], path)
    }

    /// Answer to a document that replaces another.
    pub(crate) fn put(&self, path: &str, document: &Value) -> Value {
        self.json(&["-X", "PUT", "--json", &document.to_string()], path)
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
        let body = self.curl(arguments, path);
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }
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

    /// What an output of the stream `main` shows of itself.
    pub(crate) fn output(&self, id: &str) -> Value {
        let mut status = self.get("/api/v1/streams/main/status");
        let mut outputs = status["outputs"].as_array_mut().unwrap().iter_mut();
        outputs.find(|output| output["id"] == id).unwrap_or_else(|| panic!("there is no output {id}")).take()
    }

    /// Waits until something is so.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        if until(|| is_so().then_some(())).is_none() {
            panic!("never: {what}: {}\n{}", self.get("/api/v1/streams/main/status"), self.program.log());
        }
    }

    /// Waits until the output has sent this much of the stream.
    pub(crate) fn until_sent(&self, output: &str, duration_ms: u64) {
        let has_sent = || {
            let status = self.get("/api/v1/streams/main/status");
            let outputs = status["outputs"].as_array().unwrap();
            let sent = outputs.iter().find(|found| found["id"] == output)?["outputDuration"].as_u64()?;
            (sent >= duration_ms).then_some(())
        };
        if until(has_sent).is_none() {
            let status = self.get("/api/v1/streams/main/status");
            panic!("output {output} has not sent {duration_ms} ms: {status}\n{}", self.program.log());
        }
    }

    /// Ends it as nothing can be prepared for.
    pub(crate) fn kill(mut self) {
        self.program.signal("KILL");
        self.program.wait();
    }

    /// Ends it as an init system does, and says what it logged; it must end well.
    pub(crate) fn end(mut self) -> String {
        self.program.signal("TERM");
        let status = self.program.wait();
        let log = self.program.log();
        assert!(status.success(), "{status}\n{log}");
        log
    }
}
