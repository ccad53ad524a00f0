//! The page of what is inside models: safe, complete, and its browsers work.
#![allow(clippy::unwrap_used)] // a test may fail

mod chromium;

use saltus_report::inside::*;
use serde_json::Value;
use std::path::Path;

const HOSTILE: &str = "<img src=x onerror=alert(1)></script>";

fn number(look: &str, metric: &str, (layer, unit): (Option<u32>, Option<u32>), value: f64) -> Number {
    Number {
        look: look.into(),
        method: if look == "knowledge" { "logit-lens".into() } else { String::new() },
        group: String::new(),
        metric: metric.into(),
        layer,
        unit,
        value,
        interval: Some((value * 0.9, value * 1.1)),
        n: 40,
        chance: Some(0.1),
    }
}

fn looked(size: u32, tokens: u64) -> Looked {
    let mut numbers = Vec::new();
    for layer in 0..=size {
        let share = f64::from(layer) / 4.0;
        numbers.push(number("knowledge", "p_at_1", (Some(layer), None), share));
        for relation in ["capital", HOSTILE] {
            let of_all = number("knowledge", "p_at_1", (Some(layer), None), share);
            numbers.push(Number { group: relation.into(), ..of_all });
        }
    }
    for layer in 1..=size {
        numbers.push(number("memories", "zero_agreement", (Some(layer), None), 0.7));
        for head in 0..2 {
            numbers.push(number("heads", "induction", (Some(layer), Some(head)), 0.3 * f64::from(head)));
        }
    }
    for layer in 1..=size {
        let effect = number("causal", "effect", (Some(layer), None), f64::from(layer));
        numbers.push(Number { method: "restore-mlp".into(), group: "subject".into(), ..effect });
        let said = number("prompt", "target_logprob", (Some(layer), None), -f64::from(layer));
        numbers.push(Number { group: "Stay with | while".into(), ..said });
    }
    numbers.push(number("heads", "induction_max", (None, None), 0.1 * f64::from(size) + tokens as f64 * 1e-7));
    Looked {
        model: format!("{}x{size}", 16 * size),
        family: "main".into(),
        params_non_embedding: 1000 * u64::from(size),
        layers: size,
        tokens: Some(tokens),
        seeds: 3,
        numbers,
        details: Vec::new(),
    }
}

fn vote(token: &str, score: f64) -> Vote {
    Vote { token: token.into(), score }
}

fn memory(layer: u32, unit: u32) -> Memory {
    let trigger = |coefficient: f64| Trigger {
        coefficient,
        tokens: vec!["stay ".into(), "with ".into(), HOSTILE.into()],
        next: Some("while".into()),
    };
    Memory {
        layer,
        unit,
        triggers: vec![trigger(3.5), trigger(2.0)],
        top: vec![vote("while", 2.0), vote(HOSTILE, 1.0)],
        bottom: vec![vote("never", -1.0)],
        agrees: unit == 0,
    }
}

fn details() -> Vec<Detail> {
    let fact = |object: &str, ranks: &[u32]| Fact {
        relation: "capital".into(),
        text: format!("The capital of {HOSTILE} is"),
        object: object.into(),
        ranks: ranks.into(),
        said: "Paris".into(),
    };
    let knowledge = Knowledge {
        method: "logit-lens".into(),
        layers: vec![0, 1, 2],
        facts: vec![fact("Paris", &[9, 1, 2]), fact("Rome", &[9, 5, 1])],
        left_out: vec![("the object has several tokens".into(), 7)],
    };
    let memories = (0..6).map(|i| memory(1 + i / 3, i % 3)).collect();
    let book = MemoryBook { layers: 2, units: 3, definition: "m = relu(x K)".into(), memories };
    let part = |name: &str, layer, amount| Part { name: name.into(), layer, amount };
    let head = |head, amount| PromptHead { layer: 2, head, amount, attention: vec![0.1, 0.2, 0.7] };
    let picture = PromptPicture {
        tokens: vec!["Stay".into(), " with".into(), HOSTILE.into()],
        target: " while".into(),
        logit: 7.5,
        said: vec![vote(" while", 0.4), vote(" long", 0.2)],
        lens: vec![vec![vote(" the", 0.1)], vec![vote(" while", 0.3)], vec![vote(" while", 0.4)]],
        parts: vec![part("embedding", 0, 0.5), part("attention", 1, 1.0), part("mlp", 1, 2.0), part("mlp", 2, 4.0)],
        memories: vec![PromptMemory {
            layer: 2,
            unit: 1,
            coefficient: 1.5,
            amount: Some(2.0),
            votes: vec![" while".into()],
        }],
        heads: vec![head(0, 0.7), head(1, -0.2)],
        definition: "With the final norm's scale held, every part adds its share.".into(),
    };
    let effect = |part: &str, layer| Effect {
        intervention: "restore".into(),
        part: part.into(),
        place: "subject".into(),
        layer,
        effect: f64::from(layer),
        interval: Some((0.5, 3.0)),
    };
    let effects = vec![effect("mlp", 1), effect("mlp", 2), effect("attention", 1), effect("attention", 2)];
    let causal = Causal { definition: "Noise.".into(), effects, disagreements: vec!["They differ.".into()] };
    let scores = HeadScores {
        definitions: vec![("induction".into(), "attention to the token after the earlier copy".into())],
        scores: Vec::new(),
        loss_by_position: vec![3.0, 2.0, 1.0, 0.5],
    };
    vec![
        Detail::Knowledge(knowledge),
        Detail::Memories(book),
        Detail::Prompt(picture),
        Detail::Heads(scores),
        Detail::Causal(causal),
    ]
}

