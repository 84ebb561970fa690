//! A fingerprint of the Solidity and of what it is compiled with: `cargo xtask contracts` writes it beside the ABIs, and
//! `build.rs` fails where it is another. It finds drift and proves nothing.

use std::{fs, io, path::Path};

/// Where it is kept, in the contracts' folder.
pub const FILE: &str = "abi/sources.fnv";

/// FNV-1a over the code of every contract, in the order of paths. Comments and blank lines change no ABI.
pub fn fingerprint(contracts: &Path) -> io::Result<String> {
    let mut files = vec![contracts.join("package-lock.json")];
    gather(&contracts.join("src"), &mut files)?;
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for file in files {
        let text = fs::read_to_string(&file)?;
        let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
        for byte in code.flat_map(|line| line.bytes().chain([b'\n'])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    Ok(format!("{hash:016x}\n"))
}

/// Every `.sol` in a folder and below it.
pub fn gather(folder: &Path, files: &mut Vec<std::path::PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            gather(&path, files)?;
        } else if path.extension().is_some_and(|end| end == "sol") {
            files.push(path);
        }
    }
    Ok(())
}
