//! Coming and going leaves nothing behind: after two hundred connections to a real server, plain and with TLS, ended by
//! good-byes and by resets in turn, the process has as many tasks and files open as before, and no more memory.
//!
//! Alone in its program, so that what it measures is its own.

mod servers;

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use servers::{
    Nginx,
    certificates::Authority,
    proxy::{Fault, Proxy},
};
use stream_manager::{
    base::{id::Id, secret::Secret},
    flv,
    output::{Headers, Kind, Limits, Network, Output, Packet, Spec, State, tls::Tls},
    rtmp::Endpoint,
};
use tokio::{runtime::Handle, time::timeout};

/// Connections after which all that is kept for good is there: buffers of the allocator, threads of the resolver.
const WARM: usize = 40;
const CYCLES: usize = 200;
/// What the process may grow in between, in bytes. A connection that stayed would be some 100 KiB each time, 20 MiB in all.
const GROWTH_MAX: usize = 2 << 20;

#[derive(Debug)]
struct Usage {
    files: usize,
    tasks: usize,
    bytes: usize,
}

impl Usage {
    fn now() -> Self {
        let statm = fs::read_to_string("/proc/self/statm").unwrap();
        let pages: usize = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
        Self {
            files: fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: Handle::current().metrics().num_alive_tasks(),
            bytes: pages * 4096,
        }
    }
}

fn picture() -> Packet {
    let body = flv::video_access_unit(true, 0, Bytes::from_static(&[0, 0, 0, 1, 0x65]));
    Packet { kind: Kind::Video { is_key: true }, dts_ms: 0, body }
}

async fn reach(output: &Output, is_it: impl FnMut(&State) -> bool) {
    let reached = timeout(Duration::from_secs(30), output.states().wait_for(is_it)).await.map(|state| state.is_ok());
    assert_eq!(reached, Ok(true), "{:?}", output.stats());
}

#[tokio::test]
async fn two_hundred_connections_leave_nothing_behind() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("a private authority");
    let path = directory.path().join("authority.pem");
    fs::write(&path, &authority.certificate).unwrap();
    let network = Network { runtime: Handle::current(), tls: Tls::open(&[path]).unwrap() };
    let (plain, secure) = (Nginx::start(), Nginx::start_with_tls(&authority.issue("localhost")));
    let before = |nginx: &Nginx| Proxy::start(nginx.port(), Fault::None);
    let networks = [(before(&plain), "rtmp"), (before(&secure), "rtmps")];
    let mut warm = None;
    for cycle in 0..WARM + CYCLES {
        if cycle == WARM {
            warm = Some(Usage::now());
        }
        let (proxy, scheme) = &networks[cycle % 2];
        let address = format!("{scheme}://localhost:{}/live", proxy.port());
        let destination = Endpoint::with_key_apart(&address, &Secret::new(format!("key-{cycle}"))).unwrap();
        let headers = Headers { metadata: Bytes::new(), video: Bytes::new(), audio: Bytes::new() };
        let spec = Spec::new(Id::new("output").unwrap(), destination, Limits::default());
        let output = Output::spawn(&network, spec, Arc::new(headers));
        reach(&output, |state| *state == State::Publishing).await;
        output.push(&picture());
        if cycle % 4 < 2 {
            proxy.set(Fault::Reset);
            output.push(&picture());
            reach(&output, |state| *state != State::Publishing).await;
            proxy.set(Fault::None);
        }
        output.stop().await;
    }
    let (warm, now) = (warm.unwrap(), Usage::now());
    assert!(now.tasks <= warm.tasks && now.files <= warm.files, "{now:?} after {warm:?}");
    assert!(now.bytes <= warm.bytes + GROWTH_MAX, "{now:?} after {warm:?}");
}
