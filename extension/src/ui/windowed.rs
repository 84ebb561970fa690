//! A long list of which only what is near stands in the page. It lies somewhere in a scroll area; a row that stays keeps
//! its nodes.

use std::cell::RefCell;
use std::rc::Rc;

use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::Closure;

use super::list;
use super::redraw::{create_effect, create_memo, create_selector};
use super::window::{Heights, Window};

/// The list, and what has to be called when its area is scrolled.
pub struct Windowed {
    /// Its rows, and the room of those that are not in the page.
    pub rows: View,
    /// Draws what is near now.
    pub look: Rc<dyn Fn()>,
}

/// Draws `view` of those of `ids` that are near. Each row is one element whose attribute `name` is its id; `content` holds
/// the rows alone, in the scroll area `area`. `guess` is the height of a row before one was measured.
pub fn windowed(
    ids: ReadSignal<Vec<Rc<str>>>,
    (area, content): (NodeRef, NodeRef),
    name: &'static str,
    guess: f64,
    view: impl Fn(Rc<str>) -> View + 'static,
) -> Windowed {
    let window = create_signal(Window::default());
    let heights = Rc::new(RefCell::new(Heights::new(0.0, guess)));
    let look: Rc<dyn Fn()> = Rc::new(move || {
        let (Some(area), Some(content)) = (area.try_get(), content.try_get()) else { return };
        let (area, content): (&web_sys::HtmlElement, &web_sys::HtmlElement) =
            (area.unchecked_ref(), content.unchecked_ref());
        let mut heights = heights.borrow_mut();
        let mut next = content.first_element_child();
        while let Some(row) = next {
            if let Some(id) = row.get_attribute(name).filter(|_| row.client_height() > 0) {
                // With its border, which the client's height leaves out.
                let height = row.dyn_ref::<web_sys::HtmlElement>().map_or(0, web_sys::HtmlElement::offset_height);
                heights.measured(&id, height.into());
            }
            next = row.next_element_sibling();
        }
        let above = content.offset_top() - area.offset_top();
        let top = f64::from(area.scroll_top() - above).max(0.0);
        let new = ids.with_untracked(|ids| heights.window(ids, top, f64::from(area.client_height().max(1)), false));
        drop(heights);
        if window.with_untracked(|now| *now != new) {
            window.set(new);
        }
    });
    let near = create_memo(move || {
        let range = window.with(|window| window.range.clone());
        ids.with(|ids| ids.get(range.start.min(ids.len())..range.end.min(ids.len())).unwrap_or_default().to_vec())
    });
    let rows = list::keyed(near, view);
    {
        let look = look.clone();
        create_effect(move || {
            ids.track();
            untrack(|| look());
        });
    }
    watch(&look, area, content);
    let (above, below) = (room(window, |window| window.above), room(window, |window| window.below));
    Windowed { rows: View::from(vec![above, rows, below]), look }
}

/// Looks again whenever area or content change their size: a row opens, the page turns from cards to a table.
fn watch(look: &Rc<dyn Fn()>, area: NodeRef, content: NodeRef) {
    let look = look.clone();
    let resized = Closure::<dyn FnMut()>::new(move || look());
    let Ok(observer) = web_sys::ResizeObserver::new(resized.as_ref().unchecked_ref()) else { return };
    let watched = observer.clone();
    on_mount(move || {
        for node in [area, content].into_iter().filter_map(|node| node.try_get()) {
            watched.observe(node.unchecked_ref());
        }
    });
    on_cleanup(move || {
        observer.disconnect();
        drop(resized);
    });
}

fn room(window: Signal<Window>, of: fn(&Window) -> f64) -> View {
    let height = create_selector(move || window.with(of).round().max(0.0) as i64);
    view! { div(aria-hidden="true", role="presentation", hidden=height.get() == 0, style=format!("height:{}px", height.get())) {} }
}
