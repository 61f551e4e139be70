//! Uploaded files over HTTP: what comes in and what is refused, what uses them, what goes; and that what was uploaded is
//! seen in the picture.
//!
//! Requests go to the daemon's router; the files lie in a real directory, the streams are real ones.

mod support;

use std::io::Cursor;

use axum::{
    body::Body,
    http::{Request, header},
};
use futures_util::stream;
use image::{ImageFormat, Rgba, RgbaImage};
use serde_json::{Value, json};
use stream_manager::{base::digest::Digest, state::assets::Limits};
use support::{
    api::{Answer, Api},
    pictures::png_that_claims,
};

const ASSETS: &str = "/api/v1/assets";

/// A picture that no other test has.
fn picture(width: u32, height: u32, rgb: [u8; 3]) -> Vec<u8> {
    let [r, g, b] = rgb;
    let mut bytes = Vec::new();
    RgbaImage::from_pixel(width, height, Rgba([r, g, b, 255]))
        .write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)
        .unwrap();
    bytes
}

fn path(bytes: &[u8]) -> String {
    format!("{ASSETS}/{}", Digest::of(bytes))
}

async fn put(api: &Api, bytes: &[u8]) -> Answer {
    api.send("PUT", &path(bytes), "application/octet-stream", bytes.to_vec()).await
}

