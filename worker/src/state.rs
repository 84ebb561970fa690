//! The state folder of one provider: locked by the one worker that uses it, keys readable by its owner only.
//!
//! `$XDG_STATE_HOME/privacyai/<PROVIDER_ID>` holds the root key, the operational key, the Waku node's identity,
//! `worker.db` and the configuration. A backup is a copy of it while the worker is stopped.

use std::{
    fmt,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};
use zeroize::Zeroizing;

/// The database's name inside the folder.
pub const DATABASE: &str = "worker.db";
/// The Waku node's message store inside the folder.
pub const MESSAGES: &str = "messages.db";
const LOCK: &str = "lock";
/// A secret is 32 bytes: scalars of P-256, seeds of ed25519.
const SECRET_BYTES: usize = 32;
/// Looks at a taken lock, see [`lock_patiently`].
const LOCK_TRIES: u32 = 10;
/// Between two of them.
const LOCK_PAUSE: Duration = Duration::from_millis(20);

/// An open state folder. The lock is held as long as this lives.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    /// Closing the file gives the lock back, also when the process is killed.
    _lock: File,
}

/// The folder of all state folders of this user.
///
/// # Errors
/// When neither `XDG_STATE_HOME` nor a home is set.
pub fn base(look_up: impl Fn(&str) -> Option<String>) -> Result<PathBuf, StateError> {
    let set = |name: &str| look_up(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME")
        .filter(|path| path.is_absolute())
        .or_else(|| set("HOME").map(|home| home.join(".local").join("state")))
        .or_else(|| set("LOCALAPPDATA"))
        .map(|path| path.join("privacyai"))
        .ok_or(StateError::NoHome)
}

impl StateFolder {
    /// Opens, and makes where it is missing, the folder of `provider_id` inside `base`, and locks it.
    ///
    /// # Errors
    /// [`StateError::InUse`] names the worker that has it.
    pub fn open(base: &Path, provider_id: &str) -> Result<Self, StateError> {
        let path = base.join(provider_id);
        create_private_dir(&path).map_err(|error| StateError::Io(path.clone(), error))?;
        let lock_path = path.join(LOCK);
        let failed = |error| StateError::Io(lock_path.clone(), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        private(&mut options);
        let mut lock = options.open(&lock_path).map_err(failed)?;
        match lock_patiently(&lock) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                // The owner wrote its number there; on systems whose locks forbid reading it stays unknown.
                let _ = lock.take(32).read_to_string(&mut pid);
                return Err(StateError::InUse { provider_id: provider_id.to_owned(), pid: pid.trim().parse().ok() });
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        lock.set_len(0).and_then(|()| lock.rewind()).map_err(failed)?;
        writeln!(lock, "{}", std::process::id()).map_err(failed)?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The secret of this name, made by `generate` where there is none yet.
    ///
    /// # Errors
    /// [`StateError::Exposed`] when others can read it, [`StateError::Damaged`] when it has the wrong size: a lost key
    /// is never replaced in silence, because it is who the provider is.
    pub fn secret(
        &self,
        name: &str,
        generate: impl FnOnce() -> Zeroizing<[u8; SECRET_BYTES]>,
    ) -> Result<Zeroizing<[u8; SECRET_BYTES]>, StateError> {
        let path = self.path.join(name);
        match read_secret(&path) {
            Ok(secret) => Ok(secret),
            Err(StateError::Io(_, error)) if error.kind() == io::ErrorKind::NotFound => {
                let secret = generate();
                write_private(&path, secret.as_slice()).map_err(|error| StateError::Io(path, error))?;
                Ok(secret)
            }
            Err(error) => Err(error),
        }
    }

    /// Replaces the secret of this name.
    ///
    /// # Errors
    /// When it cannot be written; the old one is then still there.
    pub fn replace_secret(&self, name: &str, secret: &[u8; SECRET_BYTES]) -> Result<(), StateError> {
        let path = self.path.join(name);
        write_private(&path, secret).map_err(|error| StateError::Io(path, error))
    }
}

/// Takes the lock, with a second look or two: another worker's look at whether this one runs may hold it for an instant.
fn lock_patiently(lock: &File) -> Result<(), TryLockError> {
    for _ in 1..LOCK_TRIES {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
            other => return other,
        }
    }
    lock.try_lock()
}

/// Whether a worker uses the state folder of this id now.
pub fn is_in_use(base: &Path, provider_id: &str) -> bool {
    match File::open(base.join(provider_id).join(LOCK)) {
        // A shared look does not keep two lookers from each other, and is over before a starting worker retries.
        Ok(lock) => matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)),
        Err(_) => false,
    }
}

/// The secret in this file.
///
/// # Errors
/// As [`StateFolder::secret`].
pub(crate) fn read_secret(path: &Path) -> Result<Zeroizing<[u8; SECRET_BYTES]>, StateError> {
    let failed = |error| StateError::Io(path.to_owned(), error);
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if is_exposed(&metadata) {
        return Err(StateError::Exposed(path.to_owned()));
    }
    if metadata.len() != SECRET_BYTES as u64 {
        return Err(StateError::Damaged(path.to_owned()));
    }
    let mut secret = Zeroizing::new([0; SECRET_BYTES]);
    file.read_exact(secret.as_mut_slice()).map_err(failed)?;
    Ok(secret)
}

