//! Bars of three series, one on the other, as plain shapes: filled, filled otherwise, and striped, so that they tell
//! apart in grey too. The words and the table beside them say the same.

use sycamore::prelude::*;

/// Width and height of the picture; it is drawn as wide as its place.
const WIDTH: u32 = 640;
/// See [`WIDTH`].
const HEIGHT: u32 = 160;

/// A day's counts, from the bottom up.
pub type Bar = [u32; 3];

/// The largest sum of a bar, at least 1.
pub fn most(bars: &[Bar]) -> u32 {
    bars.iter().map(|bar| bar.iter().sum()).max().unwrap_or(0).max(1)
}

/// Draws them; `label` is what a screen reader hears.
pub fn bars(bars: &[Bar], label: String) -> View {
    let frame = format!("0 0 {WIDTH} {HEIGHT}");
    let [first, second, third] = [0, 1, 2].map(|series| outlines(bars, series));
    let stripes = stripes(bars);
    let grid = format!("M0 .5h{WIDTH}M0 {half}.5h{WIDTH}M0 {end}.5h{WIDTH}", half = HEIGHT / 2, end = HEIGHT - 1);
    view! {
        div(role="img", aria-label=label) { svg(viewBox=frame, class="block h-40 w-full", "preserveAspectRatio"="none", aria-hidden="true") {
            path(d=grid, fill="none", class="stroke-line") {}
            path(d=first, class="fill-accent") {}
            path(d=second, class="fill-ink2") {}
            path(d=third, fill="none", class="stroke-ink3", "vector-effect"="non-scaling-stroke") {}
            path(d=stripes, fill="none", class="stroke-ink3", "vector-effect"="non-scaling-stroke") {}
        } }
    }
}

/// Where a part of a bar lies: left, top, width, height.
fn place(bars: &[Bar], at: usize, series: usize) -> Option<(u32, u32, u32, u32)> {
    let bar = bars.get(at)?;
    let count = *bar.get(series)?;
    if count == 0 {
        return None;
    }
    let high = |count: u32| (u64::from(HEIGHT - 1) * u64::from(count) / u64::from(most(bars))) as u32;
    let below: u32 = bar.iter().take(series).sum();
    let (bottom, top) = (high(below), high(below.saturating_add(count)));
    let step = WIDTH / u32::try_from(bars.len()).ok()?.max(1);
    let left = step * u32::try_from(at).ok()? + step / 6;
    // What is there is seen, however little it is.
    Some((left, (HEIGHT - 1).saturating_sub(top), (step * 2 / 3).max(1), top.saturating_sub(bottom).max(1)))
}

fn outlines(bars: &[Bar], series: usize) -> String {
    let mut path = String::new();
    for (x, y, width, height) in (0..bars.len()).filter_map(|at| place(bars, at, series)) {
        path.push_str(&format!("M{x} {y}h{width}v{height}h-{width}z"));
    }
    path
}

/// Lines across the third series, four units apart.
fn stripes(bars: &[Bar]) -> String {
    let mut path = String::new();
    for (x, y, width, height) in (0..bars.len()).filter_map(|at| place(bars, at, 2)) {
        for line in (4..height).step_by(4) {
            path.push_str(&format!("M{x} {}h{width}", y + line));
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stands_on_each_other_to_scale() {
        let bars = [[2, 1, 1], [0, 0, 0]];
        assert_eq!(most(&bars), 4);
        assert_eq!(place(&bars, 0, 0), Some((53, 80, 213, 79)));
        assert_eq!(place(&bars, 0, 1), Some((53, 40, 213, 40)));
        assert_eq!(place(&bars, 0, 2), Some((53, 0, 213, 40)));
        assert_eq!(place(&bars, 1, 0), None);
        assert_eq!(outlines(&bars, 0), "M53 80h213v79h-213z");
        assert_eq!(stripes(&bars).matches('M').count(), 9);
        assert_eq!((most(&[]), outlines(&[], 0)), (1, String::new()));
        assert_eq!(place(&[[1, 0, 0], [10_000, 0, 0]], 0, 0).map(|(.., height)| height), Some(1), "a little is seen");
    }
}