/// A form with these parts: a name, a file's name if it is one, the content.
async fn form(api: &Api, parts: &[(&str, Option<&str>, &[u8])]) -> Answer {
    let mut body = Vec::new();
    for (name, file, content) in parts {
        let file = file.map(|file| format!("; filename=\"{file}\"")).unwrap_or_default();
        let head = format!(
            "--frontier\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\nContent-Type: text/html\r\n\r\n"
        );
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--frontier--\r\n");
    api.send("POST", ASSETS, "multipart/form-data; boundary=frontier", body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_kept_once_under_its_digest() {
    let api = Api::apart(Limits::default());
    let bytes = picture(9, 4, [1, 2, 3]);
    let id = Digest::of(&bytes).to_string();
    let created = form(&api, &[("tags", None, b"news, sport"), ("file", Some("C:\\pics\\bug.png"), &bytes)]).await;
    let asset = created.expect(201)["asset"].clone();
    assert_eq!(created.headers[header::LOCATION], path(&bytes));
    assert_eq!(
        (&asset["id"], &asset["kind"], &asset["mediaType"], &asset["name"], &asset["tags"]),
        (&json!(id), &json!("picture"), &json!("image/png"), &json!("bug.png"), &json!(["news", "sport"]))
    );
    assert_eq!((&asset["width"], &asset["height"], &asset["frames"]), (&json!(9), &json!(4), &json!(1)));
    // Whoever brings it again, and however, has brought what is there.
    let again = api.send("POST", &format!("{ASSETS}?name=other.jpg"), "image/jpeg", bytes.clone()).await.expect(200);
    assert_eq!((&again["isNew"], &again["asset"]), (&json!(false), &asset));
    assert_eq!(put(&api, &bytes).await.expect(200)["isNew"], false);
    assert_eq!(api.get(ASSETS).await.expect(200)["amount"]["count"], 1);

    let found =
        async |query: &str| api.get(&format!("{ASSETS}?{query}")).await.expect(200)["assets"].as_array().unwrap().len();
    assert_eq!(
        [found("kind=picture&tag=news&q=BUG").await, found("kind=audio").await, found("tag=x").await],
        [1, 0, 0]
    );
    api.get(&format!("{ASSETS}?kin=picture")).await.problem(400, "bad_query");

    let patched = api.patch(&path(&bytes), json!({ "name": "Bug", "tags": ["x"] })).await.expect(200);
    assert_eq!((&patched["asset"]["name"], &patched["asset"]["tags"]), (&json!("Bug"), &json!(["x"])));
    api.patch(&path(&bytes), json!({ "kind": "font" })).await.refused("/kind", &["name", "tags"]);
    assert_eq!(api.delete(&path(&bytes)).await.status, 204);
    api.get(&path(&bytes)).await.problem(404, "not_found");
    assert_eq!(
        api.get(ASSETS).await.expect(200)["amount"],
        json!({ "count": 0, "bytes": 0, "quotaBytes": 8u64 << 30 })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn contents_are_answered_as_what_they_are_and_not_as_pages() {
    let api = Api::apart(Limits::default());
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' width='8' height='8'><script>alert(1)</script></svg>";
    put(&api, svg).await.expect(201);
    let content = api.get(&format!("{}/content", path(svg))).await;
    assert_eq!((content.status, &content.body[..]), (200, &svg[..]));
    let head = |name: &str| content.headers[name].to_str().unwrap();
    assert_eq!((head("content-type"), head("x-content-type-options")), ("image/svg+xml", "nosniff"));
    assert!(head("content-disposition").starts_with("attachment"));
    assert_eq!(head("content-security-policy"), "default-src 'none'; sandbox");
    let asked = async |name: &str, value: &str| {
        let request = Request::get(format!("{}/content", path(svg))).header(name, value);
        api.answer(request.body(Body::empty()).unwrap()).await
    };
    let known = asked("if-none-match", head("etag")).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    for (range, status, part) in [
        ("bytes=0-3", 206, &svg[..4]),
        ("bytes=4-", 206, &svg[4..]),
        ("bytes=-6", 206, &svg[svg.len() - 6..]),
        ("bytes=0-999", 206, &svg[..]),
        ("pages=1-2", 200, &svg[..]),
        ("bytes=5-2", 200, &svg[..]),
    ] {
        let answer = asked("range", range).await;
        assert_eq!((answer.status, &answer.body[..]), (status, part), "{range}");
    }
    asked("range", "bytes=999-").await.problem(416, "bad_range");

    let wide = picture(1000, 100, [9, 8, 7]);
    put(&api, &wide).await.expect(201);
    for _ in 0..2 {
        let small = api.get(&format!("{}/thumbnail", path(&wide))).await;
        let small = image::load_from_memory(&small.body).unwrap().to_rgba8();
        assert_eq!((small.dimensions(), small.get_pixel(3, 3).0), ((320, 32), [9, 8, 7, 255]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_asset_is_refused_and_leaves_nothing() {
    let api = Api::apart(Limits::default());
    let post = async |kind: &str, bytes: &[u8]| api.send("POST", ASSETS, kind, bytes.to_vec()).await;
    for page in [&b"<html><svg/></html>"[..], b"#!/bin/sh\necho", b"\x7fELF\x02", b"MZ\x90", b"", b"PK\x03\x04"] {
        post("image/png", page).await.problem(415, "unknown_format");
    }
    let whole = picture(30, 30, [3, 3, 3]);
    for (bytes, words) in [
        (whole[..whole.len() / 2].to_vec(), "cannot be decoded"),
        (png_that_claims(60_000, 60_000), "60000x60000 pixels"),
        (b"LUT_3D_SIZE 2\n1 1 1".to_vec(), "8"),
        (b"OTTO no font".to_vec(), "no font that can be read"),
        (b"RIFF\x04\0\0\0WAVE".to_vec(), "no sound"),
        (format!("fn shade {}", "x".repeat(20_000)).into_bytes(), "16384"),
        (b"<svg><!ENTITY</svg>".to_vec(), "SVG"),
    ] {
        let problem = post("application/octet-stream", &bytes).await.problem(422, "invalid_asset");
        assert!(problem["detail"].as_str().unwrap().contains(words), "{problem}");
    }
    let lied = api.send("PUT", &path(b"another"), "image/png", whole.clone()).await;
    lied.problem(422, "other_content");
    for bad in ["sha256:..%2F..%2Fetc%2Fpasswd", "..%2F..%2Fetc%2Fpasswd", "sha256:", "a.png", "%00"] {
        api.send("PUT", &format!("{ASSETS}/{bad}"), "image/png", whole.clone()).await.problem(400, "bad_path");
        for path in [format!("{ASSETS}/{bad}"), format!("{ASSETS}/{bad}/content"), format!("{ASSETS}/{bad}/thumbnail")]
        {
            api.get(&path).await.problem(404, "not_found");
        }
    }
    form(&api, &[("name", None, b"x")]).await.problem(400, "bad_form");
    form(&api, &[("nmae", None, b"x")]).await.problem(400, "bad_form");
    form(&api, &[("name", None, &[b'x'; 5000])]).await.problem(413, "too_large");
    form(&api, &[("name", None, b"\xff")]).await.problem(400, "bad_form");
    form(&api, &[("tags", None, &[b'x'; 100]), ("file", None, &whole)]).await.refused("/tags", &["64 bytes"]);
    api.send("POST", ASSETS, "multipart/form-data", "x").await.problem(400, "bad_form");
    // One that breaks off.
    let pieces = [Ok(whole[..50].to_vec()), Err(std::io::Error::other("gone"))];
    let request = Request::post(ASSETS).body(Body::from_stream(stream::iter(pieces))).unwrap();
    api.answer(request).await.problem(400, "bad_body");
    assert_eq!(api.get(ASSETS).await.expect(200)["amount"]["bytes"], 0);
    assert_eq!(api.vault.list().unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_room_for_so_much_and_no_more() {
    let one = picture(40, 40, [1, 0, 0]);
    let size = one.len() as u64;
    let api = Api::apart(Limits { quota_bytes: 2 * size, upload_bytes_max: size + 20, uploads_max: 1 });
    // More than one may have, said beforehand or not.
    let long = vec![b'x'; size as usize + 21];
    api.send("POST", ASSETS, "image/png", long.clone()).await.problem(413, "too_large");
    let endless =
        stream::iter(long.chunks(10).map(|piece| Ok::<_, std::io::Error>(piece.to_vec())).collect::<Vec<_>>());
    api.answer(Request::post(ASSETS).body(Body::from_stream(endless)).unwrap()).await.problem(413, "too_large");
    // More than all may have; what is there twice takes room once.
    put(&api, &one).await.expect(201);
    put(&api, &one).await.expect(200);
    let mut other = picture(40, 40, [2, 0, 0]);
    let length = other.len() as u64;
    put(&api, &other).await.expect(201);
    other = picture(8, 8, [3, 0, 0]);
    let full = put(&api, &other).await.problem(507, "quota_exceeded");
    assert!(full["detail"].as_str().unwrap().contains("collect"), "{full}");
    // Nothing uses them.
    let collect = async |body: Value| api.post(&format!("{ASSETS}/collect"), body).await.expect(200);
    assert_eq!(collect(json!({})).await["collected"], json!([]), "they are younger than a day");
    let dry = collect(json!({ "olderThanMs": 0, "dryRun": true })).await;
    assert_eq!((dry["collected"].as_array().unwrap().len(), &dry["bytes"]), (2, &json!(size + length)));
    assert_eq!(api.get(ASSETS).await.expect(200)["amount"]["count"], 2);
    collect(json!({ "olderThanMs": 0 })).await;
    put(&api, &other).await.expect(201);
    api.post(&format!("{ASSETS}/collect"), json!({ "olderThanMs": -1 })).await.refused("/olderThanMs", &["0"]);
}

/// What was uploaded is seen; what is seen is not deleted by mistake; what is insisted on is.
#[tokio::test(flavor = "multi_thread")]
async fn uploads_are_on_air_and_guarded() {
    let bytes = picture(8, 8, [10, 200, 30]);
    let id = Digest::of(&bytes).to_string();
    let layer =
        json!({ "id": "a", "transform": { "width": 64, "height": 64 }, "content": { "type": "image", "asset": id } });
    let canvas = json!({ "width": 64, "height": 64, "fps": "25" });
    let api = Api::apart(Limits::default());
    let stream = json!({ "id": "main", "canvas": canvas, "encoder": { "bitrateKbps": 200 } });
    api.post("/api/v1/streams", stream).await.expect(201);
    let layers = "/api/v1/streams/main/layers";
    api.post(layers, layer.clone()).await.refused("/content", &["never uploaded"]);
    put(&api, &bytes).await.expect(201);
    api.post(layers, layer).await.expect(201);
    api.shows("main", 32, 32, [10, 200, 30]).await;

    let used = api.get(&path(&bytes)).await.expect(200)["usedAt"].clone();
    assert_eq!(used[0]["stream"], "main");
    assert!(used[0]["pointer"].as_str().unwrap().ends_with("/layers/0/content/asset"), "{used}");
    api.delete(&path(&bytes)).await.problem(409, "in_use");
    let kept = api.post(&format!("{ASSETS}/collect"), json!({ "olderThanMs": 0 })).await.expect(200);
    assert_eq!(kept["collected"], json!([]));
    assert_eq!(api.delete(&format!("{}?force=true", path(&bytes))).await.status, 204);
    api.get(&path(&bytes)).await.problem(404, "not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_shader_can_be_named() {
    let text = b"fn shade(in: ShadeInput) -> vec4f { return vec4f(params.red, 0.0, 1.0, 1.0); }";
    let canvas = json!({ "width": 64, "height": 64, "fps": "25" });
    let api = Api::apart(Limits::default());
    let stream = json!({ "id": "main", "canvas": canvas, "encoder": { "bitrateKbps": 200 } });
    api.post("/api/v1/streams", stream).await.expect(201);
    let content = json!({ "type": "shader", "source": Digest::of(text).to_string(), "params": { "red": 1 } });
    let layer = json!({ "id": "s", "content": content });
    let refused = api.post("/api/v1/streams/main/layers", layer.clone()).await;
    refused.refused("/content/source", &["never uploaded as a shader"]);
    assert_eq!(put(&api, text).await.expect(201)["asset"]["kind"], "shader");
    api.post("/api/v1/streams/main/layers", layer).await.expect(201);
    api.shows("main", 32, 32, [255, 0, 255]).await;
}

/// A bundled font under a name of its own: in UTF-16, as fonts have theirs.
fn font(name: &str) -> Vec<u8> {
    let mut font = include_bytes!("../assets/fonts/playfair-display/PlayfairDisplay-Regular.ttf").to_vec();
    let wide = |name: &str| name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    let (old, new) = (wide("Playfair"), wide(name));
    let places: Vec<_> = (0..font.len() - old.len()).filter(|at| font[*at..].starts_with(&old)).collect();
    assert!(!places.is_empty() && old.len() == new.len());
    places.into_iter().for_each(|at| font[at..at + new.len()].copy_from_slice(&new));
    font
}

/// A text is refused a family that is not there, is set in it once it is, and goes on when it is taken away.
#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_font_is_seen() {
    let api = Api::apart(Limits::default());
    let text = |family: &str| {
        let content = json!({ "type": "text", "text": "Heldenplatz", "font": family, "size": 40, "color": "#ffffff" });
        json!({ "id": "t", "content": content })
    };
    let canvas = json!({ "width": 320, "height": 64, "fps": "25" });
    let stream = json!({ "id": "main", "canvas": canvas, "encoder": { "bitrateKbps": 200 }, "layers": [text("Playfair Display")] });
    api.post("/api/v1/streams", stream).await.expect(201);
    let layer = "/api/v1/streams/main/layers/t";
    let set = async |family: &str| {
        api.put(layer, text(family)).await.expect(200);
        api.until_encoded("main", 5).await;
        api.picture("main").await
    };
    let playfair = set("Playfair Display").await;
    assert_ne!(set("Inter").await, playfair);
    api.put(layer, text("Heldentz Display")).await.refused("/content/font", &["Heldentz Display"]);
    let bytes = font("Heldentz");
    let asset = put(&api, &bytes).await.expect(201)["asset"].clone();
    assert_eq!((&asset["kind"], &asset["families"]), (&json!("font"), &json!(["Heldentz Display"])));
    assert_eq!(set("heldentz display").await, playfair, "the same signs under another name");
    api.delete(&path(&bytes)).await.problem(409, "in_use");
    assert_eq!(api.delete(&format!("{}?force=true", path(&bytes))).await.status, 204);
    let inter = set("Inter").await;
    api.until_encoded("main", 5).await;
    assert_eq!(api.picture("main").await, inter);
    api.put(layer, text("Heldentz Display")).await.refused("/content/font", &["Heldentz Display"]);
}
