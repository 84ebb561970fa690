//! Pages and addresses: the part after `#` follows the page and leads it, so that back, reload and a deep link work.

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::redraw::create_effect;
use super::state::{App, Page};

/// The address of a page.
pub fn address(page: &Page) -> String {
    match page {
        Page::Chat => "#/".into(),
        Page::History => "#/history".into(),
        Page::Providers => "#/providers".into(),
        Page::Usage => "#/usage".into(),
        Page::Settings => "#/settings".into(),
        Page::Network => "#/network".into(),
        Page::Details(id) => format!("#/details/{id}"),
        Page::KeyChanged(id) => format!("#/key-changed/{id}"),
    }
}

/// The page at an address; an unknown one is the conversation.
fn parse(address: &str) -> Page {
    let path = address.trim_start_matches(['#', '/']);
    let (head, tail) = path.split_once('/').unwrap_or((path, ""));
    match (head, tail) {
        ("history", "") => Page::History,
        ("providers", "") => Page::Providers,
        ("usage", "") => Page::Usage,
        ("settings", "") => Page::Settings,
        ("network", "") => Page::Network,
        ("details", id) if !id.is_empty() => Page::Details(id.to_owned()),
        ("key-changed", id) if !id.is_empty() => Page::KeyChanged(id.to_owned()),
        _ => Page::Chat,
    }
}

/// Ties the page to the address, both ways.
pub fn follow_address(app: App) {
    app.page.set(parse(&window().location().hash().unwrap_or_default()));
    create_effect(move || {
        let wanted = app.page.with(address);
        let location = window().location();
        let now = location.hash().unwrap_or_default();
        if now != wanted && !(now.is_empty() && wanted == "#/") {
            let _ = location.set_hash(&wanted);
        }
    });
    let moved = Closure::<dyn FnMut()>::new(move || {
        app.scope.run_in(|| app.go(parse(&window().location().hash().unwrap_or_default())));
    });
    let _ = window().add_event_listener_with_callback("hashchange", moved.as_ref().unchecked_ref());
    moved.forget();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_leads_back() {
        for page in [
            Page::Chat,
            Page::History,
            Page::Providers,
            Page::Usage,
            Page::Settings,
            Page::Network,
            Page::Details("m1".into()),
            Page::KeyChanged("q7ma".into()),
        ] {
            assert_eq!(parse(&address(&page)), page);
        }
        assert_eq!(parse(""), Page::Chat);
        assert_eq!(parse("#/details/"), Page::Chat);
        assert_eq!(parse("#/../x"), Page::Chat);
    }
}
