//! A seen provider as the panel shows it.

use crate::port::{ModelView, ProviderView};
use privacyai::client::{Model, Seen, Status};
use privacyai::identity::ProviderId;

/// `connected` are the peer ids of the usable entry nodes, `measured_first_ms` the last first word measured here.
pub fn view(seen: &Seen, connected: &[String], measured_first_ms: Option<u32>) -> ProviderView {
    let status = match seen.status {
        Status::Online => "online",
        Status::Busy => "busy",
        Status::Offline => "offline",
        Status::Unknown => "unknown",
    };
    ProviderView {
        id: seen.id.to_string(),
        handle: seen.handle.clone(),
        name: if seen.name.is_empty() { seen.handle.clone() } else { seen.name.clone() },
        fingerprint: seen.id.fingerprint(),
        glyph: glyph(&seen.id),
        status: status.into(),
        waiting: seen.queue,
        response_ms: seen.response_ms,
        measured_first_ms,
        max_concurrent: seen.max_concurrent,
        models: seen.models.iter().map(model).collect(),
        heard_ms: seen.heard.0,
        usable: seen.usable,
        key_changed_from: seen.key_changed_from.map(|id| id.to_string()),
        equivocated: seen.equivocated,
        confirmed: seen.confirmed,
        hides_ip: connected.iter().any(|peer| !seen.peer_ids.contains(peer)),
    }
}

/// Bit 3 x row + column, columns 0 to 2; the other two mirror them.
fn glyph(id: &ProviderId) -> u16 {
    let cells = id.glyph();
    let bits = cells.iter().flat_map(|row| row.iter().take(3)).enumerate();
    bits.fold(0, |glyph, (bit, set)| glyph | u16::from(*set) << bit)
}

fn model(model: &Model) -> ModelView {
    let parts = [&model.preset, &model.engine, &model.quantisation];
    let detail: Vec<&str> = parts.into_iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
    ModelView {
        id: model.id.clone(),
        context: model.context,
        detail: detail.join(" · "),
        tokens_per_s: model.tokens_per_s,
    }
}
