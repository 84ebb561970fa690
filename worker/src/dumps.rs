//! No core dump and no debugger of another program: the memory of a serving process holds prompts, answers and prekeys,
//! and a crash must not write them to a disk. What is in swap is the operator's to keep (`worker --help` says how).

use std::io;

/// From here on this process leaves no core dump, whatever the system's settings are.
///
/// # Errors
/// When the system refuses.
#[cfg(unix)]
pub fn forbid() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    forbid_reading()
}

/// The limit does not bind a system that hands dumps to a program (core(5)); this does, and it keeps other programs of
/// the same user from reading this one's memory.
#[cfg(target_os = "linux")]
fn forbid_reading() -> io::Result<()> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn forbid_reading() -> io::Result<()> {
    Ok(())
}

/// Nothing dumps there unless its owner sets the system up for it.
///
/// # Errors
/// Never.
#[cfg(not(unix))]
pub fn forbid() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

    #[test]
    fn neither_the_kernel_nor_a_program_of_the_system_dumps() {
        forbid().unwrap();
        let limit = getrlimit(Resource::Core);
        assert_eq!((limit.current, limit.maximum), (Some(0), Some(0)));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
