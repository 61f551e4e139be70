//! Real servers and tools for integration tests: nginx-rtmp, plain and behind TLS, node-media-server, FFmpeg as a server,
//! ffprobe; files to publish; a proxy that misbehaves and a server that refuses, which are ours.
//!
//! Each server runs on a free port of loopback with a temporary directory of its own, and is ended by its own process id
//! when its value is dropped. A missing program fails the test with the line that installs it; nothing is skipped.
//! Waiting for another process is polling, the one place where tests pause; the pauses decide nothing but the speed.

#![allow(dead_code, reason = "each test crate uses its own part of this module")]

pub(crate) mod certificates;
pub(crate) mod clip;
pub(crate) mod proxy;
pub(crate) mod redis;
pub(crate) mod refuser;

use std::{
    fs, io,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use self::certificates::Identity;

/// Debian packages of the programs used here.
const PACKAGES: &str = "apt-get install ffmpeg nginx libnginx-mod-rtmp libnginx-mod-stream";
const NGINX_RTMP_MODULE: &str = "/usr/lib/nginx/modules/ngx_rtmp_module.so";
const NGINX_STREAM_MODULE: &str = "/usr/lib/nginx/modules/ngx_stream_module.so";
const POLL: Duration = Duration::from_millis(10);
/// Polls before a test is given up: 30 s, far more than any server here needs.
const POLLS_MAX: usize = 3000;

/// Below the ports that the kernel gives to connections and to listeners on port 0.
const PORTS: Range<u16> = 10_000..32_000;

/// A port of loopback that nobody listens on, never the same twice in one process: a server may take its time to bind
/// it while the next test asks for another.
pub(crate) fn free_port() -> u16 {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    // Binaries of tests that run side by side begin far from each other.
    let first = std::process::id() as usize * 97;
    loop {
        let port = PORTS.start + ((first + ASKED.fetch_add(1, Ordering::Relaxed)) % PORTS.len()) as u16;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// What ffprobe says about a file, e.g. with `["-show_packets"]`.
pub(crate) fn ffprobe_json(path: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut command = Command::new("ffprobe");
    command.args(["-v", "error", "-of", "json"]).args(arguments).arg(path);
    serde_json::from_str(&run(&mut command)).unwrap()
}

/// Runs ffmpeg to its end and asserts that it succeeds.
pub(crate) fn ffmpeg(arguments: &[&str]) {
    run(Command::new("ffmpeg").args(["-hide_banner", "-v", "error", "-nostdin", "-y"]).args(arguments));
}

/// nginx-rtmp that records everything published to its application `live`.
#[derive(Debug)]
pub(crate) struct Nginx {
    process: Process,
    directory: TempDir,
    port: u16,
}

impl Nginx {
    /// Starts it and waits until it listens.
    pub(crate) fn start() -> Self {
        assert!(Path::new(NGINX_RTMP_MODULE).exists(), "nginx's RTMP module is missing: {PACKAGES}");
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = directory.path();
        fs::write(path.join("nginx.conf"), nginx_config(path, port)).unwrap();
        let process = Self::run(path, port);
        Self { process, directory, port }
    }

    /// Starts it with a second port, on which it speaks TLS with this certificate.
    pub(crate) fn start_with_tls(identity: &Identity) -> Self {
        assert!(Path::new(NGINX_STREAM_MODULE).exists(), "nginx's stream module is missing: {PACKAGES}");
        let directory = tempfile::tempdir().unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let path = directory.path();
        fs::write(path.join("certificate.pem"), &identity.certificate).unwrap();
        fs::write(path.join("key.pem"), &identity.key).unwrap();
        let config = nginx_config(path, port) + &nginx_tls_config(path, port, tls_port);
        fs::write(path.join("nginx.conf"), format!("load_module {NGINX_STREAM_MODULE};\n{config}")).unwrap();
        let mut process = Self::run(path, port);
        process.wait_until_listening(tls_port);
        Self { process, directory, port: tls_port }
    }

    /// Port of [`Self::address`].
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills it: its connections break. Recordings stay until something is published under the same key.
    pub(crate) fn kill(&mut self) {
        self.process.end();
    }

    /// Starts it again after [`Self::kill`], on the same port.
    pub(crate) fn restart(&mut self) {
        self.process = Self::run(self.directory.path(), self.port);
    }

    fn run(directory: &Path, port: u16) -> Process {
        let (config, log) = (directory.join("nginx.conf"), directory.join("error.log"));
        let mut command = Command::new("nginx");
        command.arg("-e").arg(&log).arg("-p").arg(directory).arg("-c").arg(config);
        let mut process = Process::spawn(&mut command, log);
        process.wait_until_listening(port);
        process
    }

    /// Address of the application; the stream key is given apart.
    pub(crate) fn address(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }

    /// What was published under `key`, as FLV; complete once the publisher's connection is closed.
    pub(crate) fn recording(&self, key: &str) -> PathBuf {
        self.directory.path().join(format!("{key}.flv"))
    }
}

/// One process without a master, so that its id is the only one to end and nobody changes users.
fn nginx_config(directory: &Path, port: u16) -> String {
    let directory = directory.display();
    format!(
        "load_module {NGINX_RTMP_MODULE};
        daemon off;
        master_process off;
        pid {directory}/nginx.pid;
        error_log {directory}/error.log info;
        events {{ worker_connections 64; }}
        rtmp {{
            server {{
                listen 127.0.0.1:{port};
                max_message 8m;
                application live {{
                    live on;
                    wait_key on;
                    record all;
                    record_path {directory};
                }}
            }}
        }}"
    )
}

fn nginx_tls_config(directory: &Path, port: u16, tls_port: u16) -> String {
    let directory = directory.display();
    format!(
        "
        stream {{
            server {{
                listen 127.0.0.1:{tls_port} ssl;
                ssl_certificate {directory}/certificate.pem;
                ssl_certificate_key {directory}/key.pem;
                proxy_pass 127.0.0.1:{port};
            }}
        }}"
    )
}

/// node-media-server, an implementation of RTMP in JavaScript, that records everything published; plain and with TLS.
#[derive(Debug)]
pub(crate) struct NodeMediaServer {
    process: Process,
    directory: TempDir,
    port: u16,
    tls_port: u16,
}

impl NodeMediaServer {
    /// Starts it and waits until it listens.
    pub(crate) fn start(identity: &Identity) -> Self {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/node/node_modules/node-media-server");
        assert!(program.exists(), "node-media-server is missing: npm ci --prefix tests/servers/node");
        let directory = tempfile::tempdir().unwrap();
        let (port, tls_port) = (free_port(), free_port());
        let path = directory.path();
        fs::write(path.join("certificate.pem"), &identity.certificate).unwrap();
        fs::write(path.join("key.pem"), &identity.key).unwrap();
        let config = serde_json::json!({
            "bind": "127.0.0.1",
            "store": { "path": path.join("data"), "maxHistory": 10 },
            "auth": { "play": false, "publish": false, "secret": "x", "jwt": { "secret": "x", "users": [] } },
            "rtmp": { "port": port },
            "rtmps": { "port": tls_port, "key": path.join("key.pem"), "cert": path.join("certificate.pem") },
            "record": { "auto": true, "path": path.join("record") },
        });
        fs::write(path.join("config.json"), config.to_string()).unwrap();
        let mut command = Command::new("node");
        command.arg(program.join("bin/app.js")).arg("--no-admin").arg("-c").arg(path.join("config.json"));
        let mut process = Process::spawn(&mut command, path.join("error.log"));
        process.wait_until_listening(port);
        process.wait_until_listening(tls_port);
        Self { process, directory, port, tls_port }
    }

    /// Address of an application; the stream key is given apart.
    pub(crate) fn address(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }

    /// The same behind TLS.
    pub(crate) fn tls_address(&self) -> String {
        format!("rtmps://localhost:{}/live", self.tls_port)
    }

    /// What was published under `key` so far, as FLV. It keeps a file open for half a minute after the publisher's good-bye,
    /// in case they come back.
    pub(crate) fn recording(&self, key: &str) -> Option<PathBuf> {
        let directory = self.directory.path().join("record/live").join(key);
        let mut files = fs::read_dir(directory).ok()?;
        Some(files.next()?.unwrap().path())
    }
}

/// FFmpeg as a server for one publisher: takes one connection, writes it to a file and ends with it.
#[derive(Debug)]
pub(crate) struct FfmpegListener {
    process: Process,
    directory: TempDir,
    port: u16,
}

impl FfmpegListener {
    /// Starts it for this stream key and waits until it listens.
    pub(crate) fn start(key: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = directory.path();
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-v", "warning", "-nostdin", "-y", "-listen", "1", "-i"]);
        command.arg(format!("rtmp://127.0.0.1:{port}/app/{key}")).args(["-c", "copy"]).arg(path.join("out.flv"));
        let mut process = Process::spawn(&mut command, path.join("error.log"));
        process.wait_until_listening(port);
        Self { process, directory, port }
    }

    /// Address of the application; the stream key is given apart.
    pub(crate) fn address(&self) -> String {
        format!("rtmp://127.0.0.1:{}/app", self.port)
    }

    /// Waits for its end, which the publisher's good-bye brings about; returns what it wrote, as FLV.
    pub(crate) fn finish(&mut self) -> PathBuf {
        let status = self.process.wait();
        assert!(status.success(), "ffmpeg: {status}\n{}", self.process.log());
        self.directory.path().join("out.flv")
    }
}

/// FFmpeg as a server for one publisher that hands on its pictures as they come, as FLV.
#[derive(Debug)]
pub(crate) struct Forwarder {
    process: Process,
    _directory: TempDir,
    url: String,
}

impl Forwarder {
    /// Starts it for this stream key and waits until it listens.
    pub(crate) fn start(key: &str) -> Self {
        let (directory, port) = (tempfile::tempdir().unwrap(), free_port());
        let url = format!("rtmp://127.0.0.1:{port}/app/{key}");
        let mut command = Command::new("ffmpeg");
        command.args(["-hide_banner", "-v", "warning", "-nostdin", "-fflags", "nobuffer", "-listen", "1", "-i", &url]);
        command.args([
            "-c",
            "copy",
            "-an",
            "-flush_packets",
            "1",
            "-f",
            "flv",
            "-flvflags",
            "no_duration_filesize",
            "-",
        ]);
        let mut process = Process::spawn_with(&mut command, directory.path().join("error.log"), Stdio::piped());
        process.wait_until_listening(port);
        Self { process, _directory: directory, url }
    }

    /// Where to publish, with the key.
    pub(crate) fn url(&self) -> String {
        self.url.clone()
    }

    /// What it hands on; once.
    pub(crate) fn output(&mut self) -> ChildStdout {
        self.process.child.stdout.take().expect("nobody has it yet")
    }

    /// Waits for its end, which the publisher's good-bye brings about.
    pub(crate) fn finish(&mut self) {
        let status = self.process.wait();
        assert!(status.success(), "ffmpeg: {status}\n{}", self.process.log());
    }
}

/// A child that does not outlive its value.
#[derive(Debug)]
struct Process {
    child: Child,
    log: PathBuf,
}

/// Waits until a server is as it should be.
fn poll(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..POLLS_MAX {
        if is_so() {
            return;
        }
        thread::sleep(POLL);
    }
    panic!("never: {what}");
}

impl Process {
    fn spawn(command: &mut Command, log: PathBuf) -> Self {
        Self::spawn_with(command, log, Stdio::null())
    }

    fn spawn_with(command: &mut Command, log: PathBuf, stdout: Stdio) -> Self {
        let output = fs::File::create(&log).unwrap();
        command.stdin(Stdio::null()).stdout(stdout).stderr(output);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}", cannot_run(command, &error)));
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn wait_until_listening(&mut self, port: u16) {
        for _ in 0..POLLS_MAX {
            if is_listening(self.child.id(), port) {
                return;
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("server ended before it listened: {status}\n{}", self.log());
            }
            thread::sleep(POLL);
        }
        panic!("server does not listen on port {port}\n{}", self.log());
    }

    fn wait(&mut self) -> ExitStatus {
        for _ in 0..POLLS_MAX {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(POLL);
        }
        panic!("process does not end\n{}", self.log());
    }

    fn end(&mut self) {
        // Both fail only for a process that has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether this process listens on this port of 127.0.0.1. Asked of the kernel, since a connection to try it would be the
/// only one that FFmpeg takes.
fn is_listening(process: u32, port: u16) -> bool {
    const LISTEN: &str = "0A";
    let local = format!("0100007F:{port:04X}");
    let table = fs::read_to_string("/proc/net/tcp").unwrap();
    // Of a line: its number, both addresses, the state, five more, the inode.
    table.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>()).any(|fields| {
        fields[1] == local && fields[3] == LISTEN && has_open(process, &format!("socket:[{}]", fields[9]))
    })
}

/// Whether one of its file descriptors is this.
fn has_open(process: u32, what: &str) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{process}/fd")) else { return false };
    files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| target == Path::new(what)))
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{}", cannot_run(command, &error)));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn cannot_run(command: &Command, error: &io::Error) -> String {
    format!("cannot run {:?}: {error}; install it with: {PACKAGES}", command.get_program())
}
