//! Icons: outlines of 24 x 24 drawn in `currentColor`. The paths come from Lucide (`lucide-static` 1.62.0, ISC
//! licence, copyright Lucide Contributors; parts from Feather, MIT licence, copyright Cole Bemis); the mark is ours.

use sycamore::prelude::*;

/// Path data of one icon.
pub type Icon = &'static str;

/// History.
pub const HISTORY: Icon = "M3 12a9 9 0 1 0 9-9 9.75 9.75 0 0 0-6.74 2.74L3 8M3 3v5h5M12 7v5l4 2";
/// New chat.
pub const COMPOSE: Icon = "M12 3H5a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h14a2 2 0 0 0 2-2v-7M18.375 2.625a1 1 0 0 1 3 3l-9.013 9.014a2 2 0 0 1-.853.505l-2.873.84a.5.5 0 0 1-.62-.62l.84-2.873a2 2 0 0 1 .506-.852z";
/// More.
pub const MORE: Icon =
    "M13 12a1 1 0 1 1-2 0a1 1 0 0 1 2 0zM20 12a1 1 0 1 1-2 0a1 1 0 0 1 2 0zM6 12a1 1 0 1 1-2 0a1 1 0 0 1 2 0z";
/// Back.
pub const BACK: Icon = "m12 19-7-7 7-7M19 12H5";
/// Send.
pub const UP: Icon = "m5 12 7-7 7 7M12 19V5";
/// To the newest.
pub const DOWN: Icon = "M12 5v14M19 12l-7 7-7-7";
/// Copy.
pub const COPY: Icon = "M10 8h10a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H10a2 2 0 0 1-2-2V10a2 2 0 0 1 2-2zM4 16c-1.1 0-2-.9-2-2V4c0-1.1.9-2 2-2h10c1.1 0 2 .9 2 2";
/// At the top.
pub const PIN: Icon = "M12 17v5M9 10.76a2 2 0 0 1-1.11 1.79l-1.78.9A2 2 0 0 0 5 15.24V16a1 1 0 0 0 1 1h12a1 1 0 0 0 1-1v-.76a2 2 0 0 0-1.11-1.79l-1.78-.9A2 2 0 0 1 15 10.76V7a1 1 0 0 1 1-1 2 2 0 0 0 0-4H8a2 2 0 0 0 0 4 1 1 0 0 1 1 1z";
/// Save as a file.
pub const DOWNLOAD: Icon = "M12 15V3M21 15v4a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-4M7 10l5 5 5-5";
/// Figures over time.
pub const CHART: Icon = "M3 3v16a2 2 0 0 0 2 2h16M18 17V9M13 17V5M8 17v-3";
/// Never again.
pub const BAN: Icon = "M22 12a10 10 0 1 1-20 0a10 10 0 0 1 20 0zM4.9 4.9l14.2 14.2";
/// Done, chosen.
pub const CHECK: Icon = "M20 6 9 17l-5-5";
/// Ask again.
pub const RETRY: Icon = "M3 12a9 9 0 1 0 9-9 9.75 9.75 0 0 0-6.74 2.74L3 8M3 3v5h5";
/// Edit.
pub const PENCIL: Icon = "M21.174 6.812a1 1 0 0 0-3.986-3.987L3.842 16.174a2 2 0 0 0-.5.83l-1.321 4.352a.5.5 0 0 0 .623.622l4.353-1.32a2 2 0 0 0 .83-.497zM15 5l4 4";
/// Delete.
pub const TRASH: Icon =
    "M10 11v6M14 11v6M19 6v14a2 2 0 0 1-2 2H7a2 2 0 0 1-2-2V6M3 6h18M8 6V4a2 2 0 0 1 2-2h4a2 2 0 0 1 2 2v2";
/// Search.
pub const SEARCH: Icon = "m21 21-4.34-4.34M19 11a8 8 0 1 1-16 0a8 8 0 0 1 16 0z";
/// Settings.
pub const SETTINGS: Icon = "M9.671 4.136a2.34 2.34 0 0 1 4.659 0 2.34 2.34 0 0 0 3.319 1.915 2.34 2.34 0 0 1 2.33 4.033 2.34 2.34 0 0 0 0 3.831 2.34 2.34 0 0 1-2.33 4.033 2.34 2.34 0 0 0-3.319 1.915 2.34 2.34 0 0 1-4.659 0 2.34 2.34 0 0 0-3.32-1.915 2.34 2.34 0 0 1-2.33-4.033 2.34 2.34 0 0 0 0-3.831A2.34 2.34 0 0 1 6.35 6.051a2.34 2.34 0 0 0 3.319-1.915M15 12a3 3 0 1 1-6 0a3 3 0 0 1 6 0z";
/// Chats.
pub const CHATS: Icon = "M22 17a2 2 0 0 1-2 2H6.828a2 2 0 0 0-1.414.586l-2.202 2.202A.71.71 0 0 1 2 21.286V5a2 2 0 0 1 2-2h16a2 2 0 0 1 2 2z";
/// Providers.
pub const SERVER: Icon = "M4 2h16a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zM4 14h16a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2v-4a2 2 0 0 1 2-2zM6 6h.01M6 18h.01";
/// Close.
pub const CLOSE: Icon = "M18 6 6 18M6 6l12 12";
/// Opens further.
pub const RIGHT: Icon = "m9 18 6-6-6-6";
/// Opens a choice.
pub const CHEVRON: Icon = "m6 9 6 6 6-6";
/// Sealed.
pub const LOCK: Icon =
    "M5 11h14a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2zM7 11V7a5 5 0 0 1 10 0v4";
