//! `cargo xtask check`: what must hold for every commit.

use crate::{
    architecture, deny,
    shell::{self, Result, cargo, section},
    size,
};

type Check = (&'static str, fn() -> Result);

/// Runs every check, also after one has failed; the cheap ones first. With `fix`, first repairs what tools can repair.
pub(crate) fn run(fix: bool) -> Result {
    if fix {
        section("fix");
        shell::run(&mut cargo("clippy --fix --allow-dirty --allow-staged --workspace --all-targets --quiet"))?;
        shell::run(&mut cargo("fmt --all"))?;
    }
    let checks: [Check; 6] = [
        ("architecture", architecture::check),
        ("size limits", size::check),
        ("format", format),
        ("dependencies: licences, bans, sources, advisories", deny::check),
        ("lints", lints),
        ("docs", docs),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        section(name);
        match check() {
            Ok(()) => eprintln!("ok"),
            Err(message) => {
                eprintln!("{message}");
                failed.push(name);
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed: {}", failed.join("; "))) }
}

fn format() -> Result {
    shell::run(&mut cargo("fmt --all --check"))
}

/// Function length and number of arguments are clippy's (clippy.toml).
fn lints() -> Result {
    shell::run(&mut cargo("clippy --quiet --workspace --all-targets -- -D warnings"))
}

fn docs() -> Result {
    shell::run(cargo("doc --quiet --workspace --no-deps").env("RUSTDOCFLAGS", "-D warnings"))
}
