//! What stands for a secret in an output's document: a variable of the environment, or a file as Docker and Kubernetes mount
//! them.
//!
//! ```text
//! live_abc               the secret itself
//! env:YOUTUBE_KEY        a variable whose name ends with what it holds: KEY or PASSWORD
//! file:youtube           a file below `secrets_dir`, without the line break at its end
//! file:/run/secrets/yt   the same, if `secrets_dir` is /run/secrets
//! ```
//!
//! Whoever may change outputs can have such a secret sent to a server of their choice. So only variables can be named that
//! say that they hold one, and only files below one directory, which is to have nothing else in it. A name that leads out of
//! it is refused, by `..` as by a link. No error has a secret in it.

use std::{
    fs::{self, File},
    io::{self, Read},
    path::{Component, Path, PathBuf},
};

use crate::{
    base::secret::Secret,
    output::{Keyring, Use},
    rtmp::url::LEN_MAX,
};

/// Longest reference, in bytes.
const REFERENCE_LEN_MAX: usize = 512;
/// Bytes of a line break after a secret.
const LINE_BREAK_LEN: usize = 2;

/// Where references to secrets lead.
#[derive(Debug, Clone, Default)]
pub struct Secrets {
    directory: Option<PathBuf>,
}

/// Why a reference leads to no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSecret {
    /// The reference itself is wrong, wherever it is looked up.
    #[error("{reference} is refused: {reason}")]
    Refused {
        /// As it is written.
        reference: String,
        /// What is wrong, and what would be right.
        reason: String,
    },
    /// A reference without end.
    #[error("a reference has {len} bytes, {REFERENCE_LEN_MAX} are allowed")]
    TooLong {
        /// Its length.
        len: usize,
    },
    /// There is nothing of use where it leads.
    #[error("{reference}: {reason}")]
    Missing {
        /// As it is written.
        reference: String,
        /// What was found, and what to do about it.
        reason: String,
    },
}

/// A secret as a document has it.
#[derive(Debug, Clone, Copy)]
enum Written<'a> {
    Itself,
    Variable(&'a str),
    File(&'a str),
}

impl<'a> Written<'a> {
    fn of(secret: &'a Secret) -> Self {
        match secret.expose().split_once(':') {
            Some(("env", name)) => Self::Variable(name),
            Some(("file", name)) => Self::File(name),
            _ => Self::Itself,
        }
    }
}

/// How the name of a variable ends that holds this.
fn ending(what: Use) -> &'static str {
    match what {
        Use::Key => "KEY",
        Use::Password => "PASSWORD",
    }
}

/// Whether this is a secret, or a reference that may lead to one; where it leads is not looked at.
pub(super) fn check(what: Use, secret: &Secret) -> Result<(), NoSecret> {
    let reference = secret.expose();
    let refused = |reason: String| Err(NoSecret::Refused { reference: reference.into(), reason });
    match Written::of(secret) {
        Written::Itself => Ok(()),
        _ if reference.len() > REFERENCE_LEN_MAX => Err(NoSecret::TooLong { len: reference.len() }),
        Written::Variable(name) if !name.ends_with(ending(what)) => {
            let holds = if what == Use::Key { "stream key" } else { "password" };
            refused(format!("the name of a variable with a {holds} ends with {}", ending(what)))
        }
        Written::File(name) if !is_plain(Path::new(name)) => {
            refused("name a file below secrets_dir, without `..`".into())
        }
        Written::Variable(_) | Written::File(_) => Ok(()),
    }
}

/// Whether a path goes down and nowhere else, from wherever it starts.
fn is_plain(path: &Path) -> bool {
    let mut parts = path.components().filter(|part| *part != Component::RootDir).peekable();
    parts.peek().is_some() && parts.all(|part| matches!(part, Component::Normal(_)))
}