/// Writes a file that only its owner reads, whole or not at all: beside it first, then renamed over it.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // What a crash left behind would keep its old mode.
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&temporary, path)?;
    // The rename itself is on disk once the folder is; not every system can open one.
    if let Some(Ok(folder)) = path.parent().map(File::open) {
        let _ = folder.sync_all();
    }
    Ok(())
}

/// Makes an empty file that only its owner reads, unless it exists.
pub(crate) fn touch_private(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    private(&mut options);
    options.open(path).map(drop)
}

/// Makes a folder and its missing parents; the folder itself is its owner's alone.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut builder = fs::DirBuilder::new();
    private_dir(&mut builder);
    match builder.create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        other => other,
    }
}

#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600);
}

#[cfg(unix)]
fn private_dir(builder: &mut fs::DirBuilder) {
    use std::os::unix::fs::DirBuilderExt as _;
    builder.mode(0o700);
}

#[cfg(unix)]
fn is_exposed(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

/// Elsewhere the user's own folder is private by itself.
#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[cfg(not(unix))]
fn private_dir(_: &mut fs::DirBuilder) {}

#[cfg(not(unix))]
fn is_exposed(_: &fs::Metadata) -> bool {
    false
}

/// Why a state folder cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// There is no folder for state.
    NoHome,
    /// Another worker has it.
    InUse {
        /// Its PROVIDER_ID.
        provider_id: String,
        /// The other worker's process, where it could be read.
        pid: Option<u32>,
    },
    /// Others can read this secret.
    Exposed(PathBuf),
    /// This secret has the wrong size.
    Damaged(PathBuf),
    /// The file system refused.
    Io(PathBuf, io::Error),
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => f.write_str("there is no folder for state\n  to fix: set HOME or XDG_STATE_HOME"),
            Self::InUse { provider_id, pid } => {
                write!(f, "a worker with PROVIDER_ID={provider_id} runs already")?;
                if let Some(pid) = pid {
                    write!(f, " (process {pid})")?;
                }
                f.write_str("\n  to fix: stop it, or start this one with another PROVIDER_ID")
            }
            Self::Exposed(path) => write!(
                f,
                "{} can be read by others\n  to fix: chmod 600 {0}; if others may have read it, start anew with another \
                 PROVIDER_ID",
                path.display()
            ),
            Self::Damaged(path) => write!(
                f,
                "{} is damaged\n  to fix: restore it from a backup; without it this provider's identity is lost",
                path.display()
            ),
            Self::Io(path, error) => write!(
                f,
                "{}: {error}\n  to fix: give this user the folder, or set XDG_STATE_HOME to one that is writable",
                path.display()
            ),
        }
    }
}

impl std::error::Error for StateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn one_worker_has_a_state_folder() {
        let scratch = Scratch::new();
        let first = StateFolder::open(scratch.path(), "a").unwrap();
        let error = StateFolder::open(scratch.path(), "a").unwrap_err();
        assert!(matches!(&error, StateError::InUse { pid: Some(pid), .. } if *pid == std::process::id()), "{error}");
        assert!(error.to_string().contains("PROVIDER_ID=a"), "{error}");
        assert!(is_in_use(scratch.path(), "a"));
        StateFolder::open(scratch.path(), "b").unwrap();
        drop(first);
        assert!(!is_in_use(scratch.path(), "a"));
        StateFolder::open(scratch.path(), "a").unwrap();
    }

    #[test]
    fn secrets_last_and_are_their_owners_alone() {
        let scratch = Scratch::new();
        let made = {
            let folder = StateFolder::open(scratch.path(), "a").unwrap();
            folder.secret("root.key", || Zeroizing::new([7; 32])).unwrap()
        };
        let folder = StateFolder::open(scratch.path(), "a").unwrap();
        let again = folder.secret("root.key", || Zeroizing::new([8; 32])).unwrap();
        assert_eq!(made, again);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            let key = folder.path().join("root.key");
            assert_eq!(mode(folder.path()), 0o700);
            assert_eq!(mode(&key), 0o600);
            fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
            let error = folder.secret("root.key", || unreachable!()).unwrap_err();
            assert!(matches!(error, StateError::Exposed(_)), "{error}");
            fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder.replace_secret("root.key", &[9; 32]).unwrap();
        assert_eq!(folder.secret("root.key", || unreachable!()).unwrap().as_slice(), [9; 32]);
        fs::write(folder.path().join("root.key"), b"short").unwrap();
        let error = folder.secret("root.key", || unreachable!()).unwrap_err();
        assert!(matches!(error, StateError::Damaged(_)), "{error}");
    }

    #[test]
    fn the_base_follows_the_environment() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let base =
                base(|name| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()));
            assert_eq!(base.ok(), expected.map(PathBuf::from), "{variables:?}");
        };
        check(&[("XDG_STATE_HOME", "/s"), ("HOME", "/h")], Some("/s/privacyai"));
        check(&[("HOME", "/h")], Some("/h/.local/state/privacyai"));
        check(&[("XDG_STATE_HOME", "relative"), ("HOME", "/h")], Some("/h/.local/state/privacyai"));
        check(&[], None);
    }
}
