//! A seen provider as the panel shows it.

use crate::port::{ModelView, ProviderView};
use privacyai::client::{Model, Seen, Status};
use privacyai::effect::Millis;
use privacyai::health::{Health, State};
use privacyai::identity::ProviderId;
use privacyai::ranking::Place;
use privacyai::reputation::{self, Score};

/// What is known of a provider besides its announcement.
pub struct Known<'a> {
    /// How it served this user.
    pub health: Option<&'a Health>,
    /// How this user rated it.
    pub felt: Option<Score>,
    /// The last times to the first word, oldest first.
    pub recent_first_ms: &'a [u32],
    /// Its place in the automatic choice.
    pub place: Option<(u32, &'a Place)>,
    /// It is never asked.
    pub blocked: bool,
}

/// `connected` are the peer ids of the usable entry nodes.
pub fn view(seen: &Seen, connected: &[String], known: &Known<'_>, now: Millis) -> ProviderView {
    let fresh = Health::default();
    let health = known.health.unwrap_or(&fresh);
    let state = match health.state(seen.status, seen.usable, now) {
        State::Online => "online",
        State::Busy => "busy",
        State::Degraded => "degraded",
        State::Offline => "offline",
        State::Unknown => "unknown",
    };
    let requests = health.requests(now);
    let success = health.success_permille().map(|permille| (permille, requests));
    let told = |score: Score| (score.thousandths, score.count);
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
        state: state.into(),
        first_ms: health.first_ms(500).zip(health.first_ms(950)),
        recent_first_ms: known.recent_first_ms.to_vec(),
        tenth_tokens_per_s: health.tenth_tokens_per_s(),
        success,
        felt: known.felt.map(told),
        measured: success.map(|(permille, requests)| told(reputation::measured(permille, requests))),
        place: known.place.map(|(at, _)| at),
        why: known.place.map(|(_, place)| place.reason.to_string()),
        blocked: known.blocked,
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
        price: (model.price_in.to_string(), model.price_out.to_string()),
    }
}
