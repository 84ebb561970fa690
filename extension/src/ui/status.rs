//! Status as shape, colour and word, so that each of the three tells it alone.

use sycamore::prelude::*;

use super::format;
use crate::port::ProviderView;

/// A status older than this is unknown, in ms.
const STALE_MS: f64 = 90_000.0;

/// One of the six shapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A disc.
    Online,
    /// Half a disc.
    Busy,
    /// A triangle.
    Warn,
    /// A ring.
    Offline,
    /// A dashed ring.
    Unknown,
    /// An octagon with an x.
    Blocked,
}

/// Draws a shape of 10 px.
pub fn shape(shape: Shape) -> View {
    let (class, path) = match shape {
        Shape::Online => ("text-accent", "M5 1a4 4 0 1 1 0 8a4 4 0 0 1 0-8z"),
        Shape::Busy => ("text-warn", "M5 1.5a3.5 3.5 0 1 1 0 7V1.5z"),
        Shape::Warn => ("text-warn", "M5 .8 9.6 9H.4z"),
        Shape::Offline | Shape::Unknown => ("text-ink3", ""),
        Shape::Blocked => ("text-stop", "M3.2.7h3.6l2.5 2.5v3.6L6.8 9.3H3.2L.7 6.8V3.2z"),
    };
    let ring = matches!(shape, Shape::Busy | Shape::Offline | Shape::Unknown);
    let dashes = if shape == Shape::Unknown { "1.8 1.6" } else { "none" };
    let cross = if shape == Shape::Blocked { "M3.4 3.4l3.2 3.2M6.6 3.4 3.4 6.6" } else { "" };
    let class = format!("flex-none {class}");
    let ring = if ring { "M5 1.5a3.5 3.5 0 1 1 0 7a3.5 3.5 0 0 1 0-7z" } else { "" };
    view! {
        svg(viewBox="0 0 10 10", width="10", height="10", class=class, aria-hidden="true") {
            path(d=path, fill="currentColor") {}
            path(
                d=ring, fill="none",
                stroke="currentColor", "stroke-width"="1.4", "stroke-dasharray"=dashes
            ) {}
            path(d=cross, fill="none", stroke="var(--bg)", "stroke-width"="1.3") {}
        }
    }
}

/// A provider's shape and word now.
pub fn status_of(provider: &ProviderView, now_ms: f64) -> (Shape, String) {
    let stale = now_ms - provider.heard_ms as f64 > STALE_MS;
    if provider.equivocated {
        (Shape::Blocked, "Not used: signed two keys at once".into())
    } else if provider.key_changed_from.is_some() {
        (Shape::Blocked, "Key changed".into())
    } else if provider.blocked {
        (Shape::Blocked, "Left out by you".into())
    } else if provider.status == "offline" {
        (Shape::Offline, format!("Offline since {}", format::clock(provider.heard_ms as f64)))
    } else if stale {
        let since = if provider.heard_ms == 0 { "Not heard yet".into() } else { heard(provider, now_ms) };
        (Shape::Unknown, since)
    } else {
        // As it served this user, which may be worse than it says of itself.
        match provider.state.as_str() {
            "degraded" => (Shape::Warn, "Failed lately".into()),
            "offline" => (Shape::Offline, "Did not answer".into()),
            "online" => (Shape::Online, "Online".into()),
            "busy" if provider.waiting > 0 => (Shape::Busy, format!("Busy, {} waiting", provider.waiting)),
            "busy" => (Shape::Busy, "Busy".into()),
            _ => (Shape::Unknown, "Unknown".into()),
        }
    }
}

fn heard(provider: &ProviderView, now_ms: f64) -> String {
    format!("Last heard {} ago", format::duration((now_ms - provider.heard_ms as f64).max(0.0) / 1000.0))
}

/// Shape and word, side by side.
pub fn status_line((mark, word): (Shape, String)) -> View {
    let mark = shape(mark);
    view! {
        span(class="inline-flex min-w-0 max-w-full items-center gap-1.5 text-sec text-ink2") {
            (mark)
            span(class="truncate") { (word) }
        }
    }
}