impl Secrets {
    /// Secrets in files below this directory, if there is one, and in the environment.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// The secret itself, or what it refers to, as it is now.
    pub(super) fn resolve(&self, what: Use, secret: &Secret) -> Result<Secret, NoSecret> {
        check(what, secret)?;
        let missing = |reason| NoSecret::Missing { reference: secret.expose().into(), reason };
        let found = match Written::of(secret) {
            Written::Itself => return Ok(secret.clone()),
            Written::Variable(name) => {
                std::env::var(name).map_err(|_| "this variable is not set in the daemon's environment".into())
            }
            Written::File(name) => self.read(Path::new(name)),
        };
        let found = found.map_err(missing)?;
        match found.find(|c: char| c.is_whitespace() || c.is_control()) {
            _ if found.is_empty() => Err(missing("it is empty".into())),
            _ if found.len() > LEN_MAX => Err(missing(too_long())),
            Some(offset) if what == Use::Key => {
                Err(missing(format!("it has a space or control character at byte {offset}: a stream key has none")))
            }
            _ => Ok(Secret::new(found)),
        }
    }

    fn read(&self, name: &Path) -> Result<String, String> {
        let unset = "secrets_dir is not configured: set it to the directory in which secrets are mounted";
        let directory = self.directory.as_ref().ok_or(unset)?;
        let directory = directory.canonicalize().map_err(|error| format!("secrets_dir: {error}"))?;
        let absent = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => "there is no such file in secrets_dir: mount it there".into(),
            _ => error.to_string(),
        };
        let path = directory.join(name).canonicalize().map_err(absent)?;
        if !path.starts_with(&directory) {
            return Err("it leads out of secrets_dir: mount the file itself there".into());
        }
        if !fs::metadata(&path).is_ok_and(|found| found.is_file()) {
            return Err("it is no file".into());
        }
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(absent)?;
        file.take((LEN_MAX + LINE_BREAK_LEN + 1) as u64).read_to_end(&mut bytes).map_err(absent)?;
        if bytes.len() > LEN_MAX + LINE_BREAK_LEN {
            return Err(too_long());
        }
        let text = String::from_utf8(bytes).map_err(|_| "it is not UTF-8")?;
        let text = text.strip_suffix('\n').unwrap_or(&text);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

fn too_long() -> String {
    format!("it has more than the {LEN_MAX} bytes that a secret may have")
}

impl Keyring for Secrets {
    fn open(&self, what: Use, written: &Secret) -> Result<Secret, String> {
        self.resolve(what, written).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Secrets) {
        let outside = tempfile::tempdir().unwrap();
        let inside = outside.path().join("secrets");
        fs::create_dir_all(inside.join("twitch")).unwrap();
        fs::write(outside.path().join("token"), "not yours").unwrap();
        files.iter().for_each(|(name, content)| fs::write(inside.join(name), content).unwrap());
        (outside, Secrets::new(Some(inside)))
    }

    fn key(secrets: &Secrets, reference: &str) -> Result<String, String> {
        let found = secrets.resolve(Use::Key, &Secret::new(reference)).map_err(|error| error.to_string());
        found.map(|secret| secret.expose().to_owned())
    }

    #[test]
    fn a_file_is_a_secret_without_its_line_break_and_as_it_is_now() {
        let (outside, secrets) =
            directory(&[("plain", b"k=1?a/b"), ("unix", b"k\n"), ("dos", b"k\r\n"), ("twitch/key", b"t\n")]);
        let inside = outside.path().join("secrets");
        for (name, found) in [("plain", "k=1?a/b"), ("unix", "k"), ("dos", "k"), ("twitch/key", "t")] {
            assert_eq!(key(&secrets, &format!("file:{name}")).as_deref(), Ok(found), "{name}");
        }
        assert_eq!(key(&secrets, &format!("file:{}", inside.join("unix").display())).as_deref(), Ok("k"));
        // As Kubernetes does it: a link to a link to a directory of the version.
        fs::create_dir(inside.join("..2025")).unwrap();
        fs::write(inside.join("..2025/youtube"), "y").unwrap();
        symlink("..2025", inside.join("..data")).unwrap();
        symlink("..data/youtube", inside.join("youtube")).unwrap();
        assert_eq!(key(&secrets, "file:youtube").as_deref(), Ok("y"));
        fs::write(inside.join("unix"), "changed").unwrap();
        assert_eq!(key(&secrets, "file:unix").as_deref(), Ok("changed"));
        fs::write(inside.join("long"), "x".repeat(LEN_MAX) + "\r\n").unwrap();
        assert_eq!(key(&secrets, "file:long").unwrap().len(), LEN_MAX);
        assert_eq!(key(&secrets, "no:reference").as_deref(), Ok("no:reference"));
    }

