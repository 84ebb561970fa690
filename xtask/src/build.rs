//! Packs the extension into dist/: one wasm, its glue, the js-waku bundle, the style sheet, pages and icons.

use crate::process::{self, cargo, target_folder};
use crate::{Failure, npm, root, say, setup};
use clap::Args;
use std::path::{Path, PathBuf};
use wasm_bindgen_cli_support::Bindgen;

/// How to build.
#[derive(Args, Default)]
pub struct Options {
    /// Quick and large: the dev profile, without wasm-opt
    #[arg(long)]
    dev: bool,
}

/// Where cargo takes the flags of wasm32 builds from.
pub const FLAGS: &str = "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS";

/// Builds dist/ and gives its path.
///
/// # Errors
/// When a step fails.
pub fn pack(options: &Options) -> Result<PathBuf, Failure> {
    npm::install()?;
    setup::wasm_target()?;
    let dist = root().join("dist");
    let fresh = root().join("dist.new");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    }
    std::fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    wasm(options, &fresh)?;
    say("Bundling scripts and styles");
    scripts(&fresh)?;
    styles(&fresh)?;
    copy(&root().join("manifest.json"), &fresh.join("manifest.json"))?;
    copy_folder(&root().join("assets/html"), &fresh)?;
    copy_folder(&root().join("assets/icons"), &fresh.join("icons"))?;
    if dist.exists() {
        std::fs::remove_dir_all(&dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    }
    std::fs::rename(&fresh, &dist).map_err(|error| format!("{}: {error}", dist.display()))?;
    Ok(dist)
}

/// Builds dist/ and says how to load it.
///
/// # Errors
/// When a step fails.
pub fn run(options: &Options) -> Result<(), Failure> {
    let dist = pack(options)?;
    let dist = dist.display();
    println!("The extension is in {dist}");
    println!("  Chromium, Brave:  open chrome://extensions (brave://extensions), switch Developer mode on,");
    println!("                    press Load unpacked and choose that folder");
    println!("  Chrome:           the same under chrome://extensions");
    println!("  Edge:             the same under edge://extensions");
    println!("Building again keeps your data; press Reload there. Removing the extension deletes all of it.");
    Ok(())
}

fn wasm(options: &Options, fresh: &Path) -> Result<(), Failure> {
    let (profile, folder) = if options.dev { ("dev", "debug") } else { ("extension", "extension") };
    say("Building the extension's wasm");
    let mut build = cargo();
    build.args(["build", "--package", "privacyai-extension", "--target", "wasm32-unknown-unknown"]);
    build.args(["--profile", profile]);
    if !options.dev {
        build.env(FLAGS, release_flags());
    }
    process::run(&mut build, "building the extension", "The compiler's message above says where.")?;
    let target = target_folder()?;
    let built = target.join("wasm32-unknown-unknown").join(folder).join("privacyai_extension.wasm");
    // Shrinking takes most of the time, so its result is kept for as long as the compiler gives the same file.
    let kept = target.join(format!("extension-{profile}"));
    let stamp = kept.join("stamp");
    let made_from = stamp_of(&built)?;
    if !std::fs::read_to_string(&stamp).is_ok_and(|had| had == made_from) {
        if kept.exists() {
            std::fs::remove_dir_all(&kept).map_err(|error| format!("{}: {error}", kept.display()))?;
        }
        bind(&built, &kept, options)?;
        std::fs::write(&stamp, made_from).map_err(|error| format!("{}: {error}", stamp.display()))?;
    }
    copy_folder(&kept, fresh)?;
    std::fs::remove_file(fresh.join("stamp")).map_err(|error| format!("stamp: {error}"))
}

/// What changes when the compiler writes a file anew, or when other tools would be run on it.
fn stamp_of(file: &Path) -> Result<String, Failure> {
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    let facts = std::fs::metadata(file).map_err(failed)?;
    let written = facts.modified().map_err(failed)?;
    let lock = std::fs::metadata(root().join("package-lock.json")).map(|lock| lock.len()).unwrap_or(0);
    Ok(format!("{} {written:?} {lock}", facts.len()))
}

/// Writes the glue and the module, shrunk unless this is a quick build.
fn bind(built: &Path, out: &Path, options: &Options) -> Result<(), Failure> {
    let mut bindgen = Bindgen::new();
    bindgen
        .input_path(built)
        .web(true)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?
        .out_name("app")
        .typescript(false)
        .remove_producers_section(!options.dev)
        .generate(out)
        .map_err(|error| format!("wasm-bindgen: {error:#}"))?;
    if options.dev {
        return Ok(());
    }
    say("Shrinking the wasm");
    let file = out.join("app_bg.wasm");
    // In the order of their names, functions made from one source stand next to each other: gzip looks back 32 KiB and
    // finds them alike, which saves 3 % of a download. Without --debuginfo the names go.
    process::run(
        npm::program("wasm-opt")
            .args(["-Oz", "--converge", "--reorder-functions-by-name", "--strip-producers", "--strip-target-features"])
            .arg(&file)
            .arg("-o")
            .arg(&file),
        "wasm-opt",
        "Delete node_modules and run the command again.",
    )
}

/// No path of the building machine may stand in what is shipped: the same source gives the same bytes everywhere.
pub fn release_flags() -> String {
    let mut flags = vec![format!("--remap-path-prefix={}=.", root().display())];
    let home = std::env::var("CARGO_HOME").ok().or_else(|| std::env::var("HOME").ok().map(|home| home + "/.cargo"));
    if let Some(home) = home {
        flags.push(format!("--remap-path-prefix={home}=cargo"));
    }
    flags.join(" ")
}

/// What js-waku is made of is bundled, with what its parts share in files of their own.
fn scripts(fresh: &Path) -> Result<(), Failure> {
    let folder = root().join("extension/js");
    let mut bundled = Vec::new();
    for entry in std::fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))? {
        let path = entry.map_err(|error| format!("{}: {error}", folder.display()))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.starts_with("waku") {
            bundled.push(path);
        } else {
            copy(&path, &fresh.join(name))?;
        }
    }
    bundled.sort();
    process::run(
        npm::program("esbuild")
            .args(bundled)
            .args(["--bundle", "--splitting", "--format=esm", "--platform=browser", "--target=es2022", "--minify"])
            .args(["--legal-comments=none", "--log-level=warning", "--chunk-names=waku-[hash]"])
            .arg(format!("--outdir={}", fresh.display())),
        "esbuild",
        "Delete node_modules and run the command again.",
    )
}

fn styles(fresh: &Path) -> Result<(), Failure> {
    process::run(
        npm::program("tailwindcss")
            .arg("--input")
            .arg(root().join("assets/css/app.css"))
            .arg("--output")
            .arg(fresh.join("app.css"))
            .arg("--minify")
            .stderr(std::process::Stdio::null()),
        "tailwindcss",
        "Delete node_modules and run the command again.",
    )
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::copy(from, to).map(|_| ()).map_err(|error| format!("{}: {error}", from.display()))
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(|error| format!("{}: {error}", to.display()))?;
    for entry in std::fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))? {
        let path = entry.map_err(|error| format!("{}: {error}", from.display()))?.path();
        let Some(name) = path.file_name() else { continue };
        if path.is_dir() {
            copy_folder(&path, &to.join(name))?;
        } else {
            copy(&path, &to.join(name))?;
        }
    }
    Ok(())
}
