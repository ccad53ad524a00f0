//! The page as a whole: its structure, its safety, its repeatability. The browser's part is in `browser.rs`.
#![allow(clippy::unwrap_used)] // a test may fail

mod sample;

use saltus_report::{Findings, findings::Provenance, page, write};
use sample::sample;

/// The elements of the page without scripts, styles and figures' contents: what a reader meets, in order.
fn structure(html: &str) -> String {
    let mut lines = Vec::new();
    for part in html.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap_or((part, ""));
        let name = tag.split([' ', '\n']).next().unwrap_or("");
        let attribute = |key: &str| {
            tag.split(&format!(" {key}=\"")).nth(1).and_then(|t| t.split('"').next()).unwrap_or("").to_owned()
        };
        match name {
            "h1" | "h2" | "h3" | "h4" | "caption" | "summary" => lines.push(format!("{name}: {}", text.trim())),
            "section" => lines.push(format!("\nsection #{}", attribute("id"))),
            "figure" => lines.push(format!("  figure #{}", attribute("id"))),
            "figcaption" => lines.push(format!("    {}", text.trim())),
            "select" => lines.push(format!("    choice: {}", attribute("aria-label"))),
            "button" if !attribute("data-save").is_empty() => {
                lines.push(format!("  download {}", attribute("data-save")))
            }
            _ => {}
        }
    }
    lines.join("\n")
}

/// The page without its data blocks, scripts and styles.
fn visible(html: &str) -> String {
    let body = html.split("<body").nth(1).unwrap();
    body.split("<script").next().unwrap().to_owned()
}

/// What stands between `<` and `>`: the tags with their attributes, without their quoted values' entities.
fn tags(html: &str) -> String {
    let tags = html.split('<').skip(1).filter_map(|p| p.split('>').next());
    // Hostile text inside attributes is escaped; what is left after an entity is still that text.
    tags.map(|t| t.split('"').step_by(2).collect::<Vec<_>>().join("\"")).collect::<Vec<_>>().join("\n")
}

/// The data block with this id.
fn block(html: &str, id: &str) -> String {
    let start = html.split(&format!("id=\"{id}\">")).nth(1).unwrap();
    start.split("</script>").next().unwrap().to_owned()
}

#[test]
fn the_structure_is_as_reviewed() {
    insta::assert_snapshot!(structure(&page(&sample())));
}

#[test]
fn jumps_of_the_metric_are_not_shown_as_emerging() {
    let shown = |findings: &_| {
        let figures: serde_json::Value = serde_json::from_str(&block(&page(findings), "figures")).unwrap();
        let all = figures.as_array().unwrap();
        let figure = all.iter().find(|f| f["id"] == "figure-thresholds").unwrap();
        figure["layers"][0]["names"].as_array().unwrap().len()
    };
    let mut findings = sample();
    let before = shown(&findings);
    let jump = findings.abilities.iter_mut().find(|a| a.is_ruled("yes") && a.threshold.is_some()).unwrap();
    jump.artefact.as_mut().unwrap().ruling = "no".into();
    assert_eq!(shown(&findings), before + 1);
}

#[test]
fn the_same_findings_give_the_same_bytes() {
    assert_eq!(page(&sample()), page(&sample()));
}

#[test]
fn findings_survive_json_and_the_page() {
    let findings = sample();
    let json = serde_json::to_string(&findings).unwrap();
    assert_eq!(serde_json::from_str::<Findings>(&json).unwrap(), findings);
    assert_eq!(serde_json::from_str::<Findings>(&block(&page(&findings), "findings")).unwrap(), findings);
}

