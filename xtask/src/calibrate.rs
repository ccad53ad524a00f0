//! `cargo xtask calibrate`: how often verdicts, forecasts and intervals are right, by simulation.

use crate::shell::{self, Result, section};
use std::process::Command;

/// Name, package, example.
const PARTS: [(&str, &str, &str); 2] =
    [("judge", "saltus-emergence", "calibrate"), ("law", "saltus-law", "calibrate_law")];

/// Prints the tables of the named parts (of all when none is named), from `ladders` simulations of each truth.
pub(crate) fn run(names: &[&str], ladders: &str) -> Result {
    if let Some(unknown) = names.iter().find(|name| !PARTS.iter().any(|(part, ..)| part == *name)) {
        return Err(format!("no such part: {unknown}; the parts are {}", PARTS.map(|(part, ..)| part).join(", ")));
    }
    if ladders.parse::<u32>().is_err() {
        return Err(format!("`--ladders {ladders}`: write a number of simulations, such as 100"));
    }
    for (part, package, example) in PARTS.iter().filter(|(part, ..)| names.is_empty() || names.contains(part)) {
        section(&format!("calibrate {part}"));
        shell::run(Command::new(shell::release_example(package, example)?).args(["--ladders", ladders]))?;
    }
    Ok(())
}
