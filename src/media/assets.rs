//! From an asset's name to its bytes.
//!
//! A name is `builtin:NAME`, `sha256:DIGEST` of what was uploaded, or a relative path below the assets directory. The path
//! is resolved, links included, and must still lie below the directory: no name reads anything else on the machine.

use std::{
    borrow::Cow,
    fs::File,
    io::{self, Read},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::{builtin, vault::Vault};
use crate::base::digest::{self, Digest, NoDigest};

/// Longest asset file, in bytes.
pub(crate) const FILE_BYTES_MAX: u64 = 64 << 20;

/// Why an asset has no bytes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("there is no picture `{asset}`; built in are: {known}")]
    NotBuiltIn { asset: String, known: String },
    #[error("`{asset}` is not a name below the assets directory: use a relative path without `..`, e.g. logos/bug.png")]
    Outside { asset: String },
    #[error("`{asset}` cannot be read: no assets directory is configured; set one, or use {known}")]
    NoDirectory { asset: String, known: String },
    #[error("there is no sound `{asset}`: none is built in")]
    NoSound { asset: String },
    #[error("`{asset}` cannot be read: no assets directory is configured; set one")]
    NoDirectoryOfSounds { asset: String },
    #[error("`{asset}` is not in the assets directory: put the file there, or correct the name")]
    Missing { asset: String },
    #[error(transparent)]
    NoDigest(#[from] NoDigest),
    #[error("`{asset}` is not there: it was never uploaded, or was deleted")]
    NotUploaded { asset: String },
    #[error("`{asset}` is not a regular file")]
    NotAFile { asset: String },
    #[error("`{asset}` has {len} bytes: {FILE_BYTES_MAX} are allowed; save it smaller")]
    TooLong { asset: String, len: u64 },
    #[error("`{asset}` cannot be read: {source}")]
    Io { asset: String, source: io::Error },
}

/// Where assets come from.
#[derive(Debug, Default)]
pub(crate) struct Assets {
    /// The assets directory with all links resolved.
    dir: Option<PathBuf>,
    /// What was uploaded.
    vault: Option<Arc<Vault>>,
}

impl Assets {
    /// Assets below `dir`, which must exist, those in the vault, and the built-in ones.
    pub(crate) fn new(dir: Option<&Path>, vault: Option<Arc<Vault>>) -> io::Result<Self> {
        Ok(Self { dir: dir.map(Path::canonicalize).transpose()?, vault })
    }

    /// The bytes of an asset.
    pub(crate) fn read(&self, name: &str) -> Result<Cow<'static, [u8]>, Error> {
        if let Some(inner) = name.strip_prefix(builtin::PREFIX) {
            let missing = || Error::NotBuiltIn { asset: name.into(), known: builtin::picture_names() };
            return builtin::picture(inner).map(Cow::Borrowed).ok_or_else(missing);
        }
        read_all(name, self.open(name)?).map(Cow::Owned)
    }

    /// Opens an asset that is a file.
    fn open(&self, name: &str) -> Result<File, Error> {
        if name.starts_with(digest::PREFIX) {
            return self.open_uploaded(name);
        }
        open_regular(name, &self.locate(name)?)
    }

    fn open_uploaded(&self, name: &str) -> Result<File, Error> {
        let digest: Digest = name.parse()?;
        let not_there = || Error::NotUploaded { asset: name.into() };
        self.vault.as_ref().ok_or_else(not_there)?.read(&digest).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => not_there(),
            _ => Error::Io { asset: name.into(), source },
        })
    }

    fn locate(&self, name: &str) -> Result<PathBuf, Error> {
        let asset = || name.to_owned();
        let is_inside = |part| matches!(part, Component::Normal(_));
        if name.is_empty() || name.contains('\0') || !Path::new(name).components().all(is_inside) {
            return Err(Error::Outside { asset: asset() });
        }
        let no_directory = || Error::NoDirectory { asset: asset(), known: builtin::picture_names() };
        let dir = self.dir.as_ref().ok_or_else(no_directory)?;
        let path = dir.join(name).canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Missing { asset: asset() },
            _ => Error::Io { asset: asset(), source },
        })?;
        if path.starts_with(dir) { Ok(path) } else { Err(Error::Outside { asset: asset() }) }
    }
}

/// Opens sound files below the assets directory; decoding them is the audio floor's. They are read while they are played,
/// so they may be longer than what is read at once. None are built in; by default there is no directory.
#[derive(Debug, Clone, Default)]
pub struct SoundFiles(pub(super) Arc<Assets>);

impl SoundFiles {
    pub(crate) fn open(&self, name: &str) -> Result<File, Error> {
        if name.starts_with(builtin::PREFIX) {
            return Err(Error::NoSound { asset: name.into() });
        }
        if self.0.dir.is_none() && !name.starts_with(digest::PREFIX) {
            return Err(Error::NoDirectoryOfSounds { asset: name.into() });
        }
        self.0.open(name)
    }
}