#[test]
fn the_required_names_are_in_the_json() {
    let json = serde_json::to_value(sample()).unwrap();
    for name in ["study", "schema", "abilities", "laws"] {
        assert!(json.get(name).is_some(), "{name}");
    }
    let ability = &json["abilities"][0];
    for name in
        ["family", "task", "style", "shots", "metric", "scale", "points", "shape", "weights", "threshold", "artefact"]
    {
        assert!(ability.get(name).is_some(), "abilities[0].{name}");
    }
    for name in ["params", "seeds", "n", "value", "low", "high"] {
        assert!(ability["points"][0].get(name).is_some(), "point.{name}");
    }
    let law = &json["laws"][0];
    assert!(law.get("law").is_some() && law.get("conventions").is_some() && law["params"]["E"].get("low").is_some());
}

#[test]
fn hostile_names_stay_text() {
    let html = page(&sample());
    assert!(!visible(&html).contains("<img"), "an element came out of a name");
    assert!(!visible(&html).contains("<b>Not bold"));
    // Two data blocks and our two scripts: not one more, whatever the names say.
    assert_eq!(html.matches("<script").count(), 4);
    assert_eq!(html.matches("</script>").count(), 4);
    assert!(html.contains("&lt;script&gt;alert(&#39;family&#39;)&lt;/script&gt;"));
}

#[test]
fn nothing_is_fetched_and_nothing_is_inline() {
    let html = page(&sample());
    let shown = tags(&visible(&html));
    for never in [" src=", "@import", "url(http", " style=\"", " onclick="] {
        assert!(!shown.contains(never), "{never}");
    }
    assert!(html.contains("default-src 'none'") && !html.contains("unsafe-inline") && !html.contains("unsafe-eval"));
    // The one address is the name of the SVG language, which no browser fetches.
    assert_eq!(
        html.matches("http://").count() + html.matches("https://").count(),
        html.matches("http://www.w3.org/2000/svg").count()
    );
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}

#[test]
fn every_link_leads_somewhere_and_every_id_is_unique() {
    let html = visible(&page(&sample()));
    let mut ids: Vec<&str> = html.split(" id=\"").skip(1).filter_map(|p| p.split('"').next()).collect();
    ids.sort_unstable();
    let count = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), count);
    for link in html.split(" href=\"#").skip(1).filter_map(|p| p.split('"').next()) {
        assert!(ids.binary_search(&link).is_ok(), "#{link} is nowhere");
    }
}

#[test]
fn a_study_without_results_still_gives_a_page() {
    let empty = Findings {
        study: String::new(),
        schema: 1,
        saltus: String::new(),
        headlines: vec![],
        models: vec![],
        abilities: vec![],
        effects: vec![],
        laws: vec![],
        curves: vec![],
        inside: vec![],
        provenance: Provenance::default(),
    };
    let html = page(&empty);
    assert!(html.contains("No finding stands out") && !html.contains("<figure"));
    let mut hollow = sample();
    hollow.abilities.iter_mut().for_each(|a| {
        a.points.clear();
        a.fit.clear();
        a.weights.clear();
    });
    assert!(page(&hollow).contains("not measured"));
}

#[test]
fn values_that_are_no_numbers_do_not_reach_the_picture() {
    let mut findings = sample();
    findings.abilities[0].points[3].value = f64::NAN;
    findings.abilities[0].points[4].high = f64::INFINITY;
    let html = page(&findings);
    assert!(serde_json::from_str::<serde_json::Value>(&block(&html, "figures")).is_ok());
    assert!(!visible(&html).contains("NaN"));
}

#[test]
fn writing_replaces_the_page_or_says_why_not() {
    let folder = std::env::temp_dir().join(format!("saltus-report-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let out = folder.join("report.html");
    write(&sample(), &out).unwrap();
    write(&sample(), &out).unwrap();
    assert_eq!(std::fs::read_to_string(&out).unwrap(), page(&sample()));
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1, "a part was left behind");
    std::fs::remove_dir_all(&folder).unwrap();
    let message = write(&sample(), &folder.join("none/report.html")).unwrap_err().to_string();
    assert!(message.contains("none/report.html") && message.contains("choose a folder"), "{message}");
}
