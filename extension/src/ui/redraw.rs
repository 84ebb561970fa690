//! What is drawn anew when signals change, written out once. Sycamore makes a copy of its own machinery for each closure
//! that it is given, a KiB each; these hand it boxes, of which there is one kind.

use sycamore::prelude::*;
use sycamore::web::View;

/// A part of a view that is drawn anew whenever a signal in it changes. It is made in its place, as
/// `(Redraw { by: move || … })`, since the `view!` macro would put a closure of its own around a call.
pub struct Redraw<F> {
    /// Draws it.
    pub by: F,
}

impl<F: FnMut() -> View + 'static> From<Redraw<F>> for View {
    fn from(part: Redraw<F>) -> Self {
        boxed(Box::new(part.by))
    }
}

fn boxed(by: Box<dyn FnMut() -> View>) -> View {
    View::from_dynamic(by)
}

/// As sycamore's: a signal that changes when the value of `by` does.
pub fn create_selector<T: PartialEq + 'static>(by: impl FnMut() -> T + 'static) -> ReadSignal<T> {
    selector(Box::new(by))
}

fn selector<T: PartialEq + 'static>(by: Box<dyn FnMut() -> T>) -> ReadSignal<T> {
    sycamore::prelude::create_selector(by)
}

/// As sycamore's: a signal that follows the value of `by`.
pub fn create_memo<T: 'static>(by: impl FnMut() -> T + 'static) -> ReadSignal<T> {
    memo(Box::new(by))
}

fn memo<T: 'static>(by: Box<dyn FnMut() -> T>) -> ReadSignal<T> {
    sycamore::prelude::create_memo(by)
}

/// As sycamore's: runs `by` now and whenever a signal in it changes.
pub fn create_effect(by: impl FnMut() + 'static) {
    effect(Box::new(by));
}

fn effect(by: Box<dyn FnMut()>) {
    sycamore::prelude::create_effect(by);
}
