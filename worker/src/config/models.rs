//! `[[model]]` sections: what is offered, by which backends, at what price.

use super::{
    Backend, BackendKind, ConfigError, DEFAULT_CONTEXT, DEFAULT_OUTPUT, Model, Weights,
    check::{MAX_PARALLEL, Source},
    file,
};
use crate::inference::preset::{PRESETS, Preset};
use std::collections::BTreeSet;
use toml::Spanned;

/// Models that one announcement carries (protocol section 2.4).
const MAX_MODELS: usize = 32;
/// The longest model id, in bytes (protocol section 2.4).
const MAX_ID_BYTES: usize = 64;
/// Decimals of the token.
const DECIMALS: usize = 18;
/// Prices are uint96 on the wire.
const MAX_PRICE: u128 = (1 << 96) - 1;

pub(super) fn check_models(
    source: &Source<'_>,
    written: &[Spanned<file::Model>],
    sections: &[Spanned<file::Backend>],
    backends: &[Backend],
) -> Result<Vec<Model>, ConfigError> {
    let mut ids = BTreeSet::new();
    let mut models = Vec::new();
    for section in written {
        let model = section.get_ref();
        let id = model.id.get_ref();
        if models.len() == MAX_MODELS {
            return Err(source.at(
                section,
                format!("more than {MAX_MODELS} models"),
                "run another worker for the rest",
            ));
        }
        if id.trim().is_empty() || id.len() > MAX_ID_BYTES || id.chars().any(char::is_control) {
            return Err(source.at(
                &model.id,
                format!("model id {id:?} is empty, longer than {MAX_ID_BYTES} bytes or no plain text"),
                "shorten it; upstream_id holds the backend's own name",
            ));
        }
        if !ids.insert(id.as_str()) {
            return Err(source.at(&model.id, format!("model id {id:?} is taken"), "offer each id once"));
        }
        let mut indices = Vec::new();
        for name in model.backends.get_ref() {
            match sections.iter().position(|backend| backend.get_ref().name.get_ref() == name.get_ref()) {
                Some(index) if !indices.contains(&index) => indices.push(index),
                Some(_) => {
                    return Err(source.at(name, format!("backend {:?} stands twice", name.get_ref()), "name it once"));
                }
                None => {
                    let known: Vec<&str> = backends.iter().map(|backend| backend.name.as_str()).collect();
                    return Err(source.at(
                        name,
                        format!("there is no backend {:?}", name.get_ref()),
                        format!("add a [[backend]] of that name, or use one of: {}", known.join(", ")),
                    ));
                }
            }
        }
        if indices.is_empty() {
            return Err(source.at(
                &model.backends,
                format!("model {id:?} has no backend"),
                "name at least one [[backend]] in backends",
            ));
        }
        let context_length = positive(source, model.context_length.as_ref(), "context_length", DEFAULT_CONTEXT)?;
        let max_output_tokens =
            positive(source, model.max_output_tokens.as_ref(), "max_output_tokens", context_length.div_ceil(4))?;
        if let Some(written) = model.max_output_tokens.as_ref().filter(|_| max_output_tokens > context_length) {
            return Err(source.at(
                written,
                format!("max_output_tokens {max_output_tokens} is more than context_length {context_length}"),
                "answers are part of the context: lower the one or raise the other",
            ));
        }
        let max_concurrency = model
            .max_concurrency
            .as_ref()
            .map(|jobs| positive(source, Some(jobs), "max_concurrency", 1))
            .transpose()?;
        if let Some(preset) = model.preset.as_ref().filter(|preset| Preset::parse(preset.get_ref()).is_none()) {
            let known: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
            return Err(source.at(
                preset,
                format!("preset {:?} is unknown", preset.get_ref()),
                format!("choose among: {}, or remove the line", known.join(", ")),
            ));
        }
        models.push(Model {
            id: id.clone(),
            backends: indices,
            upstream_id: model.upstream_id.clone().unwrap_or_else(|| id.clone()),
            context_length,
            max_output_tokens,
            max_concurrency,
            queue: model.queue.map(|queue| queue.min(MAX_PARALLEL)),
            tokenizer: model.tokenizer.as_deref().map(|path| source.resolve(path)),
            preset: model.preset.as_ref().map(|preset| preset.get_ref().clone()),
            capabilities: check_capabilities(source, model.capabilities.as_deref().unwrap_or_default())?,
            price_in: check_price(source, model.price.input_per_mtok.as_ref())?,
            price_out: check_price(source, model.price.output_per_mtok.as_ref())?,
        });
    }
    Ok(models)
}

