//! The program as a child: run to its end, or kept running and ended by a signal.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
};

use tempfile::TempDir;

use super::until;

/// What a run that has ended left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Ended with this exit code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Ended with this exit code, and its messages name each of `words`.
    #[track_caller]
    pub(crate) fn says(self, code: i32, words: &[&str]) {
        let ended = self.expect(code);
        let missing: Vec<_> = words.iter().filter(|word| !ended.stderr.contains(**word)).collect();
        assert!(missing.is_empty(), "not said: {missing:?}\n{}", ended.stderr);
    }
}

/// The program with these arguments, in an environment that has no say.
pub(crate) fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stream-manager"));
    command.args(arguments).current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("STREAM_MANAGER_")) {
        command.env_remove(name);
    }
    // Mesa's device-select layer talks to a display server, and complains when there is none.
    command.env("NODEVICE_SELECT", "1").env("XDG_RUNTIME_DIR", directory);
    command.env("STREAM_MANAGER_DATA_DIR", directory.join("data"));
    command
}

/// Runs the program to its end in `directory`.
pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ended {
    finish(&mut command(directory, arguments))
}

/// Runs a command to its end; one that does not end is killed and fails the test.
pub(crate) fn finish(command: &mut Command) -> Ended {
    let mut running = Running::spawn(command);
    let status = running.wait();
    let mut stdout = String::new();
    running.stdout.read_line(&mut stdout).unwrap();
    while running.stdout.read_line(&mut stdout).unwrap() > 0 {}
    Ended { status, stdout, stderr: running.log() }
}

/// A child that does not outlive its value.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    directory: TempDir,
}

impl Running {
    /// Starts a command.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let log = File::create(Self::log_in(&directory)).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout, directory }
    }

    fn log_in(directory: &TempDir) -> PathBuf {
        directory.path().join("stderr")
    }

    /// What it has said on standard error so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(Self::log_in(&self.directory)).unwrap()
    }

    /// Its next line on standard output; empty when it has closed it.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal, by its own id.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success(), "kill -s {name}: {sent}");
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let ended = until(|| self.child.try_wait().unwrap());
        ended.unwrap_or_else(|| panic!("the program does not end\n{}", self.log()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
