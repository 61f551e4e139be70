//! What every answer tells a browser: to take it for what it is, to show it in no other page, to load nothing from
//! elsewhere.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// Of answers that are no pages: nothing in them runs, whatever somebody uploaded.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

const ALWAYS: [(HeaderName, &str); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()"),
];

/// Of the documentation's viewer, which sets styles on elements; styles cannot act.
const DOCS_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; object-src 'none'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Adds to an answer of `path` what its handler has not said.
pub(super) fn add(path: &str, headers: &mut HeaderMap) {
    for (name, value) in ALWAYS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let is_page = path == "/docs" || path.starts_with("/docs/");
    let policy = if is_page { DOCS_POLICY } else { DATA_POLICY };
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(policy));
    let resource_policy = HeaderName::from_static("cross-origin-resource-policy");
    headers.entry(resource_policy).or_insert(HeaderValue::from_static("same-origin"));
    if !is_page {
        headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_viewer_runs_its_own_scripts_alone() {
        let mut answer = HeaderMap::new();
        add("/docs/", &mut answer);
        let policy = answer["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self';") && !policy.contains("script-src"), "{policy}");
        assert!(!answer.contains_key("cache-control"));
    }

    #[test]
    fn what_a_handler_has_said_stays() {
        let mut answer = HeaderMap::new();
        answer.insert(header::CACHE_CONTROL, HeaderValue::from_static("max-age=60"));
        add("/api/v1/assets/x/content", &mut answer);
        assert_eq!(answer["cache-control"], "max-age=60");
        assert_eq!(answer["content-security-policy"], DATA_POLICY);
        assert_eq!(answer["x-content-type-options"], "nosniff");
    }
}
