//! The page of a budget: safe, complete, the same bytes each time.
#![allow(clippy::unwrap_used)] // a test may fail

use saltus_report::budget::{Budget, Estimate, LawPlan, Seen, page};

const HOSTILE: &str = "<img src=x onerror=alert(1)></script>";

fn sample() -> Budget {
    let known = |value: f64| Estimate { value, low: Some(value * 0.8), high: Some(value * 1.3) };
    let bare = |value: f64| Estimate { value, low: None, high: None };
    let law = |name: &str, estimate: &dyn Fn(f64) -> Estimate| LawPlan {
        law: name.to_owned(),
        title: format!("Law {name}"),
        source: HOSTILE.to_owned(),
        parameters: "non-embedding".to_owned(),
        text: "some text".to_owned(),
        interval: "none".to_owned(),
        notes: vec![HOSTILE.to_owned()],
        params: estimate(1e9),
        params_total: estimate(1.05e9),
        tokens: estimate(2e10),
        tokens_per_param: estimate(20.0),
        loss: estimate(2.5),
        flops: bare(1.2e20),
        budgets: vec![1.2e19, 1.2e20, 1.2e21],
        contours: vec![(2.5, vec![(1e8, 1e12), (1e9, 2e10), (1e10, 1e10)]), (f64::NAN, vec![])],
        frontier: vec![(1e8, 2e9), (1e9, 2e10), (1e10, 2e11)],
        profile: vec![(1e8, 2.9), (1e9, 2.5), (1e10, 2.8)],
    };
    Budget {
        saltus: "0".to_owned(),
        title: "1.2e20 FLOPs".to_owned(),
        budget: None,
        laws: vec![law("first", &known), law(HOSTILE, &bare)],
        left_out: vec![("third".to_owned(), HOSTILE.to_owned())],
        abilities: vec![Seen {
            ability: HOSTILE.to_owned(),
            asked: "few-shot".to_owned(),
            unit: "FLOPs".to_owned(),
            seen_at: 2.3e22,
            absent_at: None,
            standing: "not seen by then".to_owned(),
            source: HOSTILE.to_owned(),
        }],
    }
}

#[test]
fn hostile_text_stays_text() {
    let html = page(&sample());
    let body = html.split("<body").nth(1).unwrap().split("<script").next().unwrap();
    assert!(!body.contains("<img") && body.contains("&lt;img src=x"));
    // Two data blocks and our two scripts.
    assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (4, 4));
    assert!(html.contains("default-src 'none'") && !html.contains("unsafe-inline"));
    assert_eq!(html, page(&sample()));
}

#[test]
fn every_law_stands_in_the_table_and_in_the_figures() {
    let html = page(&sample());
    let block = html.split("id=\"figures\">").nth(1).unwrap().split("</script>").next().unwrap();
    let figures: Vec<serde_json::Value> = serde_json::from_str(block).unwrap();
    let ids: Vec<&str> = figures.iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 4);
    assert!(ids.iter().all(|id| html.matches(&format!("data-figure=\"{id}\"")).count() == 1), "{ids:?}");
    // The interval of the first law is drawn and written; the second has none.
    assert!(html.contains("<small>800M to 1.3B</small>") && html.matches("800M to 1.3B").count() == 1);
    assert!(html.contains("non-embedding; 1.1B in all"));
}
