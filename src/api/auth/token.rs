//! Tokens: how they are made, configured and known again.
//!
//! A token is 256 random bits. The configuration has its Argon2id hash, or names a variable or a file in which it is
//! (`env:NAME`, `file:PATH`); it is read once, at the start. A hash is reckoned once for each token; from then on the token
//! is known by its SHA-256, which is enough for 256 random bits and costs a microsecond.

use std::{collections::BTreeSet, env, fs::File, io::Read, sync::OnceLock};

use argon2::{
    Algorithm, Argon2, Params, PasswordHash, PasswordHasher, PasswordVerifier, Version, password_hash::SaltString,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::RngCore;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Invalid,
    caller::{Role, Scope},
};
use crate::base::{id::Id, secret::Secret};

/// Most tokens of a daemon.
pub(super) const TOKENS_MAX: usize = 64;
/// What a token begins with, so that scanners find one that was published.
const PREFIX: &str = "smt_";
/// How long a token may be, in bytes.
pub(super) const LEN: std::ops::RangeInclusive<usize> = 32..=256;
/// Most memory of a hash, in KiB, and most passes over it: what a request of a stranger may cost.
const MEMORY_KIB_MAX: u32 = 256 << 10;
const PASSES_MAX: u32 = 16;

/// A token as it is configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose it is: what changes are noted with.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// For which streams; `*` for all.
    #[serde(default = "all")]
    pub streams: Vec<String>,
    /// Its Argon2id hash, as `stream-manager token` prints it.
    #[serde(default)]
    pub hash: Option<String>,
    /// Or where it is: `env:NAME` or `file:PATH`.
    #[serde(default)]
    pub secret: Option<String>,
}

impl Config {
    /// Says what is wrong with it.
    pub fn check(&self) -> Result<(), Invalid> {
        Token::read(self).map(drop)
    }
}

fn all() -> Vec<String> {
    vec!["*".into()]
}

/// A token.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) scope: Scope,
    /// None where the token itself was given.
    hash: Option<String>,
    /// The SHA-256 of the token, from when it is known.
    known: OnceLock<[u8; 32]>,
}

impl Token {
    pub(super) fn read(config: &Config) -> Result<Self, Invalid> {
        let wrong = |why: String| Invalid::Token { name: config.name.clone(), why };
        // Names stand where ids stand: in logs, answers, documents.
        Id::new(&config.name).map_err(|error| wrong(error.to_string()))?;
        if ["anonymous", "daemon", "scheduler", "store"].contains(&config.name.as_str()) {
            return Err(wrong("this name is the daemon's own; use another".into()));
        }
        let token = |hash, known| Self { name: config.name.clone(), role: config.role, scope: Scope::All, hash, known };
        let token = match (&config.hash, &config.secret) {
            (Some(hash), None) => {
                check_hash(hash).map_err(wrong)?;
                token(Some(hash.clone()), OnceLock::new())
            }
            (None, Some(reference)) => {
                let secret = resolve(reference).map_err(wrong)?;
                token(None, OnceLock::from(digest(secret.expose())))
            }
            _ => return Err(wrong("give it `hash`, or `secret`, and not both".into())),
        };
        Ok(Self { scope: scope(&config.streams).map_err(wrong)?, ..token })
    }

    /// Whether it is known already as the one with this digest. The time that takes is the same for all digests.
    pub(super) fn is_known_as(&self, digest: &[u8; 32]) -> bool {
        self.known.get().is_some_and(|known| known.iter().zip(digest).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0)
    }

    /// Whether its hash is to be reckoned to know it.
    pub(super) fn is_unknown(&self) -> bool {
        self.known.get().is_none()
    }

    /// Reckons whether this text is the token; takes some tens of milliseconds. It is known then.
    pub(super) fn verify(&self, text: &Secret) -> bool {
        let Some(Ok(hash)) = self.hash.as_deref().map(PasswordHash::new) else { return false };
        let is_it = Argon2::default().verify_password(text.expose().as_bytes(), &hash).is_ok();
        if is_it {
            // Who was first has set the same.
            let _ = self.known.set(digest(text.expose()));
        }
        is_it
    }
}

pub(super) fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn scope(streams: &[String]) -> Result<Scope, String> {
    if streams.iter().any(|stream| stream == "*") {
        return Ok(Scope::All);
    }
    let ids: Result<BTreeSet<_>, _> = streams.iter().map(|stream| Id::new(stream)).collect();
    let ids = ids.map_err(|error| format!("streams: {error}; use ids of streams, or \"*\" for all"))?;
    if ids.is_empty() {
        return Err("streams: name one, or \"*\" for all".into());
    }
    Ok(Scope::Only(ids))
}

