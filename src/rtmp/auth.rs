//! Adobe's and Limelight's authentication of publishers: what to append to the app when a server asks for a password.
//!
//! ```text
//! connect app                                  ► _error: code=403 need auth; authmod=adobe
//! connect app?authmod=adobe&user=U             ► _error: ?reason=needauth&user=U&salt=S&challenge=C&opaque=O
//! connect app?authmod=adobe&user=U&challenge=…&response=…&opaque=O      ► _result, or ?reason=authfailed
//! ```
//!
//! Each step is a new connection. Neither scheme has a public specification; this is what librtmp (as OBS Studio ships
//! it) and FFmpeg do, and FFmpeg's answers are those of the tests below. Limelight's is HTTP's digest (RFC 2617) with
//! fixed method, realm and count. The password itself is never sent, but MD5 protects it badly: use rtmps.
//!
//! Pure: the client's random number is handed in. Left out: `authmod` of other names.

use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use md5::{Digest, Md5};

use crate::base::secret::Secret;

/// Who publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Goes over the wire as it is.
    user: String,
    /// Goes over the wire as a digest.
    password: Secret,
}

/// Longest user name, in bytes.
const USER_LEN_MAX: usize = 256;

/// A user name that cannot be put into an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("user name must have 1 to {USER_LEN_MAX} bytes, without spaces, control characters and any of & ? = ; ]")]
pub struct InvalidUser;

impl Credentials {
    /// Checks that the name does not break the query it is put into.
    ///
    /// # Errors
    ///
    /// [`InvalidUser`].
    pub fn new(user: &str, password: Secret) -> Result<Self, InvalidUser> {
        let breaks = |c: char| c.is_whitespace() || c.is_control() || "&?=;]".contains(c);
        if user.is_empty() || user.len() > USER_LEN_MAX || user.contains(breaks) {
            return Err(InvalidUser);
        }
        Ok(Self { user: user.into(), password })
    }

    /// Who publishes, with another password.
    pub fn with_password(&self, password: Secret) -> Self {
        Self { user: self.user.clone(), password }
    }

    /// The password as it was given.
    pub fn password(&self) -> &Secret {
        &self.password
    }
}

/// Why a demand cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The server says that they are wrong.
    #[error("server does not accept user and password: {reason}")]
    Rejected {
        /// `authfailed`, `nosuchuser` or whatever it says.
        reason: String,
    },
    /// The server wants something else.
    #[error("server wants authentication that is neither Adobe's nor Limelight's")]
    UnknownScheme,
    /// What the digest is made of is missing.
    #[error("server's demand for authentication has no {field}")]
    Missing {
        /// Which field.
        field: &'static str,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Adobe,
    Limelight,
}

impl Scheme {
    fn of(description: &str) -> Result<Self, Error> {
        match field(description, "authmod") {
            Some("adobe") => Ok(Self::Adobe),
            Some("llnw") => Ok(Self::Limelight),
            _ => Err(Error::UnknownScheme),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Adobe => "adobe",
            Self::Limelight => "llnw",
        }
    }
}

/// The query that answers a server's words: to be appended to `app` and `tcUrl` of the next connection.
///
/// `app` is the app without such a query, `client` a random number.
///
/// # Errors
///
/// [`Error::Rejected`] where another answer would be refused as well.
pub fn answer(description: &str, app: &str, credentials: &Credentials, client: u32) -> Result<String, Error> {
    let scheme = Scheme::of(description)?;
    let opening = format!("authmod={}&user={}", scheme.name(), credentials.user);
    match field(description, "reason") {
        None => Ok(opening),
        Some("needauth") => match scheme {
            Scheme::Adobe => adobe(description, credentials, client).map(|answer| opening + &answer),
            Scheme::Limelight => limelight(description, app, credentials, client).map(|answer| opening + &answer),
        },
        Some(reason) => Err(Error::Rejected { reason: reason.into() }),
    }
}

fn adobe(description: &str, Credentials { user, password }: &Credentials, client: u32) -> Result<String, Error> {
    let salt = field(description, "salt").ok_or(Error::Missing { field: "salt" })?;
    let opaque = field(description, "opaque").filter(|opaque| !opaque.is_empty());
    let challenge = field(description, "challenge").filter(|challenge| !challenge.is_empty());
    // The challenge counts only where there is no opaque.
    let salted = base64_md5(&[user, salt, password.expose()]);
    let client = format!("{client:08x}");
    let response = base64_md5(&[&salted, opaque.or(challenge).unwrap_or(""), &client]);
    let opaque = opaque.map_or(String::new(), |opaque| format!("&opaque={opaque}"));
    Ok(format!("&challenge={client}&response={response}{opaque}"))
}

