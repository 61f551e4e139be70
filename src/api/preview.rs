//! `.../program.jpg` and `.../program.mjpeg`: the picture on air for those who look on.
//!
//! ```text
//!  GET .../program.jpg?width=640&quality=70            one JPEG
//!  GET .../program.mjpeg?width=640&quality=70&fps=10   multipart/x-mixed-replace: one after the other, for as long as it runs
//! ```
//!
//! `width` is never more than the canvas has, without it the picture is as large as the canvas; the shape stays. A picture
//! that stands still is sent again from time to time, so that who has gone away is noticed, but not made again. Nothing
//! queues: each part is of the newest picture there is when the one before it has left; a client that takes nothing for
//! 10 s is cut off. The same pictures come over the WebSocket (`events`).

#![allow(unused_qualifications, reason = "`utoipa::path` names the types of queries anew")]

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
};
use serde::Deserialize;
use tokio::{
    io::{AsyncWriteExt, DuplexStream, duplex},
    time::{Instant, sleep_until, timeout},
};
use tokio_util::codec::{BytesCodec, FramedRead};
use utoipa::IntoParams;

use super::{
    Answer, App,
    pace::Pace,
    path::{Path, Query},
    problem::Problem,
};
use crate::{
    base::size::{LONG_SIDE_MAX, SIDE_MIN},
    pipeline::{Look, NoShot, Shot, Unseen, Watch},
    scene::check::{Check, Problems},
};

const QUALITIES: RangeInclusive<f64> = 1.0..=100.0;
const QUALITY_DEFAULT: u32 = 70;
/// Pictures a second.
const RATES: RangeInclusive<f64> = 0.2..=30.0;
const RATE_DEFAULT: f64 = 10.0;
/// What lies between this side and a client; its connection has buffers of its own.
const PIPE_LEN: usize = 64 << 10;
/// How long a part may take to leave.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// After how long a picture that stands still is sent again.
const STILL_INTERVAL: Duration = Duration::from_secs(5);
/// What separates the parts.
const BOUNDARY: &str = "frame";

/// What a client wants to see, and how often, as it says it.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Viewing {
    #[param(minimum = 16, maximum = 3840)]
    width: Option<u32>,
    #[param(minimum = 1, maximum = 100)]
    quality: Option<u32>,
    #[param(minimum = 0.2, maximum = 30)]
    fps: Option<f64>,
}

impl Viewing {
    /// What is said here, or what holds where nothing is said.
    pub(super) fn new(width: Option<u32>, quality: Option<u32>, fps: Option<f64>) -> Self {
        Self { width, quality, fps }
    }

    /// In what way, and how often a second.
    pub(super) fn check(self) -> Result<(Look, f64), Problems> {
        let (width, quality) = (self.width.unwrap_or(LONG_SIDE_MAX), self.quality.unwrap_or(QUALITY_DEFAULT));
        let fps = self.fps.unwrap_or(RATE_DEFAULT);
        let mut check = Check::default();
        check.range("/width", f64::from(width), f64::from(SIDE_MIN)..=f64::from(LONG_SIDE_MAX));
        check.range("/quality", f64::from(quality), QUALITIES);
        check.range("/fps", fps, RATES);
        check.finish().map(|()| (Look { width, quality: quality as u8 }, fps))
    }
}

/// What may stand behind the `?` of a JPEG.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Still {
    #[param(minimum = 16, maximum = 3840)]
    width: Option<u32>,
    #[param(minimum = 1, maximum = 100)]
    quality: Option<u32>,
    /// Anything: another address, so that a browser does not show the picture that it has.
    #[serde(default, rename = "t")]
    _t: Option<String>,
}

/// Gives the picture on air as a JPEG.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/program.jpg",
    params(Still),
    responses((status = 200, description = "What there is.", content_type = "image/jpeg", body = Vec<u8>))
)]
pub(super) async fn program_jpg(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(Still { width, quality, .. }): Query<Still>,
) -> Answer {
    let (look, _) = Viewing::new(width, quality, None).check().map_err(bad_query)?;
    let shot = app.streams.watch(&id, look)?.next().await.map_err(no_picture)?;
    // The first time it is asked there is one, or a reason why not.
    let shot = shot.ok_or_else(|| no_picture(Unseen::Yet.into()))?;
    Ok(([(header::CONTENT_TYPE, "image/jpeg"), (header::CACHE_CONTROL, "no-store")], shot.jpeg.clone()).into_response())
}

