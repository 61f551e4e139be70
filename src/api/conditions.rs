//! Conditions of requests (RFC 9110, section 13): `ETag` and `If-None-Match` of documents, `If-Match` of changes.
//!
//! An entity tag is `"REVISION-DIGEST"`: the stream's revision, and a digest of what was answered, since some of what a
//! document shows changes without a revision (where a stream stands, a take that is over). `If-Match` takes a tag or a
//! revision alone, for what is guarded is the document: the writer compares revisions under its lock
//! (`state::By::if_revision`).

use axum::{
    body::{Body, to_bytes},
    extract::{MatchedPath, Request},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, IntoResponseParts, Response, ResponseParts},
};
use sha2::{Digest, Sha256};

use super::{openapi::is_versioned, problem::Problem, routes::ROUTES};

/// What a handler says of the revision that its answer shows; the tag is made of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Revision(pub(super) u64);

impl IntoResponseParts for Revision {
    type Error = std::convert::Infallible;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Self::Error> {
        parts.extensions_mut().insert(self);
        Ok(parts)
    }
}

/// Longest answer that is given a tag, in bytes: the largest document and more.
const LEN_MAX: usize = 64 << 20;

/// Gives answers that show a document their tag, and answers 304 where the client has it.
pub(super) async fn tag(request: Request, next: Next) -> Response {
    let is_document = request
        .extensions()
        .get::<MatchedPath>()
        .is_some_and(|path| ROUTES.iter().any(|route| route.path == path.as_str() && is_versioned(route)));
    if !is_document || !matches!(*request.method(), Method::GET | Method::HEAD) {
        return next.run(request).await;
    }
    let known = request.headers().get_all(header::IF_NONE_MATCH).iter().cloned().collect::<Vec<_>>();
    let response = next.run(request).await;
    if response.status() != StatusCode::OK {
        return response;
    }
    let revision = response.extensions().get::<Revision>().map_or(0, |revision| revision.0);
    let (mut parts, body) = response.into_parts();
    let Ok(bytes) = to_bytes(body, LEN_MAX).await else {
        let detail = "the answer could not be made";
        return Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail).into_response();
    };
    let digest: String = Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{revision}-{digest}\"");
    let is_known = known.iter().any(|known| names(known, &tag));
    if let Ok(value) = HeaderValue::try_from(tag) {
        parts.headers.insert(header::ETAG, value);
    }
    if is_known {
        parts.status = StatusCode::NOT_MODIFIED;
        parts.headers.remove(header::CONTENT_LENGTH);
        parts.headers.remove(header::CONTENT_TYPE);
        return Response::from_parts(parts, Body::empty());
    }
    Response::from_parts(parts, Body::from(bytes))
}

/// Whether a list of tags has this one; weak ones count, as the section has it for `If-None-Match`.
fn names(list: &HeaderValue, tag: &str) -> bool {
    let list = list.to_str().unwrap_or_default();
    list.trim() == "*" || list.split(',').any(|one| one.trim().trim_start_matches("W/") == tag)
}

/// The revision that `If-Match` asks for; none where anything will do.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut given = headers.get_all(header::IF_MATCH).iter();
    let Some(value) = given.next() else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" && given.next().is_none() {
        return Ok(None);
    }
    let revision =
        text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(|tag| match tag.split_once('-') {
            Some((revision, _)) => revision,
            None => tag,
        });
    let is_digits = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let revision = revision.filter(is_digits).and_then(|revision| revision.parse().ok());
    revision.filter(|_| given.next().is_none()).map(Some).ok_or_else(|| {
        let detail = "If-Match takes one ETag of this stream, or a revision in quotation marks, e.g. \"42\"";
        Problem::new(StatusCode::BAD_REQUEST, "bad_header", detail)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn if_match_takes_a_tag_or_a_revision() {
        let read = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_MATCH, value.parse().unwrap());
            }
            if_match(&headers).map_err(|problem| problem.into_response().status())
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["*"]), Ok(None));
        assert_eq!(read(&["\"42\""]), Ok(Some(42)));
        assert_eq!(read(&["\"42-0123456789abcdef\""]), Ok(Some(42)));
        for bad in [
            &["42"][..],
            &["\"\""],
            &["\"x\""],
            &["\"+1\""],
            &["\"1\", \"2\""],
            &["\"1\"", "\"2\""],
            &["W/\"1\""],
            &[""],
        ] {
            assert_eq!(read(bad), Err(StatusCode::BAD_REQUEST), "{bad:?}");
        }
    }

    #[test]
    fn a_known_tag_is_found_in_a_list() {
        let names = |list: &str| names(&HeaderValue::from_str(list).unwrap(), "\"1-a\"");
        assert!(names("\"1-a\"") && names("*") && names("\"0\", W/\"1-a\""));
        assert!(!names("\"1\"") && !names("") && !names("1-a"));
    }
}
