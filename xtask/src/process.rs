//! Child processes: each in a group of its own, and none outlives the task that started it.

use crate::{Failure, root};
use std::ffi::OsStr;
use std::fs::{self, DirBuilder};
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// Between two looks at what is to end.
const LOOK: Duration = Duration::from_millis(50);
/// Looks until children that do not end by themselves are killed.
const LOOKS: u32 = 60;

/// What ends with this task.
static CHILDREN: Mutex<Children> = Mutex::new(Children { groups: Vec::new(), ending: false });

struct Children {
    /// Process groups.
    groups: Vec<u32>,
    /// The task was asked to end (Ctrl-C, SIGTERM): nothing starts any more.
    ending: bool,
}

/// A panicking holder leaves the list whole.
fn children() -> MutexGuard<'static, Children> {
    CHILDREN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From here on Ctrl-C and SIGTERM end every child before this task, and the returned value removes their temporary
/// files at the task's own end.
///
/// # Errors
/// When the handler cannot be set.
pub fn end_children_with_me() -> Result<Scratch, Failure> {
    ctrlc::set_handler(|| {
        end_children();
        std::process::exit(130);
    })
    .map(|()| Scratch)
    .map_err(|error| format!("cannot watch for Ctrl-C: {error}"))
}

/// Asks all children to end, kills those that do not, and removes what they left in the temporary folder.
fn end_children() {
    let groups = {
        let mut children = children();
        children.ending = true;
        children.groups.clone()
    };
    for group in &groups {
        signal(*group, "TERM");
    }
    for _ in 0..LOOKS {
        if !groups.iter().any(|group| signal(*group, "0")) {
            break;
        }
        std::thread::sleep(LOOK);
    }
    for group in &groups {
        signal(*group, "KILL");
    }
    remove_scratch();
}

/// Where a task goes that is being ended: the handler of the signal is about to end the process.
fn wait_for_the_end() -> ! {
    loop {
        std::thread::park();
    }
}

/// Signals a whole process group; true when there is one. `kill` is built into every shell, but no program of its own
/// on every machine.
fn signal(group: u32, name: &str) -> bool {
    let order = format!("kill -{name} -{group}");
    Command::new("sh").args(["-c", &order]).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// The temporary folder of all children: what a killed one leaves goes with it.
static SCRATCH: OnceLock<Option<PathBuf>> = OnceLock::new();

/// None where a person wants to look at what the browser tests leave (`KEEP_MARKET`).
fn scratch() -> Option<&'static Path> {
    let folder = SCRATCH.get_or_init(|| {
        if std::env::var_os("KEEP_MARKET").is_some() {
            return None;
        }
        let folder = std::env::temp_dir().join(format!("privacyai-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).ok().map(|()| folder)
    });
    folder.as_deref()
}

/// A process that was just killed may still finish a write.
fn remove_scratch() {
    let Some(Some(folder)) = SCRATCH.get() else { return };
    for _ in 0..LOOKS {
        if fs::remove_dir_all(folder).is_ok() || !folder.exists() {
            return;
        }
        std::thread::sleep(LOOK);
    }
}

/// Removes the children's temporary folder when dropped.
pub struct Scratch;

impl Drop for Scratch {
    fn drop(&mut self) {
        if children().ending {
            wait_for_the_end();
        }
        remove_scratch();
    }
}

/// A command that runs in the repository's root and puts its temporary files where they are removed.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    if let Some(folder) = scratch() {
        command.env("TMPDIR", folder);
    }
    command
}

/// Cargo, the one that runs this task.
pub fn cargo() -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set by the outer `cargo xtask`; they would make every build of ours look changed.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_PKG_NAME", "CARGO_PKG_VERSION", "CARGO_MANIFEST_PATH"] {
        command.env_remove(name);
    }
    command
}

/// Runs to the end, with its output shown.
///
/// # Errors
/// When it cannot start or does not exit with 0; `advice` says what a person can do then.
pub fn run(command: &mut Command, what: &str, advice: &str) -> Result<(), Failure> {
    Group::start(command, what).map_err(|failure| format!("{failure}. {advice}"))?.wait_for(advice)
}

