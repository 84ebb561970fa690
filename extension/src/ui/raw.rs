//! A block of an answer that has grown too long to be read anew each frame: until it is whole it stands as it came, in
//! pieces of which only the last is drawn again.

use std::ops::Range;
use std::rc::Rc;

use sycamore::prelude::*;

use super::list;
use super::redraw::{Redraw, create_memo};

/// A block is read again each frame up to so many bytes: beyond it that takes a frame's time.
pub const LONGEST: usize = 16 * 1024;

/// Bytes of a piece at most.
pub const PIECE: usize = 4 * 1024;

/// Draws it. What is there stays, more is added.
pub fn raw(source: ReadSignal<Rc<str>>) -> View {
    let keys = create_memo(move || {
        source.with(|text| pieces(text).iter().map(|piece| format!("{} {}", piece.start, piece.end).into()).collect())
    });
    let whole = list::keyed(keys, move |key| {
        let ends = key.split_once(' ').and_then(|(start, end)| Some(start.parse().ok()?..end.parse().ok()?));
        let text = source.with_untracked(|text| text.get(ends.unwrap_or(0..0)).unwrap_or_default().to_owned());
        view! { div { (text) } }
    });
    view! {
        div(class="whitespace-pre-wrap") {
            (whole)
            div {
                (Redraw { by: move || View::from(source.with(|text| {
                    let start = pieces(text).last().map_or(0, |piece| piece.end);
                    text.get(start..).unwrap_or_default().to_owned()
                })) })
            }
        }
    }
}

/// The pieces that nothing is added to any more; each ends behind a word where there is one.
pub fn pieces(text: &str) -> Vec<Range<usize>> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while text.len().saturating_sub(start) > PIECE {
        let most = text.floor_char_boundary(start.saturating_add(PIECE));
        let space = text.get(start..most).and_then(|piece| piece.rfind([' ', '\n']));
        let end = space.map_or(most, |at| start.saturating_add(at).saturating_add(1));
        pieces.push(start..end);
        start = end;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_stay_while_text_is_added_and_leave_nothing_out() {
        let text = "word é🌍 ".repeat(2_000) + &"🌍".repeat(5_000);
        let whole = pieces(&text);
        assert!(whole.len() >= 8 && whole.iter().all(|piece| piece.len() <= PIECE));
        assert!(whole.windows(2).all(|two| two[0].end == two[1].start) && whole[0].start == 0);
        assert!(text[whole[0].clone()].ends_with(' '), "behind a word");
        for length in (0..text.len()).filter(|at| text.is_char_boundary(*at)).step_by(997) {
            let part = pieces(&text[..length]);
            assert!(whole.starts_with(&part), "{length}");
            assert!(length - part.last().map_or(0, |piece| piece.end) <= PIECE);
        }
    }
}