/// An embedded backend that no model names offers its own weights; any other one without a model is a mistake.
pub(super) fn add_implied_models(
    source: &Source<'_>,
    sections: &[Spanned<file::Backend>],
    backends: &[Backend],
    models: &mut Vec<Model>,
    provider_id: &str,
) -> Result<(), ConfigError> {
    for (index, backend) in backends.iter().enumerate() {
        if models.iter().any(|model| model.backends.contains(&index)) {
            continue;
        }
        let span = sections.get(index).map(Spanned::span);
        let BackendKind::Embedded { weights, .. } = &backend.kind else {
            return Err(source.error(
                span,
                format!("backend {:?} serves no model", backend.name),
                format!("add a [[model]] with backends = [{:?}]", backend.name),
            ));
        };
        let id = match weights {
            Weights::Catalogue(name) => name.clone(),
            Weights::Path(path) => {
                path.file_stem().map_or_else(|| backend.name.clone(), |stem| stem.to_string_lossy().into_owned())
            }
        };
        if id.len() > MAX_ID_BYTES || models.iter().any(|model| model.id == id) {
            return Err(source.error(
                span,
                format!("the model of backend {:?} needs a name of its own", backend.name),
                format!("add a [[model]] with an id and backends = [{:?}]", backend.name),
            ));
        }
        models.push(Model {
            upstream_id: id.clone(),
            id,
            backends: vec![index],
            context_length: DEFAULT_CONTEXT,
            max_output_tokens: DEFAULT_OUTPUT,
            max_concurrency: None,
            queue: None,
            tokenizer: None,
            preset: Some(Preset::of_handle(provider_id).name.to_owned()),
            capabilities: 0,
            price_in: 0,
            price_out: 0,
        });
    }
    Ok(())
}

fn positive(
    source: &Source<'_>,
    written: Option<&Spanned<u32>>,
    field: &str,
    default: u32,
) -> Result<u32, ConfigError> {
    match written {
        None => Ok(default),
        Some(number) if *number.get_ref() > 0 => Ok(*number.get_ref()),
        Some(number) => Err(source.at(number, format!("{field} is 0"), "write a number above 0 or remove the line")),
    }
}

fn check_capabilities(source: &Source<'_>, names: &[Spanned<String>]) -> Result<u32, ConfigError> {
    names.iter().try_fold(0, |bits, name| match name.get_ref().as_str() {
        "tools" => Ok(bits | 1),
        "vision" => Ok(bits | 2),
        "continue" => Ok(bits | 4),
        "logprobs" => Ok(bits | 8),
        other => Err(source.at(
            name,
            format!("capability {other:?} is unknown"),
            "choose among \"tools\", \"vision\", \"continue\", \"logprobs\"",
        )),
    })
}

fn check_price(source: &Source<'_>, written: Option<&Spanned<String>>) -> Result<u128, ConfigError> {
    let Some(text) = written else { return Ok(0) };
    parse_price(text.get_ref()).ok_or_else(|| {
        source.at(
            text,
            format!("price {:?} is no amount", text.get_ref()),
            format!("write a decimal such as \"0.20\" with at most {DECIMALS} decimals"),
        )
    })
}

/// A decimal of the token in base units.
fn parse_price(text: &str) -> Option<u128> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > DECIMALS {
        return None;
    }
    let units = format!("{whole}{fraction:0<DECIMALS$}").parse().ok()?;
    (units <= MAX_PRICE).then_some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_decimals_of_the_token() {
        let check = |text: &str, units: Option<u128>| assert_eq!(parse_price(text), units, "{text}");
        check("0", Some(0));
        check("1", Some(1_000_000_000_000_000_000));
        check("0.20", Some(200_000_000_000_000_000));
        check("0.000000000000000001", Some(1));
        check("0.0000000000000000001", None);
        check("79228162514.264337593543950335", Some(MAX_PRICE));
        check("79228162514.264337593543950336", None);
        check("99999999999999999999999999999999999999999", None);
        check("-1", None);
        check(".5", None);
        check("1.", None);
        check("1,5", None);
        check("", None);
    }
}
