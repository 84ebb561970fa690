//! `worker model ..`: the catalogue's models in the user's cache.

use crate::cli;
use std::error::Error;

/// Carries out one of the commands.
///
/// # Errors
/// As they come, with what to do.
#[cfg(feature = "embedded")]
pub fn execute(command: cli::Model) -> Result<(), Box<dyn Error>> {
    use crate::inference::{
        catalogue::{self, CATALOGUE, Entry},
        embedded::Quant,
    };
    let cache = catalogue::cache_folder()?;
    match command {
        cli::Model::Pull { name, from, quant } => {
            let quant = match quant.as_str() {
                "q8_0" => Quant::Q8,
                "keep" => Quant::Keep,
                _ => Quant::F16,
            };
            catalogue::pull(Entry::find(&name)?, &cache, quant, from.as_deref(), &mut |line| eprintln!("{line}"))?;
        }
        cli::Model::List => {
            println!("catalogue:");
            for entry in &CATALOGUE {
                println!("  {}  {}, {} MB, {}", entry.name, entry.title, entry.bytes / 1_000_000, entry.licence);
            }
            let models = catalogue::list(&cache)?;
            println!("in {}: {}", cache.display(), if models.is_empty() { "none" } else { "" });
            for (path, bytes, provenance) in models {
                let name = provenance.map_or_else(
                    || "of unknown origin".to_owned(),
                    |known| format!("{} as {} ({})", known.name, known.quant.as_str(), known.licence),
                );
                println!("  {name}, {} MB, {}", bytes / 1_000_000, path.display());
            }
        }
        cli::Model::Rm { name } => match catalogue::remove(Entry::find(&name)?, &cache)? {
            0 => println!("{name} was not there"),
            count => println!("{name} is removed ({count} file(s))"),
        },
    }
    Ok(())
}

/// Carries out one of the commands.
///
/// # Errors
/// Always: there is no engine to run a model.
#[cfg(not(feature = "embedded"))]
pub fn execute(_: cli::Model) -> Result<(), Box<dyn Error>> {
    Err("this worker was built without the embedded engine and has no models of its own".into())
}
