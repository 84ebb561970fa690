//! Two lines over days, one solid and one dashed, as plain shapes. A day without a figure leaves a gap.

use sycamore::prelude::*;

/// Width and height of the picture; it is drawn as wide as its place.
const WIDTH: u32 = 640;
/// See [`WIDTH`].
const HEIGHT: u32 = 160;

/// A day's lower and upper figure, when it has some.
pub type Point = Option<(u32, u32)>;

/// What the picture's height stands for: the largest figure, in whole thousands.
pub fn top(points: &[Point]) -> u32 {
    let most = points.iter().flatten().map(|(_, upper)| *upper).max().unwrap_or(0);
    most.div_ceil(1_000).max(1).saturating_mul(1_000)
}

/// Draws them; `label` is what a screen reader hears.
pub fn lines(points: &[Point], label: String) -> View {
    let frame = format!("0 0 {WIDTH} {HEIGHT}");
    let grid = format!("M0 .5h{WIDTH}M0 {half}.5h{WIDTH}M0 {end}.5h{WIDTH}", half = HEIGHT / 2, end = HEIGHT - 1);
    let (lower, upper) = (path(points, |(lower, _)| lower), path(points, |(_, upper)| upper));
    view! {
        div(role="img", aria-label=label) { svg(viewBox=frame, class="block h-40 w-full", "preserveAspectRatio"="none", aria-hidden="true") {
            path(d=grid, fill="none", class="stroke-line") {}
            path(d=upper, fill="none", class="stroke-ink2", "stroke-width"="1.5", "stroke-dasharray"="5 4", "vector-effect"="non-scaling-stroke") {}
            path(d=lower, fill="none", class="stroke-accent", "stroke-width"="1.5", "vector-effect"="non-scaling-stroke") {}
        } }
    }
}

fn path(points: &[Point], of: fn((u32, u32)) -> u32) -> String {
    let (top, step) = (top(points), WIDTH / u32::try_from(points.len()).unwrap_or(1).max(1));
    let (mut path, mut open) = (String::new(), false);
    for (at, point) in points.iter().enumerate() {
        let Some(point) = *point else {
            open = false;
            continue;
        };
        let x = step * u32::try_from(at).unwrap_or(0);
        let y = HEIGHT - 1 - (u64::from(HEIGHT - 1) * u64::from(of(point)) / u64::from(top)) as u32;
        // A day is as wide as its step, so that one alone is seen too.
        let next = if open { 'L' } else { 'M' };
        path.push_str(&format!("{next}{} {y}h{}", x + step / 4, step / 2));
        open = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_gaps_and_draws_to_scale() {
        let points = [Some((500, 1_500)), Some((1_000, 2_000)), None, Some((0, 100))];
        assert_eq!(top(&points), 2_000);
        assert_eq!(path(&points, |(lower, _)| lower), "M40 120h80L200 80h80M520 159h80");
        assert_eq!(path(&points, |(_, upper)| upper), "M40 40h80L200 0h80M520 152h80");
        assert_eq!((top(&[]), path(&[], |(lower, _)| lower)), (1_000, String::new()));
    }
}