fn sample() -> Looks {
    let mut models: Vec<Looked> = (1..=3).flat_map(|size| [looked(size, 1_000_000), looked(size, 4_000_000)]).collect();
    models.last_mut().unwrap().details = details();
    Looks { saltus: "0".into(), title: "Inside the sample".into(), models }
}

#[test]
fn hostile_text_stays_text() {
    let html = page(&sample());
    let body = html.split("<body").nth(1).unwrap().split("<script").next().unwrap();
    assert!(!body.contains("<img") && body.contains("&lt;img src=x"));
    assert_eq!((html.matches("<script").count(), html.matches("</script>").count()), (5, 5));
    assert_eq!(html, page(&sample()));
}

#[test]
fn every_look_is_drawn() {
    let html = page(&sample());
    let block = html.split("id=\"figures\">").nth(1).unwrap().split("</script>").next().unwrap();
    let figures: Vec<Value> = serde_json::from_str(block).unwrap();
    let ids: Vec<&str> = figures.iter().map(|f| f["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        [
            "figure-knowledge-logit-lens-p-at-1",
            "figure-knowledge-logit-lens-p-at-1-48x3",
            "figure-memories-zero-agreement",
            "figure-heads-induction-48x3",
            "figure-heads-induction-max-by-size",
            "figure-heads-induction-max-along-training",
            "figure-loss-by-position-5-3",
            "figure-causal-restore-mlp-effect-subject",
            "figure-causal-restore-5-4",
            "figure-prompt-target-logprob-stay-with-while",
            "figure-prompt-5-2",
        ]
    );
    // Models along their training appear once in a heat map: as they were last.
    assert_eq!(figures[0]["layers"][0]["names"].as_array().unwrap().len(), 3);
    let layers_only = |figure: &Value| figure["x"]["label"] != "Layer" || figure["x"]["format"] == "whole";
    assert!(figures.iter().all(layers_only), "a layer is a whole number");
    for heading in ["Where knowledge sits", "Feed-forward memories", "Heads", "Causes", "One prediction taken apart"] {
        assert!(html.contains(&format!("<h2>{heading}</h2>")), "{heading}");
    }
    assert!(html.contains("7 not asked: the object has several tokens"));
}

#[test]
fn no_models_make_a_page_too() {
    let html = page(&Looks { saltus: "0".into(), title: "Nothing".into(), models: Vec::new() });
    assert!(html.contains("No model has been looked into."));
}

#[test]
fn the_page_works_in_a_browser() {
    let Some(browser) = chromium::browser() else { return };
    let folder = tempfile::tempdir().unwrap();
    let html = page(&sample());
    let figures = html.matches("<figure ").count();
    if let Some(shots) = std::env::var_os("SALTUS_SHOTS") {
        chromium::keep(&browser, &Path::new(&shots).join("inside"), &html);
    }
    for width in [390, 1280] {
        let seen = chromium::probe(&browser, folder.path(), &html, (width, include_str!("inside.js")));
        assert_eq!(seen["errors"], Value::Array(vec![]), "at {width} px");
        assert_eq!(seen["drawn"].as_u64(), Some(figures as u64), "figures drawn at {width} px");
        assert_eq!(seen["overflow"].as_i64(), Some(0), "too wide at {width} px: {}", seen["wide"]);
        for (what, works) in seen["works"].as_object().unwrap() {
            assert_eq!(works, &Value::Bool(true), "{what} at {width} px");
        }
    }
}
