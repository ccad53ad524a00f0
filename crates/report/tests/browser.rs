//! The page in headless Chromium: no error, every figure drawn, no sideways scrolling, on a phone and on a desk.
//!
//! Without Chromium the test says so and passes; with `SALTUS_REQUIRE_BROWSER=1` it then fails. `SALTUS_SHOTS=FOLDER`
//! keeps the pages, pictures of them and the printed page, to be looked at.
#![allow(clippy::unwrap_used)] // a test may fail

mod chromium;
mod sample;

use serde_json::Value;
use std::path::Path;

/// Runs in the page once all is drawn; reports to the frame around it.
const PROBE: &str = include_str!("probe.js");

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = chromium::browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let html = saltus_report::page(&sample::sample());
    let figures = html.matches("<figure ").count();
    if let Some(shots) = std::env::var_os("SALTUS_SHOTS") {
        chromium::keep(&browser, Path::new(&shots), &html);
    }
    for width in [390, 1280] {
        let seen = chromium::probe(&browser, folder.path(), &html, (width, PROBE));
        let number = |key: &str| seen[key].as_f64().unwrap_or(-1.0);
        assert_eq!(seen["errors"], Value::Array(vec![]), "at {width} px");
        assert_eq!(number("width"), f64::from(width), "the frame is not as wide as asked");
        assert_eq!(number("drawn"), figures as f64, "figures drawn at {width} px");
        assert_eq!(number("empty"), 0.0, "figures without a mark at {width} px");
        assert!(
            number("overflow") <= 0.0,
            "the page is {} px too wide at {width} px: {}",
            number("overflow"),
            seen["wide"]
        );
        assert_eq!(seen["clipped"], Value::Array(vec![]), "text outside its figure at {width} px");
        for (what, works) in seen["works"].as_object().unwrap() {
            assert_eq!(works, &Value::Bool(true), "{what} at {width} px");
        }
    }
}
