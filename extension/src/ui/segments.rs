//! A few choices side by side, of which one holds: a group of radios. Arrows move within it and choose.

use std::rc::Rc;

use sycamore::prelude::*;

use super::redraw::create_selector;
use super::settings::radio_keys;

/// Draws the group; each option is its id and its name, and the id of a radio in the page is `test`, a dash and its own.
pub fn segments(
    label: &'static str,
    test: &'static str,
    options: &'static [(&'static str, &'static str)],
    chosen: impl Fn() -> String + 'static,
    choose: impl Fn(&'static str) + 'static,
) -> View {
    let (chosen, choose): (_, Rc<dyn Fn(&'static str)>) = (create_selector(chosen), Rc::new(choose));
    let radios: Vec<View> = options
        .iter()
        .map(|(id, name)| {
            let (id, name, choose) = (*id, *name, choose.clone());
            let on = create_selector(move || chosen.with(|chosen| chosen == id));
            let test = format!("{test}-{id}");
            view! {
                button(
                    r#type="button", role="radio", data-testid=test, aria-checked=if on.get() { "true" } else { "false" },
                    tabindex=if on.get() { "0" } else { "-1" },
                    class=if on.get() {
                        "min-h-7 rounded-ctl border border-line2 bg-bg px-2 text-sec font-medium"
                    } else {
                        "min-h-7 rounded-ctl border border-transparent px-2 text-sec text-ink2"
                    },
                    on:click=move |_| choose(id)
                ) { (name) }
            }
        })
        .collect();
    let radios = View::from(radios);
    view! {
        div(class="flex w-fit max-w-full flex-wrap gap-0.5 rounded-card bg-bg3 p-0.5", role="radiogroup", aria-label=label, on:keydown=radio_keys) { (radios) }
    }
}
