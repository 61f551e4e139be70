//! Why a recording stopped: each case with a stable class and with what to do about it.

use std::io;

/// Why no file is written. Each is followed by another attempt.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The system refused.
    #[error("{file}: {source}{}", fix(source))]
    Disk {
        /// The file, or the directory.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// There is less room than is to stay free.
    #[error("{free_mb:.0} MB are free and {min_mb:.0} MB are to stay so: make room, or lower minFreeMb of this output")]
    Low {
        /// What is free.
        free_mb: f64,
        /// What is to stay free.
        min_mb: f64,
    },
    /// Somebody deleted the file that was written.
    #[error("{file} was deleted while it was written")]
    Deleted {
        /// Its name.
        file: String,
    },
    /// Files of that name and of all that were tried in its place are there.
    #[error("{file} and names like it are taken: put {{utc}} or {{part}} into the name")]
    NameTaken {
        /// The name.
        file: String,
    },
    /// The format cannot hold what the encoder makes.
    #[error("this stream cannot be recorded as {format}: {reason}")]
    Format {
        /// Its name.
        format: &'static str,
        /// Why not.
        reason: String,
    },
}

/// What to do, after a colon.
fn fix(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ": make the directory that recordings_dir names, or mount its disk"
        }
        io::ErrorKind::PermissionDenied => ": let the daemon's user write there",
        io::ErrorKind::ReadOnlyFilesystem => ": mount its disk for writing",
        io::ErrorKind::StorageFull => ": make room on its disk",
        io::ErrorKind::QuotaExceeded => ": raise the quota of the daemon's user, or delete files",
        io::ErrorKind::FileTooLarge => ": raise the limit of a file's size, or split earlier by splitSizeMb",
        _ => "",
    }
}

impl Error {
    /// Whether trying again soon may help: a disk has room again, or is back. What a stream or a name is stays as it is.
    pub(super) fn may_mend_itself(&self) -> bool {
        !matches!(self, Self::Format { .. } | Self::NameTaken { .. })
    }

    /// Stable name for metrics, dashboards and alerts.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Disk { source, .. } => match source.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => "disk_missing",
                io::ErrorKind::PermissionDenied => "disk_denied",
                io::ErrorKind::ReadOnlyFilesystem => "disk_read_only",
                io::ErrorKind::StorageFull => "disk_full",
                io::ErrorKind::QuotaExceeded => "disk_quota",
                io::ErrorKind::FileTooLarge => "disk_file_too_large",
                _ => "disk",
            },
            Self::Low { .. } => "disk_low",
            Self::Deleted { .. } => "file_deleted",
            Self::NameTaken { .. } => "file_name_taken",
            Self::Format { .. } => "format",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_class_and_a_fix() {
        // As Linux numbers them: ENOENT, EACCES, EFBIG, ENOSPC, EROFS, EDQUOT, EIO.
        for (number, class, word) in [
            (2, "disk_missing", "recordings_dir"),
            (13, "disk_denied", "user"),
            (27, "disk_file_too_large", "splitSizeMb"),
            (28, "disk_full", "make room"),
            (30, "disk_read_only", "mount"),
            (122, "disk_quota", "quota"),
            (5, "disk", "a.mp4"),
        ] {
            let error = Error::Disk { file: "a.mp4".into(), source: io::Error::from_raw_os_error(number) };
            assert_eq!(error.class(), class);
            assert!(error.to_string().contains(word), "{error}");
        }
    }
}
