//! Child processes: each in a group of its own, and none outlives the task that started it.

use crate::{Failure, root};
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::Mutex;

/// The process groups that are to end when this task is asked to (Ctrl-C, SIGTERM).
static GROUPS: Mutex<Vec<u32>> = Mutex::new(Vec::new());

/// From here on Ctrl-C and SIGTERM end every child before this task.
///
/// # Errors
/// When the handler cannot be set.
pub fn end_children_with_me() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        let groups = GROUPS.lock().map(|groups| groups.clone()).unwrap_or_default();
        for name in ["TERM", "KILL"] {
            for group in &groups {
                signal(*group, name);
            }
            std::thread::sleep(std::time::Duration::from_millis(if name == "TERM" { 1_500 } else { 0 }));
        }
        std::process::exit(130);
    })
    .map_err(|error| format!("cannot watch for Ctrl-C: {error}"))
}

/// Signals a whole process group. `kill` is built into every shell, but no program of its own on every machine.
fn signal(group: u32, name: &str) {
    let order = format!("kill -{name} -{group}");
    let _ = Command::new("sh").args(["-c", &order]).stderr(Stdio::null()).status();
}

/// A command that runs in the repository's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
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
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{what} could not start: {error}. {advice}"))?;
    check(output.status, what, advice)?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
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
        let mut child = command
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{what} could not start: {error}"))?;
        if let Ok(mut groups) = GROUPS.lock() {
            groups.push(child.id());
        }
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
        if let Ok(mut groups) = GROUPS.lock() {
            groups.retain(|other| *other != group);
        }
    }
}