fn check_hash(hash: &str) -> Result<(), String> {
    let fix = "use the line that `stream-manager token` prints";
    let parsed = PasswordHash::new(hash).map_err(|error| format!("hash: {error}; {fix}"))?;
    let params = Params::try_from(&parsed).map_err(|error| format!("hash: {error}; {fix}"))?;
    if parsed.algorithm != Algorithm::Argon2id.ident() || parsed.hash.is_none() {
        return Err(format!("hash: this is not an Argon2id hash; {fix}"));
    }
    if params.m_cost() > MEMORY_KIB_MAX || params.t_cost() > PASSES_MAX {
        return Err(format!("hash: m is {MEMORY_KIB_MAX} and t is {PASSES_MAX} at most; {fix}"));
    }
    Ok(())
}

fn resolve(reference: &str) -> Result<Secret, String> {
    let text = match reference.split_once(':') {
        Some(("env", name)) => env::var(name).map_err(|error| format!("secret: variable {name}: {error}"))?,
        Some(("file", path)) => read_file(path).map_err(|error| format!("secret: file {path}: {error}"))?,
        _ => return Err("secret: use env:NAME or file:PATH; a token itself does not stand in a configuration".into()),
    };
    let text = text.trim_end();
    if !LEN.contains(&text.len()) || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        let (least, most) = (LEN.start(), LEN.end());
        let need = format!("secret: a token is {least} to {most} ASCII characters without spaces");
        return Err(format!("{need}; make one with `stream-manager token`"));
    }
    Ok(Secret::new(text))
}

fn read_file(path: &str) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(*LEN.end() as u64 + 16).read_to_string(&mut text)?;
    Ok(text)
}

/// A new token and its hash.
pub fn make() -> (Secret, String) {
    let mut random = [0; 32];
    rand::rng().fill_bytes(&mut random);
    let token = Secret::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(random)));
    let hash = hash_of(&token, Params::default());
    (token, hash)
}

/// The parameters that OWASP asks for are the library's own: 19 MiB, two passes.
fn hash_of(token: &Secret, params: Params) -> String {
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let salt = SaltString::encode_b64(&salt).expect("16 bytes are a salt");
    hasher.hash_password(token.expose().as_bytes(), &salt).expect("sound parameters hash any text").to_string()
}

/// The hash of a token that costs little, for tests.
#[cfg(test)]
pub(super) fn quick_hash(token: &str) -> String {
    hash_of(&Secret::new(token), Params::new(8, 1, 1, None).unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(hash: Option<&str>, secret: Option<&str>) -> Config {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Config { name: "desk".into(), role: Role::Operator, streams: all(), hash: owned(hash), secret: owned(secret) }
    }

    #[test]
    fn a_new_token_is_verified_by_its_hash_and_known_then() {
        let (text, hash) = make();
        assert!(text.expose().starts_with("smt_") && text.expose().len() == 4 + 43, "256 bits");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        let token = Token::read(&config(Some(&hash), None)).unwrap();
        assert!(token.is_unknown() && !token.is_known_as(&digest(text.expose())));
        assert!(!token.verify(&Secret::new("smt_no")) && token.is_unknown());
        assert!(token.verify(&text));
        assert!(token.is_known_as(&digest(text.expose())) && !token.is_known_as(&digest("smt_no")));
        assert_ne!(make().0, text);
    }

    #[test]
    fn a_file_holds_a_token_and_a_line_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let text = "smt_0123456789abcdef0123456789abcdef";
        std::fs::write(&path, format!("{text}\n")).unwrap();
        let reference = format!("file:{}", path.display());
        let token = Token::read(&config(None, Some(&reference))).unwrap();
        assert!(token.is_known_as(&digest(text)) && !token.verify(&Secret::new(text)));
        for bad in ["short", &"x".repeat(300), "smt_0123456789abcdef 0123456789abcdef"] {
            std::fs::write(&path, bad).unwrap();
            let error = Token::read(&config(None, Some(&reference))).unwrap_err().to_string();
            assert!(
                error.contains("desk") && error.contains("stream-manager token") && !error.contains(bad),
                "{error}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_the_way_out() {
        let good = quick_hash("x");
        let costly = hash_of(&Secret::new("x"), Params::new(8, 1, 1, None).unwrap()).replace("m=8", "m=4194304");
        let other = good.replace("argon2id", "argon2i");
        let cases = [
            (config(None, None), "and not both"),
            (config(Some(&good), Some("env:X")), "and not both"),
            (config(Some("secret"), None), "stream-manager token"),
            (config(Some(&costly), None), "262144"),
            (config(Some(&other), None), "Argon2id"),
            (config(None, Some("smt_plain")), "env:NAME or file:PATH"),
            (config(None, Some("env:STREAM_MANAGER_NO_SUCH_TOKEN")), "STREAM_MANAGER_NO_SUCH_TOKEN"),
            (config(None, Some("file:/no/such/token")), "/no/such/token"),
            (Config { name: "a b".into(), ..config(Some(&good), None) }, "a b"),
            (Config { name: "store".into(), ..config(Some(&good), None) }, "daemon's own"),
            (Config { streams: vec![], ..config(Some(&good), None) }, "for all"),
            (Config { streams: vec!["ma in".into()], ..config(Some(&good), None) }, "streams"),
        ];
        for (config, part) in cases {
            let error = Token::read(&config).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains("smt_plain"), "{error}");
        }
    }
}
