//! The key glyph: 5 x 5 mirrored squares from a providerId. It helps to recognise; only the fingerprint proves.

use sycamore::prelude::*;

/// Draws the glyph of 15 bits, row by row, three columns each, mirrored.
pub fn glyph(bits: u16, px: u32) -> View {
    let (width, height, squares) = (px.to_string(), px.to_string(), squares(bits));
    view! {
        span(class="inline-grid place-items-center flex-none rounded-ctl bg-bg3 text-ink p-[3px]", aria-hidden="true") {
            svg(viewBox="0 0 5 5", width=width, height=height, "shape-rendering"="crispEdges") {
                path(d=squares, fill="currentColor") {}
            }
        }
    }
}

/// The squares as path data.
fn squares(bits: u16) -> String {
    let mut path = String::new();
    for row in 0..5u16 {
        for column in 0..5u16 {
            let source = if column < 3 { column } else { 4 - column };
            if bits & (1 << (row * 3 + source)) != 0 {
                path.push_str(&format!("M{column} {row}h1v1h-1z"));
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::squares;

    #[test]
    fn is_mirrored() {
        assert_eq!(squares(0), "");
        assert_eq!(squares(1), "M0 0h1v1h-1zM4 0h1v1h-1z");
        assert_eq!(squares(1 << 14), "M2 4h1v1h-1z");
        assert_eq!(squares(0x7fff).matches('M').count(), 25);
    }
}
