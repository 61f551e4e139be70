//! The stand-in for NVIDIA's driver: compiled once, and given to each test in a directory of its own, where the test says
//! how it behaves and finds what it was asked.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
};

use stream_manager::encode::nvenc::{Access, set_access};
use tempfile::TempDir;

const LIBRARIES: [(&str, &str); 2] = [("cuda.c", "libcuda.so.1"), ("nvenc.c", "libnvidia-encode.so.1")];

/// A process gets at one driver at a time.
static TURN: Mutex<()> = Mutex::new(());

/// A driver of this test's own, and this process's way to it while it lasts.
pub(crate) struct Stand {
    directory: TempDir,
    _turn: MutexGuard<'static, ()>,
}

fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/nvenc/driver").join(name)
}

/// The compiled libraries.
fn compiled() -> &'static Path {
    static COMPILED: OnceLock<TempDir> = OnceLock::new();
    let compile = || {
        let directory = tempfile::tempdir().unwrap();
        for (name, library) in LIBRARIES {
            let mut command = Command::new("cc");
            command.args(["-O2", "-fPIC", "-shared", "-fvisibility=hidden", "-Wall", "-Wextra", "-Werror"]);
            command.args(["-Wno-deprecated-declarations", "-o"]).arg(directory.path().join(library)).arg(source(name));
            let output = command.output().expect("cc is needed");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "apt-get install libffmpeg-nvenc-dev\n{said}");
        }
        directory
    };
    COMPILED.get_or_init(compile).path()
}

impl Stand {
    /// A driver that behaves as `scenario` says, lines of KEY=VALUE.
    pub(crate) fn new(scenario: &str) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let stand = Self { directory: tempfile::tempdir().unwrap(), _turn: turn };
        for (_, library) in LIBRARIES {
            fs::copy(compiled().join(library), stand.path().join(library)).unwrap();
        }
        fs::write(stand.path().join("scenario"), scenario).unwrap();
        set_access(Access { directory: Some(stand.path().into()), probe: None });
        stand
    }

    /// No driver at all, in this test's own directory.
    pub(crate) fn empty() -> Self {
        let stand = Self::new("");
        LIBRARIES.iter().for_each(|(_, library)| fs::remove_file(stand.path().join(library)).unwrap());
        stand
    }

    /// What a strict driver finds wrong with the program of this name beside it, a line each, and how many faults it noted.
    pub(crate) fn finds(&self, program: &str) -> (String, usize) {
        let (source, binary) = (source(program), self.file("program"));
        let mut command = Command::new("cc");
        command.args(["-Wall", "-Wextra", "-Werror", "-Wno-deprecated-declarations", "-o"]).arg(&binary).arg(source);
        let compiled = command.output().expect("cc is needed");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        let ran = Command::new(&binary).arg(self.path()).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        (String::from_utf8(ran.stdout).unwrap(), self.recorded().matches("FAULT").count())
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    fn recorded(&self) -> String {
        fs::read_to_string(self.path().join("calls")).unwrap_or_default()
    }

    /// What it was asked so far; that it found no fault is checked.
    #[track_caller]
    pub(crate) fn calls(&self) -> Vec<String> {
        let recorded = self.recorded();
        assert!(!recorded.contains("FAULT"), "{recorded}");
        recorded.lines().map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }

    /// The calls that begin so.
    #[track_caller]
    pub(crate) fn calls_of(&self, start: &str) -> Vec<String> {
        self.calls().into_iter().filter(|call| call.starts_with(start)).collect()
    }

    /// How many processes made a call that begins so.
    pub(crate) fn processes_of(&self, start: &str) -> usize {
        let recorded = self.recorded();
        let calls = recorded.lines().filter_map(|line| line.split_once(' '));
        calls.filter(|(_, call)| call.starts_with(start)).map(|(process, _)| process).collect::<BTreeSet<_>>().len()
    }

    /// All is given back: sessions and contexts.
    #[track_caller]
    pub(crate) fn is_left_clean(&self) {
        let count = |start: &str| self.calls_of(start).len();
        assert_eq!(count("cuDevicePrimaryCtxRetain"), count("cuDevicePrimaryCtxRelease"), "contexts");
        let destroyed = count("destroy") - count("destroy input") - count("destroy output");
        assert_eq!(destroyed, count("opened"), "sessions");
        assert_eq!(count("destroy input"), count("destroy output"), "buffers");
    }

    /// A file in its directory.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        set_access(Access::default());
    }
}
