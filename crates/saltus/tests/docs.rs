//! Every command in README.md and docs/ is run: lines that begin with `$ ` in fenced `console` blocks, in order, each
//! file in a folder of its own, with the `saltus` just built on the path.
#![allow(clippy::unwrap_used)]

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The commands of one page.
fn commands(page: &str) -> Vec<String> {
    let mut inside = false;
    let mut found = Vec::new();
    for line in page.lines() {
        match line {
            "```console" => inside = true,
            "```" => inside = false,
            _ if inside => found.extend(line.strip_prefix("$ ").map(str::to_string)),
            _ => {}
        }
    }
    found
}

/// Writes the files that a page shows in fenced blocks whose first line is a comment with the file's name
/// (`# file: mine.toml`), so that its commands find them.
fn write_files(page: &str, folder: &Path) {
    let mut current: Option<(PathBuf, String)> = None;
    for line in page.lines() {
        match (&mut current, line.strip_prefix("# file: ")) {
            (None, Some(name)) => current = Some((folder.join(name.trim()), String::new())),
            (Some((path, text)), None) if line == "```" => {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &text).unwrap();
                current = None;
            }
            (Some((_, text)), _) => *text += &format!("{line}\n"),
            (None, None) => {}
        }
    }
}

fn run_page(path: &Path) -> usize {
    let page = fs::read_to_string(path).unwrap();
    let folder = tempfile::tempdir().unwrap();
    write_files(&page, folder.path());
    let binary = Path::new(env!("CARGO_BIN_EXE_saltus")).parent().unwrap();
    let search = env::join_paths(
        std::iter::once(binary.to_path_buf()).chain(env::split_paths(&env::var_os("PATH").unwrap_or_default())),
    );
    let commands = commands(&page);
    for command in &commands {
        let output = Command::new("sh")
            .args(["-c", command])
            .current_dir(folder.path())
            .env("PATH", search.as_ref().unwrap())
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}: `{command}` failed\n{}{}",
            path.display(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    commands.len()
}

#[test]
fn every_command_in_the_guides_runs() {
    let mut pages: Vec<PathBuf> = fs::read_dir(root().join("docs")).unwrap().flatten().map(|e| e.path()).collect();
    pages.retain(|p| p.extension().is_some_and(|e| e == "md"));
    pages.push(root().join("README.md"));
    pages.sort();
    let run: usize = pages.iter().map(|p| run_page(p)).sum();
    assert!(run > 0, "no page has a command");
}
