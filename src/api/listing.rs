//! Pages of collections that can grow: `?limit=&cursor=`.
//!
//! ```text
//!  GET …?limit=2            ─► the first two; Link: <…?limit=2&cursor=KEY>; rel="next"
//!  GET …?limit=2&cursor=KEY ─► those behind it; without `Link`, those were the last
//! ```
//!
//! A collection is in the order of keys that do not change, and a cursor is the key of the last one that was shown: what is
//! added or taken away between two pages neither repeats nor hides any other. Any text is a cursor, so one whose item is gone
//! leads on all the same. Collections that cannot grow beyond a few dozen (streams, layers, outputs, history) have no pages.

use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::problem::Problem;

/// Most items of a page, and how many there are where nothing is said.
pub(super) const LIMIT_MAX: u32 = 10_000;

/// Longest cursor, in characters.
const CURSOR_LEN_MAX: usize = 256;

/// Which page is asked for, where nothing else is.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(super) struct Paging {
    /// Most items of the answer; 10000 if not given.
    #[param(minimum = 1, maximum = 10000)]
    pub(super) limit: Option<u32>,
    /// What `next` of the page before leads to.
    #[param(max_length = 256)]
    pub(super) cursor: Option<String>,
}

/// Some items of a collection.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    /// The cursor of the page behind it.
    pub(super) next: Option<String>,
}

impl Paging {
    /// The page of `all`, which are in the order of their keys.
    pub(super) fn page<T>(
        self,
        all: impl IntoIterator<Item = T>,
        key: impl Fn(&T) -> String,
    ) -> Result<Page<T>, Problem> {
        let limit = self.limit.unwrap_or(LIMIT_MAX);
        if !(1..=LIMIT_MAX).contains(&limit) {
            let detail = format!("`limit` must be from 1 to {LIMIT_MAX}, not {limit}");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail));
        }
        if self.cursor.as_ref().is_some_and(|cursor| cursor.chars().count() > CURSOR_LEN_MAX) {
            let detail = format!("`cursor` is longer than {CURSOR_LEN_MAX} characters, which `next` never is");
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad_query", detail));
        }
        let is_shown = |item: &T| self.cursor.as_ref().is_some_and(|cursor| key(item) <= *cursor);
        let mut rest = all.into_iter().skip_while(is_shown);
        let items: Vec<T> = rest.by_ref().take(limit as usize).collect();
        let next = rest.next().and_then(|_| items.last().map(&key));
        Ok(Page { items, next })
    }
}

/// A key that is a number, so that texts are in the order of numbers.
pub(super) fn number(number: u64) -> String {
    format!("{number:020}")
}

/// `Link` (RFC 8288) to the page behind the one that was asked for by `uri`.
pub(super) fn link(uri: &Uri, next: Option<&str>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let Some(next) = next else { return headers };
    let others =
        uri.query().unwrap_or_default().split('&').filter(|part| !part.is_empty() && !part.starts_with("cursor="));
    let query: Vec<_> = others.map(str::to_owned).chain([format!("cursor={next}")]).collect();
    // Keys are letters, digits, colons and dashes.
    let link = format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"));
    headers.extend(HeaderValue::try_from(link).ok().map(|link| (header::LINK, link)));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<u32>, cursor: Option<&str>) -> Result<Page<u64>, Problem> {
        Paging { limit, cursor: cursor.map(str::to_owned) }.page([1, 2, 9, 10, 300], |item| number(*item))
    }

    #[test]
    fn pages_follow_one_another_and_the_last_has_none_behind_it() {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let Page { items, next } = page(Some(2), cursor.as_deref()).unwrap();
            seen.push(items);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [vec![1, 2], vec![9, 10], vec![300]]);
        assert_eq!(page(Some(5), None).unwrap().next, None);
    }

    #[test]
    fn a_cursor_whose_item_is_gone_leads_on() {
        assert_eq!(page(None, Some(&number(5))).unwrap().items, [9, 10, 300]);
        assert_eq!(page(None, Some("~")).unwrap().items, [0; 0]);
        assert_eq!(page(None, Some("")).unwrap().items.len(), 5);
    }

    #[test]
    fn limits_are_in_range() {
        assert!(page(Some(0), None).is_err() && page(Some(LIMIT_MAX + 1), None).is_err());
    }

    #[test]
    fn a_link_keeps_what_else_was_asked_for() {
        let uri: Uri = "/api/v1/assets?cursor=a&limit=2&kind=font".parse().unwrap();
        assert_eq!(
            link(&uri, Some("sha256:b"))["link"],
            "</api/v1/assets?limit=2&kind=font&cursor=sha256:b>; rel=\"next\""
        );
        assert!(link(&uri, None).is_empty());
    }
}
