//! A line of few points, drawn small: how something went lately. Its twin in words stands beside it.

use sycamore::prelude::*;

use super::format;

/// Its size in px.
const WIDTH: u32 = 44;
/// See [`WIDTH`].
const HEIGHT: u32 = 16;

/// Draws the times to the first word, oldest first; nothing where there is none.
pub fn spark(times_ms: &[u32]) -> View {
    if times_ms.is_empty() {
        return View::new();
    }
    let (line, dot, words) = (line(times_ms), dot(times_ms), words(times_ms));
    let (width, height, frame) = (WIDTH.to_string(), HEIGHT.to_string(), format!("0 0 {WIDTH} {HEIGHT}"));
    let title = words.clone();
    view! {
        span(class="inline-flex align-middle text-ink3", title=title, data-testid="spark") {
            svg(viewBox=frame, width=width, height=height, fill="none", class="flex-none", aria-hidden="true") {
                path(d=line, stroke="currentColor", "stroke-width"="1.5", "stroke-linejoin"="round") {}
                path(d=dot, fill="currentColor") {}
            }
            span(class="sr-only") { (words) }
        }
    }
}

/// Where each point lies: the longest time at the top, zero at the bottom.
fn points(times: &[u32]) -> impl Iterator<Item = (f64, f64)> + '_ {
    let most = f64::from(times.iter().copied().max().unwrap_or(1).max(1));
    let step = f64::from(WIDTH - 6) / (times.len().saturating_sub(1).max(1)) as f64;
    times.iter().enumerate().map(move |(at, time)| {
        let high = f64::from(HEIGHT - 4) * f64::from(*time) / most;
        (3.0 + step * at as f64, f64::from(HEIGHT - 2) - high)
    })
}

fn line(times: &[u32]) -> String {
    let place = |(x, y): (f64, f64)| format!("{} {}", format::fixed(x, 1), format::fixed(y, 1));
    let mut path = String::new();
    for (at, point) in points(times).enumerate() {
        path.push(if at == 0 { 'M' } else { 'L' });
        path.push_str(&place(point));
    }
    path
}

/// The newest, as a dot.
fn dot(times: &[u32]) -> String {
    points(times).last().map_or_else(String::new, |(x, y)| {
        format!("M{} {}a2 2 0 1 0 4 0a2 2 0 1 0-4 0z", format::fixed(x - 2.0, 1), format::fixed(y, 1))
    })
}

fn words(times: &[u32]) -> String {
    let all: Vec<String> = times.iter().map(|ms| format::fixed(f64::from(*ms) / 1_000.0, 2)).collect();
    let count = format::plural(times.len() as u64, "first word", "first words");
    format!("Last {count}, oldest first: {} s", all.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_and_says_the_same_points() {
        assert_eq!(line(&[200, 400]), "M3.0 8.0L41.0 2.0");
        assert_eq!(dot(&[200, 400]), "M39.0 2.0a2 2 0 1 0 4 0a2 2 0 1 0-4 0z");
        assert_eq!(words(&[200, 400]), "Last 2 first words, oldest first: 0.20, 0.40 s");
        assert_eq!((line(&[400]), line(&[0, 0])), ("M3.0 2.0".into(), "M3.0 14.0L41.0 14.0".into()));
        assert_eq!((line(&[]), dot(&[])), (String::new(), String::new()));
    }
}
