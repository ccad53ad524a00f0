//! `cargo xtask bench fit`: refits of Chinchilla's law beside SciPy, in turn.

use crate::{
    bench, python,
    shell::{self, Result},
};
use serde_json::{Value, json};
use std::{process::Command, time::Instant};

const ROUNDS: usize = 3;
/// As many as the published intervals are made from.
const REFITS: u32 = 4000;
/// SciPy's are timed on fewer; time is by refit.
const REFITS_OF_SCIPY: u32 = 400;

/// Prints seconds for each refit and their ratio, by round, as JSON. Saltus's time is that of the whole command, SciPy's of
/// the refits alone.
pub(crate) fn fit() -> Result {
    let runs = shell::shared("data/scaling/chinchilla_fig4.csv")?;
    let saltus = shell::release_saltus()?;
    for round in 0..ROUNDS {
        let ours = |threads: Option<&str>| -> Result<(f64, Value)> {
            let mut command = Command::new(&saltus);
            command.args(["fit"]).arg(&runs).args([
                "--law",
                "chinchilla",
                "--drop-worst",
                "5",
                "--json",
                "--bootstrap",
            ]);
            command.arg(REFITS.to_string());
            threads.map(|n| command.env("RAYON_NUM_THREADS", n));
            let begun = Instant::now();
            let told = shell::output(&mut command)?;
            let seconds = begun.elapsed().as_secs_f64() / f64::from(REFITS);
            Ok((seconds, serde_json::from_str(&told).map_err(|e| format!("no JSON: {e}"))?))
        };
        let ((all, fit), (one, _)) = (ours(None)?, ours(Some("1"))?);
        let text = shell::output(python::script("fit_scipy.py")?.arg(&runs).arg(REFITS_OF_SCIPY.to_string()))?;
        let peer: Value = serde_json::from_str(&text).map_err(|e| format!("no JSON: {e}"))?;
        let theirs = |name: &str| peer[name].as_f64().unwrap_or(f64::NAN) / f64::from(REFITS_OF_SCIPY);
        println!(
            "{}",
            json!({
                "round": round + 1,
                "cpu": bench::cpu(),
                "ms_per_refit": {
                    "saltus": 1e3 * all, "saltus, one thread": 1e3 * one,
                    "scipy, numerical gradient": 1e3 * theirs("numerical"), "scipy, analytic gradient": 1e3 * theirs("analytic"),
                },
                "times_faster": {
                    "all threads, numerical": theirs("numerical") / all, "all threads, analytic": theirs("analytic") / all,
                    "one thread, numerical": theirs("numerical") / one, "one thread, analytic": theirs("analytic") / one,
                },
                "objective": {"saltus": fit["objective"], "scipy": peer["objective"]},
                "beta": {
                    "saltus": fit["params"]["beta"], "scipy": peer["beta"],
                    "scipy's interval": peer["beta by analytic"],
                },
            })
        );
    }
    Ok(())
}