/// Shows the pictures on air as they come, as motion JPEG.
#[utoipa::path(
    get, path = "/api/v1/streams/{id}/program.mjpeg",
    params(Viewing),
    responses((status = 200, description = "What there is.", content_type = "multipart/x-mixed-replace", body = Vec<u8>))
)]
pub(super) async fn program_mjpeg(
    State(app): State<App>,
    Path(id): Path<String>,
    Query(viewing): Query<Viewing>,
) -> Answer {
    let (look, fps) = viewing.check().map_err(bad_query)?;
    let watch = app.streams.watch(&id, look)?;
    let (pipe, out) = duplex(PIPE_LEN);
    let pace = Pace::new(&*app.streams.services().clock, Duration::from_secs_f64(1.0 / fps));
    // Ends with the client, with the stream, or when the client takes nothing.
    tokio::spawn(film(watch, pace, pipe));
    let kind = format!("multipart/x-mixed-replace; boundary={BOUNDARY}");
    let body = Body::from_stream(FramedRead::new(out, BytesCodec::new()));
    Ok(([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store".into())], body).into_response())
}

/// Sends pictures until the stream ends or the client does; an end is all that there is to be told.
async fn film(mut watch: Watch, mut pace: Pace, mut pipe: DuplexStream) -> std::io::Result<()> {
    let (mut last, mut sent_at) = (None, Instant::now());
    send(&mut pipe, format!("--{BOUNDARY}\r\n").as_bytes()).await?;
    loop {
        sleep_until(pace.due()).await;
        pace.is_due();
        match watch.next().await {
            Ok(Some(shot)) => last = Some(shot),
            Ok(None) if sent_at.elapsed() < STILL_INTERVAL => continue,
            Ok(None) => {}
            Err(NoShot::Unseen(Unseen::Yet)) => continue,
            Err(_) => return Ok(()),
        }
        if let Some(shot) = &last {
            send(&mut pipe, &part(shot)).await?;
            sent_at = Instant::now();
        }
    }
}

/// A part, with the boundary that ends it: browsers show a picture when they see that.
fn part(shot: &Arc<Shot>) -> Vec<u8> {
    let Shot { frame, jpeg, .. } = &**shot;
    let head = format!("Content-Type: image/jpeg\r\nContent-Length: {}\r\nX-Frame: {frame}\r\n\r\n", jpeg.len());
    [head.as_bytes(), jpeg, format!("\r\n--{BOUNDARY}\r\n").as_bytes()].concat()
}

async fn send(pipe: &mut DuplexStream, bytes: &[u8]) -> std::io::Result<()> {
    timeout(SEND_TIMEOUT, pipe.write_all(bytes)).await?
}

fn bad_query(problems: Problems) -> Problem {
    let said: Vec<_> =
        problems.0.iter().map(|p| format!("{}: {}", p.pointer.trim_start_matches('/'), p.message)).collect();
    Problem::new(StatusCode::BAD_REQUEST, "bad_query", said.join("; "))
}

fn no_picture(error: NoShot) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no_picture", error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_in_range_and_the_rest_is_the_default() {
        let check = |width, quality, fps| Viewing::new(width, quality, fps).check();
        assert_eq!(check(None, None, None), Ok((Look { width: 3840, quality: 70 }, 10.0)));
        assert_eq!(check(Some(640), Some(1), Some(0.5)), Ok((Look { width: 640, quality: 1 }, 0.5)));
        for (wrong, pointer) in [
            (check(Some(15), None, None), "/width"),
            (check(Some(4000), None, None), "/width"),
            (check(None, Some(0), None), "/quality"),
            (check(None, Some(u32::MAX), None), "/quality"),
            (check(None, None, Some(f64::NAN)), "/fps"),
            (check(None, None, Some(31.0)), "/fps"),
        ] {
            assert_eq!(wrong.unwrap_err().0[0].pointer, pointer);
        }
    }
}
