//! Lists whose items are drawn once for each key and keep their nodes. All of them are one type, as each other type
//! would be 15 KB more of wasm.

use std::rc::Rc;

use sycamore::prelude::*;

/// Draws `view` of each key, in the order of the keys; a key that stays keeps its nodes.
pub fn keyed(keys: ReadSignal<Vec<Rc<str>>>, view: impl Fn(Rc<str>) -> View + 'static) -> View {
    draw(keys, Box::new(view))
}

fn draw(keys: ReadSignal<Vec<Rc<str>>>, view: Box<dyn Fn(Rc<str>) -> View>) -> View {
    view! { Keyed(list=keys, view=view, key=|key: &Rc<str>| key.clone()) }
}