/// Runs to the end and gives its standard output.
///
/// # Errors
/// As [`run`].
pub fn output(command: &mut Command, what: &str, advice: &str) -> Result<String, Failure> {
    let started = Group::start(command.stdout(Stdio::piped()), what);
    let mut group = started.map_err(|failure| format!("{failure}. {advice}"))?;
    let mut output = Vec::new();
    if let Some(mut stdout) = group.stdout() {
        stdout.read_to_end(&mut output).map_err(|error| format!("{what}: {error}. {advice}"))?;
    }
    group.wait_for(advice)?;
    Ok(String::from_utf8_lossy(&output).into_owned())
}

fn check(status: ExitStatus, what: &str, advice: &str) -> Result<(), Failure> {
    if status.success() { Ok(()) } else { Err(format!("{what} failed ({status}). {advice}")) }
}

/// Is there a program of this name on the path?
pub fn on_path(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Where cargo puts what it builds.
///
/// # Errors
/// When `cargo metadata` fails.
pub fn target_folder() -> Result<PathBuf, Failure> {
    let text = output(
        cargo().args(["metadata", "--format-version", "1", "--no-deps", "--offline"]),
        "cargo metadata",
        "Is this a whole checkout?",
    )?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| format!("cargo metadata: {error}"))?;
    value["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .ok_or_else(|| "cargo metadata names no target folder".to_owned())
}

/// A path that the user gave, against the folder that the command was typed in.
///
/// # Errors
/// When that folder is gone.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// A running child whose whole process group ends with this value.
pub struct Group {
    child: Child,
    what: String,
    /// Held open: a child that watches its stdin ends with this task, even when the task is killed.
    _stdin: Option<ChildStdin>,
}

impl Group {
    /// Starts it in a process group of its own.
    ///
    /// # Errors
    /// When it cannot start.
    pub fn start(command: &mut Command, what: &str) -> Result<Self, Failure> {
        // Held over the start: a child is either ended by the handler or never started.
        let mut children = children();
        if children.ending {
            drop(children);
            wait_for_the_end();
        }
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{what} could not start: {error}"))?;
        children.groups.push(child.id());
        drop(children);
        let stdin = child.stdin.take();
        Ok(Self { child, what: what.to_owned(), _stdin: stdin })
    }

    /// Its standard output, where that was piped.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it does not exit with 0.
    pub fn wait(self) -> Result<(), Failure> {
        self.wait_for("Its output above says why.")
    }

    fn wait_for(mut self, advice: &str) -> Result<(), Failure> {
        let status = self.child.wait().map_err(|error| format!("{}: {error}", self.what))?;
        if children().ending {
            wait_for_the_end();
        }
        check(status, &self.what, advice)
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().is_ok_and(|status| status.is_some())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let group = self.child.id();
        if !self.has_ended() {
            signal(group, "TERM");
            for _ in 0..80 {
                if self.has_ended() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(50));
            }
        }
        // Its own children may still be there.
        signal(group, "KILL");
        let _ = self.child.wait();
        children().groups.retain(|other| *other != group);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader};

    #[test]
    fn an_ended_task_leaves_no_process_and_no_file() {
        // A child that will not end, with one of its own, and a folder that both write to.
        let script = "trap '' TERM; mkdir \"$TMPDIR/kept\"; (trap '' TERM; echo ready; while :; do \
                      : > \"$TMPDIR/kept/$$\"; sleep 0.01; done) & wait; while :; do sleep 1; done";
        let mut child = Group::start(command("sh").args(["-c", script]).stdout(Stdio::piped()), "a child").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout().unwrap()).read_line(&mut line).unwrap();
        let (group, folder) = (child.child.id(), scratch().unwrap());
        assert!(line == "ready\n" && signal(group, "0") && folder.join("kept").exists());
        // The task waits for its child meanwhile, and goes no further.
        std::thread::spawn(move || child.wait());
        end_children();
        assert!(!folder.exists());
        for _ in 0..LOOKS {
            if !signal(group, "0") {
                break;
            }
            std::thread::sleep(LOOK);
        }
        assert!(!signal(group, "0"), "a process is left");
    }
}
