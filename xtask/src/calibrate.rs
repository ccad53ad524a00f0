//! `cargo xtask calibrate`: how often verdicts, forecasts and intervals are right, by simulation.

use crate::shell::{self, Result, section};
use std::process::Command;

const PARTS: [(&str, &str); 2] = [("judge", "saltus-emergence"), ("law", "saltus-law")];

/// Prints the tables of the named parts (of all when none is named), from `ladders` simulations of each truth.
pub(crate) fn run(names: &[&str], ladders: &str) -> Result {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(part, _)| part == *name)) {
        return Err(format!("no such part: {unknown}; the parts are {}", PARTS.map(|(part, _)| part).join(", ")));
    }
    if ladders.parse::<u32>().is_err() {
        return Err(format!("`--ladders {ladders}`: write a number of simulations, such as 100"));
    }
    for (part, package) in PARTS.iter().filter(|(part, _)| names.is_empty() || names.contains(part)) {
        section(&format!("calibrate {part}"));
        shell::run(Command::new(shell::release_example(package, "calibrate")?).args(["--ladders", ladders]))?;
    }
    Ok(())
}