    #[test]
    fn nothing_outside_of_the_directory_is_read() {
        let (outside, secrets) = directory(&[("in", b"in")]);
        let inside = outside.path().join("secrets");
        symlink("../token", inside.join("link")).unwrap();
        symlink(outside.path(), inside.join("up")).unwrap();
        let token = format!("file:{}", outside.path().join("token").display());
        for reference in ["file:link", "file:up/token", "file:/etc/hostname", &token] {
            let refused = key(&secrets, reference).unwrap_err();
            assert!(refused.starts_with(&format!("{reference}: it leads out of secrets_dir")), "{refused}");
        }
        for reference in ["file:../token", "file:twitch/../../token", "file:", "file:/", "file:.", "file:.."] {
            let refused = key(&secrets, reference).unwrap_err();
            assert_eq!(refused, format!("{reference} is refused: name a file below secrets_dir, without `..`"));
        }
    }

    #[test]
    fn what_is_no_secret_is_named_with_the_fix_and_not_shown() {
        let long = vec![b'x'; LEN_MAX + 3];
        let just_too_long = vec![b'x'; LEN_MAX + 1];
        let (_outside, secrets) = directory(&[
            ("empty", b"\n"),
            ("two", b"sentinel one\n"),
            ("lines", b"sentinel\n\n"),
            ("binary", &[0xFF, 0xFE]),
            ("long", &long),
            ("longer", &just_too_long),
        ]);
        for (reference, words) in [
            ("file:none", "there is no such file in secrets_dir: mount it there"),
            ("file:twitch", "it is no file"),
            ("file:empty", "it is empty"),
            ("file:two", "it has a space or control character at byte 8: a stream key has none"),
            ("file:lines", "it has a space or control character at byte 8: a stream key has none"),
            ("file:binary", "it is not UTF-8"),
            ("file:long", "it has more than the 4096 bytes that a secret may have"),
            ("file:longer", "it has more than the 4096 bytes that a secret may have"),
            ("env:NO_SUCH_STREAM_KEY", "this variable is not set in the daemon's environment"),
        ] {
            assert_eq!(key(&secrets, reference), Err(format!("{reference}: {words}")));
        }
        let spoken = secrets.resolve(Use::Password, &Secret::new("file:two")).unwrap();
        assert_eq!(spoken.expose(), "sentinel one", "a password may have spaces");
        let unset = key(&Secrets::default(), "file:two").unwrap_err();
        assert!(unset.contains("secrets_dir is not configured"), "{unset}");
        let gone = key(&Secrets::new(Some("/no/such/directory".into())), "file:two").unwrap_err();
        assert!(gone.starts_with("file:two: secrets_dir: "), "{gone}");
        let endless = format!("file:{}", "x/".repeat(400));
        assert_eq!(key(&secrets, &endless), Err("a reference has 805 bytes, 512 are allowed".into()));
    }

    #[test]
    fn other_variables_of_the_daemon_cannot_be_named() {
        assert!(key(&Secrets::default(), "env:PATH").unwrap_err().ends_with("with a stream key ends with KEY"));
        let password = Secrets::default().resolve(Use::Password, &Secret::new("env:A_KEY")).unwrap_err();
        assert!(password.to_string().ends_with("with a password ends with PASSWORD"), "{password}");
    }
}
