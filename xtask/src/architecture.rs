//! The rooms and the imports between them, as ARCHITECTURE.md states them, held against the sources and `cargo metadata`.

use crate::{
    shell::{self, Result},
    size::sources,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// Each room with the rooms it may import. Every room may import `random`. A room comes after all that it imports, so
/// that there are no cycles.
const ROOMS: &[(&str, &str)] = &[
    ("random", ""),
    ("lm", ""),
    ("record", ""),
    ("stats", ""),
    ("compute", ""),
    ("checkpoint", "lm"),
    ("transformer", "checkpoint compute lm"),
    ("file", ""),
    ("results", "file"),
    ("task", "file lm"),
    ("corpus", "task lm"),
    ("lens", "compute lm record stats transformer"),
    ("train", "corpus transformer compute lm"),
    ("eval", "lm task record stats"),
    ("benchmark", "lm record task eval stats"),
    ("emergence", "stats"),
    ("law", "stats"),
    ("atlas", "results emergence law stats"),
    ("report", ""),
    ("study", "lm record corpus transformer lens train task eval emergence law report stats"),
    (
        "saltus",
        "lens atlas results emergence law study benchmark eval task record report checkpoint transformer lm file",
    ),
];

/// Rooms that may not know the disk.
const NO_DISK: &str = "random lm stats compute emergence law atlas lens";

/// Names that bring the disk into a room.
const DISK: &[&str] = &["std::fs", "File::open", "File::create"];

/// Names that make a result depend on when or where it is computed, and the rooms that may use them (they show time to
/// a person, or measure it). Examples and tests may.
const AMBIENT: &[&str] =
    &["SystemTime::now", "Instant::now", "rand::rng(", "thread_rng", "from_os_rng", "from_entropy"];
const MAY_SEE_THE_CLOCK: &str = "train study saltus";

/// Checks the table against the packages and their sources; prints nothing when all is well.
pub(crate) fn check() -> Result {
    let mut wrong = table_is_sound();
    let packages = packages()?;
    let named: BTreeSet<&str> = ROOMS.iter().map(|(room, _)| *room).collect();
    let found: BTreeSet<&str> = packages.keys().map(String::as_str).collect();
    for room in found.difference(&named) {
        wrong.push(format!("crates/{room} is not in ARCHITECTURE.md's table nor in xtask/src/architecture.rs: add it"));
    }
    for room in named.difference(&found) {
        wrong.push(format!("there is no crates/{room}: remove it from xtask/src/architecture.rs and ARCHITECTURE.md"));
    }
    for (room, imports) in &packages {
        wrong.extend(forbidden_imports(room, imports));
    }
    let architecture = shell::read(&shell::root().join("ARCHITECTURE.md"))?;
    for (room, _) in ROOMS {
        if !architecture.contains(&format!("| `{room}` ")) {
            wrong.push(format!("ARCHITECTURE.md's table has no row for `{room}`: add it"));
        }
        wrong.extend(forbidden_words(room)?);
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

fn may_import(room: &str) -> BTreeSet<&'static str> {
    let listed = ROOMS.iter().find(|(name, _)| *name == room).map_or("", |(_, imports)| *imports);
    listed.split_whitespace().chain(std::iter::once("random").filter(|_| room != "random")).collect()
}

/// A room that imports only rooms above it can't be part of a cycle.
fn table_is_sound() -> Vec<String> {
    let mut wrong = Vec::new();
    let mut above = BTreeSet::new();
    for (room, _) in ROOMS {
        for import in may_import(room).into_iter().filter(|import| !above.contains(import)) {
            wrong.push(format!(
                "xtask/src/architecture.rs lists `{room}` before `{import}`, which it imports: swap them"
            ));
        }
        above.insert(*room);
    }
    wrong
}

fn forbidden_imports(room: &str, imports: &BTreeSet<String>) -> Vec<String> {
    let allowed = may_import(room);
    let forbidden = imports.iter().filter(|import| !allowed.contains(import.as_str()));
    forbidden
        .map(|import| {
            format!(
                "crates/{room} imports saltus-{import}, which it may not know (ARCHITECTURE.md): pass what it needs as \
                 an argument, or change the architecture there and in xtask/src/architecture.rs"
            )
        })
        .collect()
}

/// Room -> the rooms it depends on (in any way: normal, development, build), from `cargo metadata`.
fn packages() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let text = shell::output(&mut shell::cargo("metadata --no-deps --format-version 1"))?;
    let metadata: serde_json::Value = serde_json::from_str(&text).map_err(|e| format!("cargo metadata: {e}"))?;
    let mut rooms = BTreeMap::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().unwrap_or(Path::new(""));
        if !folder.starts_with(shell::root().join("crates")) {
            continue;
        }
        let room = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = package["name"].as_str().unwrap_or_default();
        if room_of(name) != Some(room.as_str()) {
            return Err(format!("the package in crates/{room} is called {name}: call it saltus-{room}"));
        }
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        let imports = dependencies.filter_map(|d| d["name"].as_str().and_then(room_of).map(str::to_owned));
        rooms.insert(room.clone(), imports.filter(|import| *import != room).collect());
    }
    Ok(rooms)
}

/// `saltus-NAME` is the room NAME.
fn room_of(package: &str) -> Option<&str> {
    package.strip_prefix("saltus-")
}

/// Words in a room's own code (not its tests) that it may not use.
fn forbidden_words(room: &str) -> Result<Vec<String>> {
    let has = |rooms: &str| rooms.split_whitespace().any(|name| name == room);
    let mut wrong = Vec::new();
    for path in sources(&shell::root().join("crates").join(room).join("src")) {
        let text = shell::read(&path)?;
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        let find = |words: &[&'static str]| words.iter().find(|word| code.contains(**word)).copied();
        let place = path.strip_prefix(shell::root()).unwrap_or(&path).display();
        if let Some(word) = find(DISK).filter(|_| has(NO_DISK)) {
            wrong.push(format!("{place}: `{word}`, but `{room}` may not know the disk (ARCHITECTURE.md)"));
        }
        if let Some(word) = find(AMBIENT).filter(|_| !has(MAY_SEE_THE_CLOCK)) {
            wrong.push(format!(
                "{place}: `{word}` makes results depend on when they are computed: take it as an argument"
            ));
        }
    }
    Ok(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_a_room_after_its_imports() {
        assert_eq!(table_is_sound(), Vec::<String>::new());
    }

    #[test]
    fn an_import_against_the_arrows_is_found() {
        let imports = |names: &[&str]| names.iter().map(|name| name.to_string()).collect();
        assert_eq!(forbidden_imports("law", &imports(&["stats", "random"])), Vec::<String>::new());
        assert_eq!(forbidden_imports("lm", &imports(&["task"])).len(), 1);
        assert_eq!(forbidden_imports("random", &imports(&["lm"])).len(), 1);
    }
}
