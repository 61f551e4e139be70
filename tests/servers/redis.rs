//! Real Redis servers: plain, behind TLS, and a Sentinel; each ended by its own process id.

use std::{fs, path::Path, process::Command};

use tempfile::TempDir;

use super::{Process, certificates::Identity, free_port, poll, run};

/// A Redis that keeps nothing on disk.
#[derive(Debug)]
pub(crate) struct Redis {
    process: Process,
    directory: TempDir,
    port: u16,
    tls_port: Option<u16>,
}

impl Redis {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// Starts it with a second port, on which it speaks TLS with this certificate.
    pub(crate) fn start_with_tls(identity: &Identity) -> Self {
        Self::with(Some(identity))
    }

    fn with(identity: Option<&Identity>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (port, tls_port) = (free_port(), identity.map(|_| free_port()));
        if let Some(identity) = identity {
            fs::write(directory.path().join("certificate.pem"), &identity.certificate).unwrap();
            fs::write(directory.path().join("key.pem"), &identity.key).unwrap();
        }
        let process = Self::spawn(directory.path(), port, tls_port);
        Self { process, directory, port, tls_port }
    }

    fn spawn(directory: &Path, port: u16, tls_port: Option<u16>) -> Process {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]).arg("--dir").arg(directory);
        command.args(["--port", &port.to_string()]).arg("--unixsocket").arg(directory.join("socket"));
        if let Some(tls_port) = tls_port {
            command.args(["--tls-port", &tls_port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(directory.join("certificate.pem"));
            command.arg("--tls-key-file").arg(directory.join("key.pem"));
            command.arg("--tls-ca-cert-file").arg(directory.join("certificate.pem"));
        }
        let mut process = Process::spawn(&mut command, directory.join("error.log"));
        process.wait_until_listening(port);
        process
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The same behind TLS, by the name of its certificate.
    pub(crate) fn tls_url(&self) -> String {
        format!("rediss://localhost:{}", self.tls_port.expect("it was started with TLS"))
    }

    /// The same over a socket of the machine.
    pub(crate) fn socket_url(&self) -> String {
        format!("unix://{}", self.directory.path().join("socket").display())
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it; all that it had is lost.
    pub(crate) fn kill(&mut self) {
        self.process.end();
    }

    /// Starts it again after [`Self::kill`], on the same port, with nothing in it.
    pub(crate) fn restart(&mut self) {
        self.process = Self::spawn(self.directory.path(), self.port, self.tls_port);
    }

    /// What it answers to a command.
    pub(crate) fn ask(&self, command: &[&str]) -> String {
        ask(self.port, command)
    }

    /// Starts one that follows `master` and has all that it has.
    pub(crate) fn start_replica(master: &Self) -> Self {
        let replica = Self::start();
        master.ask(&["CONFIG", "SET", "repl-diskless-sync-delay", "0"]);
        replica.ask(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
        poll("the replica follows", || replica.ask(&["INFO", "replication"]).contains("master_link_status:up"));
        replica
    }
}

fn ask(port: u16, command: &[&str]) -> String {
    run(Command::new("redis-cli").args(["-p", &port.to_string()]).args(command)).trim().to_owned()
}

/// A Sentinel that watches one Redis, under the name `main`.
#[derive(Debug)]
pub(crate) struct Sentinel {
    _process: Process,
    _directory: TempDir,
    port: u16,
}

impl Sentinel {
    pub(crate) fn start(master: &Redis) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = directory.path().join("sentinel.conf");
        let monitor = format!("sentinel monitor main 127.0.0.1 {} 1", master.port);
        // Soon sure that a server is gone.
        let haste = "sentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000";
        fs::write(&config, format!("port {port}\nbind 127.0.0.1\n{monitor}\n{haste}\n")).unwrap();
        let mut command = Command::new("redis-server");
        let mut process = Process::spawn(command.arg(config).arg("--sentinel"), directory.path().join("error.log"));
        process.wait_until_listening(port);
        Self { _process: process, _directory: directory, port }
    }

    /// Waits until it knows of a replica that may stand in.
    pub(crate) fn until_it_knows_a_replica(&self) {
        let knows = || ask(self.port, &["SENTINEL", "REPLICAS", "main"]).contains("master-link-status\nok");
        poll("the Sentinel knows the replica", knows);
    }

    /// Address of the Redis that it watches.
    pub(crate) fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}#main", self.port)
    }
}
