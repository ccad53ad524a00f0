//! A study: one declarative file, brought up to date.
//!
//! ```text
//! study.toml ──file──▶ what was written ──plan──▶ what it means: models, questions, cells
//!                                                   │
//!                              run: train ▶ measure ▶ look inside ▶ judge ▶ report, each only where something is missing
//! ```
//!
//! Knows no mathematics: it moves data from room to room and keeps the books.

mod cells;
mod effects;
mod error;
pub mod file;
mod findings;
mod forecast;
mod headlines;
pub mod inside;
mod kept;
mod laws;
mod looks;
mod plan;
mod run;
mod store;
mod training;

pub use error::Error;
pub use forecast::{PlanSummary, RungSummary, dry_run};
pub use plan::Study;
pub use run::{Event, Gap, Outcome, Status, StatusRow, Verdict, report, run, status};

/// The text of a built-in study.
pub fn builtin(name: &str) -> Result<&'static str, Error> {
    let found = BUILTIN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text);
    found.ok_or_else(|| Error::Output {
        message: format!("there is no built-in study {name:?} and no file of that name"),
        help: format!(
            "the built-in studies are {}; a file's name needs its ending or a `/`, and `saltus new` writes one",
            BUILTIN.map(|(name, _)| format!("`{name}`")).join(" and ")
        ),
    })
}

const BUILTIN: [(&str, &str); 2] =
    [("pocket", include_str!("../studies/pocket.toml")), ("small", include_str!("../studies/small.toml"))];