/// No network.
pub const NO_NETWORK: Icon = "M12 20h.01M8.5 16.429a5 5 0 0 1 7 0M5 12.859a10 10 0 0 1 5.17-2.69M19 12.859a10 10 0 0 0-2.007-1.523M2 8.82a15 15 0 0 1 4.177-2.643M22 8.82a15 15 0 0 0-11.288-3.764M2 2l20 20";
/// No provider.
pub const NO_SERVER: Icon = "M7 2h13a2 2 0 0 1 2 2v4a2 2 0 0 1-2 2h-5M10 10 2.5 2.5C2 2 2 2.5 2 5v3a2 2 0 0 0 2 2h6zM22 17v-1a2 2 0 0 0-2-2h-1M4 14a2 2 0 0 0-2 2v4a2 2 0 0 0 2 2h16.5l1-.5.5.5-8-8H4zM6 18h.01M2 2l20 20";
/// Automatic choice.
pub const ROUTE: Icon = "M9 19a3 3 0 1 1-6 0a3 3 0 0 1 6 0zM9 19h8.5a3.5 3.5 0 0 0 0-7h-11a3.5 3.5 0 0 1 0-7H15M21 5a3 3 0 1 1-6 0a3 3 0 0 1 6 0z";
/// Could see.
pub const EYE: Icon = "M2.062 12.348a1 1 0 0 1 0-.696 10.75 10.75 0 0 1 19.876 0 1 1 0 0 1 0 .696 10.75 10.75 0 0 1-19.876 0M15 12a3 3 0 1 1-6 0a3 3 0 0 1 6 0z";
/// Could not.
pub const DASH: Icon = "M5 12h14";
/// Open in a tab.
pub const EXPAND: Icon = "M15 3h6v6M21 3l-7 7M3 21l7-7M9 21H3v-6";
/// Danger.
pub const OCTAGON: Icon = "M12 16h.01M12 8v4M15.312 2a2 2 0 0 1 1.414.586l4.688 4.688A2 2 0 0 1 22 8.688v6.624a2 2 0 0 1-.586 1.414l-4.688 4.688a2 2 0 0 1-1.414.586H8.688a2 2 0 0 1-1.414-.586l-4.688-4.688A2 2 0 0 1 2 15.312V8.688a2 2 0 0 1 .586-1.414l4.688-4.688A2 2 0 0 1 8.688 2z";
/// Privacy.
pub const SHIELD: Icon = "M20 13c0 5-3.5 7.5-7.66 8.95a1 1 0 0 1-.67-.01C7.5 20.5 4 18 4 13V6a1 1 0 0 1 1-1c2 0 4.5-1.2 6.24-2.72a1.17 1.17 0 0 1 1.52 0C14.51 3.81 17 5 19 5a1 1 0 0 1 1 1z";
/// Invite.
pub const LINK: Icon = "M10 13a5 5 0 0 0 7.54.54l3-3a5 5 0 0 0-7.07-7.07l-1.72 1.71M14 11a5 5 0 0 0-7.54-.54l-3 3a5 5 0 0 0 7.07 7.07l1.71-1.71";
/// Keys.
pub const KEYBOARD: Icon = "M10 8h.01M12 12h.01M14 8h.01M16 12h.01M18 8h.01M6 8h.01M7 16h10M8 12h.01M4 4h16a2 2 0 0 1 2 2v12a2 2 0 0 1-2 2H4a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z";
/// Goes into the composer.
pub const ARROW_OUT: Icon = "M7 7h10v10M7 17 17 7";
/// Edit is going on.
pub const CORNER: Icon = "m15 10 5 5-5 5M4 4v7a4 4 0 0 0 4 4h12";

/// Draws an icon of `px` pixels; it is decoration, the name stands beside it or in the button's label.
pub fn icon(path: Icon, px: u32) -> View {
    let (width, height) = (px.to_string(), px.to_string());
    view! {
        svg(
            viewBox="0 0 24 24", width=width, height=height, fill="none", stroke="currentColor",
            "stroke-width"="1.75", "stroke-linecap"="round", "stroke-linejoin"="round", class="flex-none",
            aria-hidden="true"
        ) {
            path(d=path) {}
        }
    }
}

/// The product's mark: an open ring around a dot.
pub fn mark(px: u32) -> View {
    let (width, height) = (px.to_string(), px.to_string());
    view! {
        svg(viewBox="0 0 16 16", width=width, height=height, fill="none", class="flex-none", aria-hidden="true") {
            path(d="M5.2 2.6A6.2 6.2 0 1 0 11.6 3", stroke="currentColor", "stroke-width"="1.75", "stroke-linecap"="round") {}
            path(d="M10.6 8a2.6 2.6 0 1 1-5.2 0a2.6 2.6 0 0 1 5.2 0z", class="fill-accent") {}
        }
    }
}

/// A star, filled or not.
pub fn star(filled: bool, px: u32) -> View {
    let (width, height) = (px.to_string(), px.to_string());
    view! {
        svg(viewBox="0 0 24 24", width=width, height=height, class="flex-none", aria-hidden="true") {
            path(
                d="M12 2.5l2.9 6.2 6.6.8-4.9 4.6 1.3 6.7-5.9-3.3-5.9 3.3 1.3-6.7L2.5 9.5l6.6-.8z",
                fill=if filled { "currentColor" } else { "none" }, stroke="currentColor", "stroke-width"="1.75", "stroke-linejoin"="round"
            ) {}
        }
    }
}

/// A square, filled: stop.
pub fn stop_square() -> View {
    view! {
        svg(viewBox="0 0 12 12", width="10", height="10", class="flex-none", aria-hidden="true") {
            path(d="M2 0h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H2a2 2 0 0 1-2-2V2a2 2 0 0 1 2-2z", fill="currentColor") {}
        }
    }
}
