//! Writes small valid files of results into a folder for the fuzz target `results`: what `cargo xtask fuzz` starts from, with
//! a dictionary of words that such files are made of.

use std::{fs, path::Path};

const TABLE: &str = "family,model,params,tokens,loss,task,metric,score,n,chance,seed,step,predicted\n\
    f,a,10M,1B,3.1,t,acc,0.25,100,0.25,1,10,yes\nf,b,100M,2B,2.9,t,acc,0.31,100,0.25,1,10,no\n\
    f,c,1B,4B,2.5,t,acc,0.52,100,0.25,1,10,no\nf,d,1e10,8e9,2.2,t,acc,.81,100,0.25,1,10,\"y\"\"es\"\n";
const ITEMS: &str = "params;task;item;exact_match;score\n1e6;t;1;0;0\n1e6;t;2;0;1\n1e7;t;1;1;1\n1e7;t;2;NaN;0\n";
const HARNESS: &str = r#"{"results": {"t": {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.05, "acc_norm,none": 0.6}},
 "config": {"model": "hf", "model_args": "pretrained=org/x-70m,revision=step3000"}, "versions": {"t": 1}, "n-shot": {"t": 0},
 "n-samples": {"t": {"original": 100, "effective": 100}}, "model_name": "org/x-70m", "config_general": {}}"#;
const OLD_HARNESS: &str = r#"{"results": {"t": {"acc": 0.5, "acc_stderr": 0.05}}, "versions": {"t": 0},
 "config": {"model": "gpt2", "model_args": "pretrained=EleutherAI/pythia-1b,revision=step10", "num_fewshot": 5}}"#;
const BIG_BENCH: &str = r#"{"scores": [{"subtask_description": "t", "score_dict": {"exact_str_match": 0.1}, "number_of_shots": 0,
 "preferred_score": "exact_str_match", "low_score": 0, "high_score": 1}], "task": "t",
 "model": {"model_family": "BIG-G", "model_name": "1b", "non_embedding_params": 1000000000, "total_params": 1100000000}}"#;
const WORDS: &str = "family model params tokens loss task metric score n chance seed step item predicted stderr ceiling NaN inf 1e308 \
    -1 0.25 70M 1.4B results acc,none acc_stderr config model_args pretrained= revision=step score_dict number_of_shots \
    preferred_score subtask_description non_embedding_params";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    let of_results = Path::new(&folder).join("results");
    fs::create_dir_all(&of_results)?;
    // The first byte says which file the rest is.
    let seeds = [(0, TABLE), (0, ITEMS), (1, HARNESS), (1, OLD_HARNESS), (1, BIG_BENCH)];
    for (i, (choice, text)) in seeds.into_iter().enumerate() {
        fs::write(of_results.join(i.to_string()), [&[choice], text.as_bytes()].concat())?;
    }
    let words: String = WORDS.split_whitespace().map(|word| format!("\"{word}\"\n")).collect();
    Ok(fs::write(of_results.with_extension("dict"), words)?)
}