fn read_all(name: &str, file: File) -> Result<Vec<u8>, Error> {
    let failed = |source| Error::Io { asset: name.into(), source };
    let len = file.metadata().map_err(failed)?.len();
    let mut bytes = Vec::new();
    // The file may grow while it is read; one byte beyond the limit is enough to know.
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Error::TooLong { asset: name.into(), len });
    }
    Ok(bytes)
}

fn open_regular(name: &str, path: &Path) -> Result<File, Error> {
    let failed = |source| Error::Io { asset: name.into(), source };
    // Asked before it is opened: opening a pipe would wait for a writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(Error::NotAFile { asset: name.into() });
    }
    File::open(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_directory() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("assets");
        std::fs::create_dir_all(dir.join("logos")).unwrap();
        std::fs::write(dir.join("logos/bug.png"), b"inside").unwrap();
        std::fs::write(root.path().join("secret"), b"outside").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret"), dir.join("link.png")).unwrap();
        std::os::unix::fs::symlink(dir.join("logos/bug.png"), dir.join("alias.png")).unwrap();

        let assets = Assets::new(Some(&dir), None).unwrap();
        assert_eq!(&*assets.read("logos/bug.png").unwrap(), b"inside");
        assert_eq!(&*assets.read("alias.png").unwrap(), b"inside", "a link within the directory is fine");
        for bad in ["", "/etc/passwd", "../secret", "logos/../../secret", "./logos/bug.png", "link.png", "a\0b"] {
            assert!(matches!(assets.read(bad), Err(Error::Outside { .. })), "{bad:?}: {:?}", assets.read(bad));
        }
        assert!(matches!(assets.read("none.png"), Err(Error::Missing { .. })));
        assert!(matches!(assets.read("logos"), Err(Error::NotAFile { .. })));
    }

    #[test]
    fn sounds_are_confined_like_pictures() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("assets");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("jingle.wav"), b"inside").unwrap();
        std::fs::write(root.path().join("secret"), b"outside").unwrap();
        std::os::unix::fs::symlink(root.path().join("secret"), dir.join("link.wav")).unwrap();
        let assets = SoundFiles(Arc::new(Assets::new(Some(&dir), None).unwrap()));
        assert_eq!(io::read_to_string(assets.open("jingle.wav").unwrap()).unwrap(), "inside");
        for bad in ["/etc/passwd", "../secret", "link.wav"] {
            assert!(matches!(assets.open(bad), Err(Error::Outside { .. })), "{bad:?}");
        }
        assert!(matches!(assets.open("."), Err(Error::Outside { .. } | Error::NotAFile { .. })));
        assert!(matches!(assets.open("none.wav"), Err(Error::Missing { .. })));
        assert!(matches!(assets.open("builtin:bug"), Err(Error::NoSound { .. })));
        let error = SoundFiles::default().open("jingle.wav").unwrap_err().to_string();
        assert_eq!(error, "`jingle.wav` cannot be read: no assets directory is configured; set one");
    }

    #[test]
    fn a_long_file_is_refused_by_its_length() {
        let root = tempfile::tempdir().unwrap();
        File::create(root.path().join("huge.png")).unwrap().set_len(FILE_BYTES_MAX + 7).unwrap();
        let error = Assets::new(Some(root.path()), None).unwrap().read("huge.png").unwrap_err();
        assert_eq!(error.to_string(), "`huge.png` has 67108871 bytes: 67108864 are allowed; save it smaller");
    }

    #[test]
    fn what_is_not_there_is_named() {
        let assets = Assets::new(None, None).unwrap();
        assert!(assets.read("bug.png").unwrap_err().to_string().contains("no assets directory is configured"));
        assert!(assets.read("builtin:none").unwrap_err().to_string().starts_with("there is no picture `builtin:none`"));
    }
    #[test]
    fn uploads_go_by_their_digest() {
        let root = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::open(root.path()).unwrap());
        let mut upload = vault.receive().unwrap();
        upload.write(b"uploaded").unwrap();
        let name = upload.seal().unwrap().keep(&vault).unwrap().digest.to_string();
        let assets = Arc::new(Assets::new(None, Some(vault)).unwrap());
        assert_eq!(&*assets.read(&name).unwrap(), b"uploaded");
        assert_eq!(io::read_to_string(SoundFiles(assets.clone()).open(&name).unwrap()).unwrap(), "uploaded");
        let other = Digest::of(b"another").to_string();
        assert!(matches!(assets.read(&other), Err(Error::NotUploaded { .. })));
        assert!(matches!(Assets::default().read(&name), Err(Error::NotUploaded { .. })));
        for bad in ["sha256:", "sha256:../../etc/passwd", &name.to_uppercase().replace("SHA", "sha")] {
            assert!(matches!(assets.read(bad), Err(Error::NoDigest(_))), "{bad}");
        }
    }
}
