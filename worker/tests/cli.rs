//! The program as an operator meets it: exit codes, and errors that say what to do.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU64, Ordering},
};

/// A state folder of its own, removed afterwards.
struct Machine(PathBuf);

impl Machine {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("privacyai-cli-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn command(&self, variables: &[(&str, &str)], arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        for name in ["PROVIDER_ID", "PROVIDER_NAME", "MARKETPLACE_MODE", "ENABLE_ENCRYPTION", "ENABLE_PAYMENTS"] {
            command.env_remove(name);
        }
        command.env("XDG_STATE_HOME", &self.0).env("XDG_CACHE_HOME", self.0.join("cache"));
        command.envs(variables.iter().copied()).args(arguments).stdin(Stdio::null());
        command
    }

    fn config(&self, text: &str) -> String {
        let path = self.0.join("w.toml");
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs to the end; the exit code and these words on stderr or stdout are expected.
    fn check(&self, variables: &[(&str, &str)], arguments: &[&str], code: i32, words: &[&str]) {
        let Output { status, stdout, stderr } = self.command(variables, arguments).output().unwrap();
        let said = String::from_utf8_lossy(&stderr) + String::from_utf8_lossy(&stdout);
        assert_eq!(status.code(), Some(code), "{variables:?} {arguments:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{variables:?} {arguments:?}: {word:?} is not in: {said}");
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that is ended with the test.
struct Running(Child);

impl Running {
    /// Starts one and reads on until it serves.
    fn start(mut command: Command) -> (Self, String) {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = said.next().expect("it ended before it served").unwrap();
        (Self(child), line)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_that_is_typed_is_not_said_again() {
    let machine = Machine::new();
    for key in ["ab".repeat(32), format!("0x{}", "1F".repeat(32)), format!(" 0X{}", "00".repeat(32))] {
        let Output { status, stdout, stderr } =
            machine.command(&[], &["chain", "account", "import", &key]).output().unwrap();
        let said = String::from_utf8_lossy(&stderr) + String::from_utf8_lossy(&stdout);
        assert!(!status.success() && said.contains("is a file with one") && !said.contains(&key[4..]), "{said}");
    }
    machine.check(&[], &["chain", "account", "import", "nowhere"], 1, &["nowhere cannot be read"]);
}

#[cfg(unix)]
#[test]
fn an_interrupted_passphrase_leaves_the_terminal_as_it_was() {
    use rustix::{fs, pty, termios};
    let ours = pty::openpt(pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY).unwrap();
    pty::grantpt(&ours).unwrap();
    pty::unlockpt(&ours).unwrap();
    let name = pty::ptsname(&ours, Vec::new()).unwrap();
    let terminal = fs::open(&name, fs::OFlags::RDWR | fs::OFlags::NOCTTY, fs::Mode::empty()).unwrap();
    let modes = || termios::tcgetattr(&terminal).unwrap().local_modes;
    let before = modes();
    let machine = Machine::new();
    let mut command = machine.command(&[], &["chain", "account", "new"]);
    command.env_remove("CHAIN_PASSPHRASE").stdin(terminal.try_clone().unwrap()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut prompt = Vec::new();
    while !prompt.ends_with(b": ") {
        assert_eq!(said.by_ref().take(1).read_to_end(&mut prompt).unwrap(), 1, "{prompt:?}");
    }
    assert!(!modes().contains(termios::LocalModes::ECHO), "what is typed is shown");
    rustix::io::write(&ours, b"secret\x03").unwrap();
    assert!(!child.wait().unwrap().success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("no passphrase was given"), "{rest}");
    assert_eq!(modes(), before);
}

#[test]
fn what_is_wrong_is_said_with_its_fix() {
    let machine = Machine::new();
    machine.check(&[("ENABLE_ENCRYPTION", "false")], &["run"], 2, &["is refused", "sealed end to end", "to fix"]);
    machine.check(&[("PROVIDER_ID", "a/b")], &["run"], 2, &["PROVIDER_ID", "'/' is not allowed"]);
    machine.check(&[], &["invite"], 1, &["no worker runs", "worker run"]);
    machine.check(&[], &["run"], 1, &["smollm2", "worker model pull smollm2"]);
    machine.check(&[], &["run", "--network", "pam1:%%%"], 2, &["the invite is not usable"]);
    machine.check(&[], &["run", "--network", "/nonexistent"], 2, &["network file /nonexistent"]);
    machine.check(&[], &["fly"], 2, &["unrecognized subcommand"]);
    let config = machine.config("[worker]\n\nlisten_port = 1\n");
    machine.check(&[], &["check-config", "--config", &config], 2, &["w.toml:3: unknown field `listen_port`"]);
    let config = machine.config("[[backend]]\nname = \"a\"\nkind = \"embedded\"\nmodel_path = \"none.gguf\"\n");
    machine.check(&[], &["run", "--config", &config], 1, &["none.gguf", "correct model_path"]);
    let config = machine.config("[[backend]]\nname = \"a\"\nkind = \"embedded\"\nmodel_path = \"w.toml\"\n");
    machine.check(&[], &["run", "--config", &config], 1, &["backend \"a\"", "w.toml"]);
}

#[test]
fn what_is_right_is_said_too() {
    let machine = Machine::new();
    machine.check(&[], &["--version"], 0, &["worker 0."]);
    machine.check(&[], &["--help"], 0, &["PROVIDER_ID", "Exit codes"]);
    machine.check(&[("ENABLE_PAYMENTS", "true")], &["check-config"], 0, &["payments are not there yet", "smollm2"]);
    machine.check(&[("PROVIDER_ID", "mine")], &["init"], 0, &["worker.toml is written", "fingerprint"]);
    machine.check(&[("PROVIDER_ID", "mine")], &["init"], 0, &["is kept"]);
    machine.check(&[("PROVIDER_ID", "mine")], &["check-config"], 0, &["configuration is good", "worker.toml"]);
    machine.check(&[], &["model", "list"], 0, &["smollm2-135m-instruct"]);
}

#[test]
fn one_worker_has_an_id_and_a_configured_port() {
    let machine = Machine::new();
    let (node, line) = Running::start(machine.command(&[("PROVIDER_ID", "one")], &["node"]));
    assert!(line.starts_with("ready: one (entry node) on /ip4/127.0.0.1/tcp/"), "{line}");
    let pid = node.0.id().to_string();
    machine.check(&[("PROVIDER_ID", "one")], &["node"], 1, &["PROVIDER_ID=one", &format!("process {pid}")]);
    machine.check(&[("PROVIDER_ID", "one")], &["invite"], 0, &["pam1:"]);
    machine.check(&[("PROVIDER_ID", "two")], &["invite"], 1, &["no worker with PROVIDER_ID=two"]);

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for field in ["tcp_port", "ws_port"] {
        let config = machine.config(&format!("[worker]\n{field} = {port}\n"));
        machine.check(&[], &["node", "--config", &config], 1, &[&format!("port {port} is in use"), field]);
    }
}

/// What is in the memory of a serving process must not be written to a disk when it crashes.
#[cfg(target_os = "linux")]
#[test]
fn a_serving_worker_leaves_no_core_dump() {
    let machine = Machine::new();
    let config = machine.config(
        "[[backend]]\nname = \"gone\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:9/v1\"\n\
         [[model]]\nid = \"m\"\nbackends = [\"gone\"]\n",
    );
    for (id, arguments) in [("one", vec!["node"]), ("two", vec!["run", "--config", &config])] {
        let mut command = Command::new("sh");
        command.args(["-c", "ulimit -S -c \"$(ulimit -H -c)\"; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_worker")]);
        command.env("XDG_STATE_HOME", &machine.0).env("PROVIDER_ID", id).args(&arguments).stdin(Stdio::null());
        let (running, _) = Running::start(command);
        let limits = fs::read_to_string(format!("/proc/{}/limits", running.0.id())).unwrap();
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
        let (soft, hard) = (core.split_whitespace().nth(4), core.split_whitespace().nth(5));
        assert_eq!((soft, hard), (Some("0"), Some("0")), "{arguments:?}: {limits}");
    }
}