fn limelight(
    description: &str,
    app: &str,
    Credentials { user, password }: &Credentials,
    client: u32,
) -> Result<String, Error> {
    const REALM: &str = "live";
    const METHOD: &str = "publish";
    const COUNT: &str = "00000001";
    const QUALITY: &str = "auth";
    let nonce = field(description, "nonce").ok_or(Error::Missing { field: "nonce" })?;
    let client = format!("{client:08x}");
    // An app without an instance is its default instance.
    let instance = if app.contains('/') { "" } else { "/_definst_" };
    let who = hex_md5(&[user, ":", REALM, ":", password.expose()]);
    let what = hex_md5(&[METHOD, ":/", app, instance]);
    let response = hex_md5(&[&who, ":", nonce, ":", COUNT, ":", &client, ":", QUALITY, ":", &what]);
    Ok(format!("&nonce={nonce}&cnonce={client}&nc={COUNT}&response={response}"))
}

/// The value of `name=` in a server's words: `[ code=403 need auth; authmod=adobe ] : ?reason=needauth&salt=...`.
fn field<'a>(description: &'a str, name: &str) -> Option<&'a str> {
    let is_end = |c: char| matches!(c, '&' | ';' | ' ' | ']');
    let mut rest = description;
    while let Some(at) = rest.find(name) {
        let (before, after) = (&rest[..at], &rest[at + name.len()..]);
        let starts_a_field = before.chars().next_back().is_none_or(|c| matches!(c, '?' | '&' | ';' | ' ' | '['));
        if let Some(value) = after.strip_prefix('=').filter(|_| starts_a_field) {
            return Some(value.split(is_end).next().unwrap_or(""));
        }
        rest = after;
    }
    None
}

fn md5(parts: &[&str]) -> [u8; 16] {
    parts.iter().fold(Md5::new(), |digest, part| digest.chain_update(part)).finalize().into()
}

fn base64_md5(parts: &[&str]) -> String {
    BASE64.encode(md5(parts))
}

fn hex_md5(parts: &[&str]) -> String {
    md5(parts).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn credentials() -> Credentials {
        Credentials::new("alice", Secret::new("wonderland")).unwrap()
    }

    fn answered(description: &str, app: &str, client: u32) -> String {
        answer(description, app, &credentials(), client).unwrap()
    }

    #[test]
    fn a_server_that_wants_a_password_hears_the_name_first() {
        let needs = |scheme| format!("[ AccessManager.Reject ] : [ code=403 need auth; authmod={scheme} ] : ");
        assert_eq!(answered(&needs("adobe"), "live", 1), "authmod=adobe&user=alice");
        assert_eq!(answered(&needs("llnw"), "live", 1), "authmod=llnw&user=alice");
    }

    /// The answers are those that FFmpeg 5.1 gave to a server that said this.
    #[test]
    fn digests_are_those_of_ffmpeg() {
        let adobe = "[ AccessManager.Reject ] : [ authmod=adobe ] : ?reason=needauth&user=alice&salt=yAbUeg==&challenge=KgAAAA==";
        assert_eq!(
            answered(&format!("{adobe}&opaque=KwAAAA=="), "live", 0xfafa_3ebc),
            "authmod=adobe&user=alice&challenge=fafa3ebc&response=DAr1I9khpGfuBHI9nPvHaw==&opaque=KwAAAA=="
        );
        assert_eq!(
            answered(adobe, "live", 0x7c22_7a72),
            "authmod=adobe&user=alice&challenge=7c227a72&response=Xef2/XQZW0ERIK/yOphmoQ=="
        );
        let llnw = "[ AccessManager.Reject ] : [ authmod=llnw ] : ?reason=needauth&user=alice&nonce=a1b2c3d4";
        for (app, client, response) in [
            ("live", 0x8dbf_9842, "668ef8f4ff9a53d05e8a6ec30dc79af1"),
            ("live/inst", 0x0f7e_8add, "b3ec0e0707968708705a1cadf519ec63"),
        ] {
            let answer = answered(llnw, app, client);
            let start = format!("authmod=llnw&user=alice&nonce=a1b2c3d4&cnonce={client:08x}&nc=00000001");
            assert_eq!(answer, format!("{start}&response={response}"), "{app}");
        }
    }

    #[test]
    fn what_cannot_be_answered_says_why() {
        for (description, error) in [
            ("[ authmod=adobe ] : ?reason=authfailed", Error::Rejected { reason: "authfailed".into() }),
            ("[ authmod=llnw ] : ?reason=nosuchuser", Error::Rejected { reason: "nosuchuser".into() }),
            ("[ code=403 need auth; authmod=other ]", Error::UnknownScheme),
            ("need auth", Error::UnknownScheme),
            ("[ authmod=adobe ] : ?reason=needauth&user=alice", Error::Missing { field: "salt" }),
            ("[ authmod=llnw ] : ?reason=needauth&user=alice", Error::Missing { field: "nonce" }),
        ] {
            assert_eq!(answer(description, "live", &credentials(), 1), Err(error), "{description}");
        }
    }

    proptest! {
        /// Whatever a server says, the password is not told.
        #[test]
        fn words_of_any_kind_are_answered_or_refused(noise in "[ -~]{0,40}") {
            for description in [format!("authmod=adobe {noise}"), format!("[ authmod=llnw ] : ?reason=needauth&{noise}"), noise] {
                let told = match answer(&description, "live", &credentials(), 7) {
                    Ok(query) => query,
                    Err(error) => error.to_string(),
                };
                prop_assert!(!told.contains("wonderland") || description.contains("wonderland"));
            }
        }
    }
}
