//! Texts of shaders that documents name instead of having them inside: `"source": "sha256:…"`.
//!
//! A name is the digest of its text, so what it stands for cannot change and a document reads the same whenever it is
//! read, as long as the text is known. Whoever keeps uploads makes them known before documents are read.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use super::SOURCE_LEN_MAX;
use crate::base::digest::{self, Digest};

/// Most texts that are known: 32 MiB at worst.
const TEXTS_MAX: usize = 2048;

static TEXTS: RwLock<BTreeMap<Digest, Arc<str>>> = RwLock::new(BTreeMap::new());

/// Makes a text known by the digest of its bytes.
pub fn know(text: &str) -> Result<Digest, String> {
    if !(1..=SOURCE_LEN_MAX).contains(&text.len()) {
        return Err(format!("{} bytes are out of range: 1 to {SOURCE_LEN_MAX}", text.len()));
    }
    let digest = Digest::of(text.as_bytes());
    let mut texts = TEXTS.write().unwrap_or_else(PoisonError::into_inner);
    if texts.len() >= TEXTS_MAX && !texts.contains_key(&digest) {
        return Err(format!("{TEXTS_MAX} shaders are the most there may be: delete some"));
    }
    texts.insert(digest, text.into());
    Ok(digest)
}

/// The text is no longer known; programs made of it go on.
pub fn forget(digest: &Digest) {
    TEXTS.write().unwrap_or_else(PoisonError::into_inner).remove(digest);
}

/// What `source` stands for: itself, or the text whose digest it is.
pub(super) fn resolve(source: &str) -> Result<Cow<'_, str>, String> {
    if !source.starts_with(digest::PREFIX) {
        return Ok(Cow::Borrowed(source));
    }
    let digest: Digest = source.parse().map_err(|error: digest::NoDigest| error.to_string())?;
    let text = TEXTS.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
    text.map(|text| Cow::Owned((*text).to_owned()))
        .ok_or_else(|| format!("`{source}` is not there: it was never uploaded as a shader, or was deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_known_by_its_digest() {
        let text = "fn shade(in: ShadeInput) -> vec4f { return vec4f(0.25); }";
        assert_eq!(resolve(text).unwrap(), text);
        let name = Digest::of(text.as_bytes()).to_string();
        assert!(resolve(&name).unwrap_err().contains("was never uploaded"));
        let digest = know(text).unwrap();
        assert_eq!((digest.to_string(), resolve(&name).unwrap().into_owned()), (name.clone(), text.to_owned()));
        forget(&digest);
        assert!(resolve(&name).is_err());
        assert!(resolve("sha256:x").unwrap_err().contains("64 digits"));
        assert!(know("").is_err() && know(&"x".repeat(SOURCE_LEN_MAX + 1)).is_err());
    }
}
