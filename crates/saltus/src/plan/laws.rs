//! Which laws a plan asks: the published ones and the user's own fits.

use super::{arguments::PlanArguments, read_json};
use crate::measured::Refused;
use saltus_law::plan::{BudgetLaw, Covariance, Form, ORDER, data_constrained_law, draws, published};
use saltus_law::{Parameters, SizeTokenLaw};
use saltus_random::Key;
use serde::Deserialize;
use std::{collections::BTreeMap, path::Path};

/// Draws of a fit of one's own.
const DRAWS: usize = 2000;

/// Exponents beyond these make their term a constant or a step.
const IDENTIFIED: std::ops::Range<f64> = 0.01..3.0;

/// The laws asked for, in the order of the table.
pub(super) fn laws(arguments: &PlanArguments) -> Result<Vec<BudgetLaw>, Refused> {
    let mut laws = published();
    laws.push(data_constrained_law());
    for path in &arguments.fits {
        laws.push(own(path)?);
    }
    let named = |law: &BudgetLaw| arguments.laws.contains(&law.name);
    if let Some(name) = arguments.laws.iter().find(|name| !laws.iter().any(|law| law.name == **name)) {
        let names: Vec<&str> = laws.iter().map(|law| law.name.as_str()).collect();
        return Err(Refused(format!("no law is called {name:?}: give some of {}", names.join(", "))));
    }
    // Unasked, the law of repeated data stands aside where nothing is repeated.
    let unasked = |law: &BudgetLaw| law.name != "data-constrained" || arguments.unique_tokens.is_some();
    laws.retain(|law| if arguments.laws.is_empty() { unasked(law) } else { named(law) });
    Ok(laws)
}

/// What `saltus fit --json` prints, as far as a plan needs it.
#[derive(Debug, Deserialize)]
struct Fit {
    law: String,
    params: BTreeMap<String, Value>,
    #[serde(default)]
    conventions: BTreeMap<String, String>,
    covariance: Option<Matrix>,
}

#[derive(Debug, Deserialize)]
struct Value {
    value: f64,
}

#[derive(Debug, Deserialize)]
struct Matrix {
    of: Vec<String>,
    matrix: Vec<Vec<f64>>,
}

fn own(path: &Path) -> Result<BudgetLaw, Refused> {
    let fit: Fit = read_json(path, "what `saltus fit FILE --law chinchilla --json` prints")?;
    let place = path.display();
    let number = |name: &str, least: f64| match fit.params.get(name).map(|v| v.value) {
        Some(value) if value.is_finite() && value > least => Ok(value),
        Some(value) => {
            Err(Refused(format!("{place}: params.{name} is {value}: no law of the loss has that; fit again")))
        }
        None => Err(Refused(format!(
            "{place} is a fit of {:?} without the parameter {name}: a plan needs L(N,D) = E + A/N^alpha + B/D^beta, which \
             `saltus fit FILE --law chinchilla --json` gives",
            fit.law
        ))),
    };
    let e = number("E", -f64::MIN_POSITIVE)?;
    let (alpha, beta) = (number("alpha", 0.0)?, number("beta", 0.0)?);
    for (name, exponent) in [("alpha", alpha), ("beta", beta)] {
        if !IDENTIFIED.contains(&exponent) {
            return Err(Refused(format!(
                "{place}: params.{name} is {exponent:.3e}: its runs do not identify it, so that no budget can be split by \
                 them; fit runs of more sizes, each with different numbers of tokens"
            )));
        }
    }
    let surface = SizeTokenLaw { e, a: number("A", 0.0)?, alpha, b: number("B", 0.0)?, beta };
    let said = |name: &str, otherwise: &str| fit.conventions.get(name).cloned().unwrap_or_else(|| otherwise.to_owned());
    let parameters = said("parameters", "total").to_lowercase();
    let without = parameters.contains("without") || parameters.contains("non-emb") || parameters.contains("non_emb");
    let spread = match &fit.covariance {
        Some(matrix) => Some(
            covariance(matrix).and_then(|matrix| draws(&surface, &matrix, DRAWS, Key::new(1))).ok_or_else(|| {
                Refused(format!(
                    "{place}: `covariance` is none of {ORDER:?}: print the fit again with `saltus fit --json`"
                ))
            })?,
        ),
        None => None,
    };
    let interval = match &spread {
        Some(_) => "95%, from draws of E, A, alpha, B and beta by the fit's bootstrap covariance",
        None => "none: the file has no covariance; fit with --bootstrap",
    };
    let name = path.file_stem().map_or_else(|| "fit".to_owned(), |stem| stem.to_string_lossy().into_owned());
    Ok(BudgetLaw {
        title: format!("Your fit {name}"),
        name,
        source: format!("{place}, {}", fit.law),
        parameters: if without { Parameters::NonEmbedding } else { Parameters::Total },
        text: format!("{}, {}", said("loss", "the fit's loss"), said("tokenizer", "its tokens")),
        form: Form::Surface(surface),
        draws: spread.unwrap_or_default().into_iter().map(Form::Surface).collect(),
        interval: interval.to_owned(),
        largest_budget: None,
        notes: Vec::new(),
    })
}

/// The matrix in the order of the law, whatever its own.
fn covariance(matrix: &Matrix) -> Option<Covariance> {
    let places: Vec<usize> = ORDER.iter().filter_map(|name| matrix.of.iter().position(|of| of == name)).collect();
    let places: [usize; 5] = places.try_into().ok()?;
    let mut out = [[0.0; 5]; 5];
    for (i, &row) in places.iter().enumerate() {
        for (j, &column) in places.iter().enumerate() {
            out[i][j] = *matrix.matrix.get(row)?.get(column)?;
        }
    }
    Some(out)
}
