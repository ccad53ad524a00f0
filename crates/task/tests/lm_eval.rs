//! Task files of lm-evaluation-harness and own TOML files: what is read, put together, and refused.

#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use saltus_task::ShotMode;
use saltus_task::lm_eval::{Ask, FEWSHOT_SEED, Gold, Item, Shots, Suite, read, read_own};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CAPITALS: &str = r#"task: capitals
dataset_path: json
dataset_kwargs: {data_files: {test: data.jsonl}}
test_split: test
fewshot_split: test
output_type: multiple_choice
description: "Capitals.\n\n"
doc_to_text: "{{q}}?"
doc_to_choice: ["Bern", "Oslo"]
doc_to_target: "{{a}}"
"#;

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn capitals() -> String {
    (0..12).map(|i| format!("{{\"q\": \"q{i}\", \"a\": {}}}\n", i % 2)).collect()
}

fn shots(count: u32, mode: Option<ShotMode>) -> Shots {
    Shots { count: Some(count), mode, seed: FEWSHOT_SEED }
}

fn items(path: &Path, shots: Shots) -> Result<Vec<Item>, saltus_task::Error> {
    let suite = read(path)?;
    let open = suite.tasks[0].open()?;
    Ok(open.items(shots, None)?.items)
}

fn context(item: &Item) -> &str {
    match &item.ask {
        Ask::Choices { requests, .. } => &requests[0].context,
        Ask::Generate(context) => context,
        other => panic!("{other:?}"),
    }
}

/// The strings are those of lm-evaluation-harness 0.4.13.
#[test]
fn shots_as_in_lm_eval() {
    let folder = folder(&[("t.yaml", CAPITALS), ("data.jsonl", &capitals())]);
    let items = items(&folder.path().join("t.yaml"), shots(2, None)).unwrap();
    let contexts: Vec<&str> = items.iter().map(context).collect();
    assert_eq!(
        contexts[..3],
        [
            "Capitals.\n\nq7? Oslo\n\nq1? Oslo\n\nq0?",
            "Capitals.\n\nq9? Oslo\n\nq0? Bern\n\nq1?",
            "Capitals.\n\nq10? Bern\n\nq1? Oslo\n\nq2?",
        ]
    );
    let Ask::Choices { requests, choices, .. } = &items[1].ask else { panic!() };
    assert_eq!([&requests[0].continuation, &requests[1].continuation], [" Bern", " Oslo"]);
    assert_eq!(
        (choices.as_slice(), &items[1].gold),
        (&["Bern".to_owned(), "Oslo".to_owned()][..], &Gold::Choice(Some(1)))
    );
}

#[test]
fn fixed_shots_are_the_same_for_all_but_for_themselves() {
    let folder = folder(&[("t.yaml", CAPITALS), ("data.jsonl", &capitals())]);
    let path = folder.path().join("t.yaml");
    let of = |count, seed| {
        let shots = Shots { count: Some(count), mode: Some(ShotMode::Fixed), seed };
        items(&path, shots).unwrap().iter().map(|item| context(item).to_owned()).collect::<Vec<_>>()
    };
    let before = |contexts: &[String]| {
        let mut counts = std::collections::HashMap::new();
        for text in contexts {
            *counts.entry(text.rsplit_once("\n\n").unwrap().0.to_owned()).or_insert(0) += 1;
        }
        let most = counts.iter().max_by_key(|(_, n)| **n).unwrap();
        (most.0.clone(), *most.1)
    };
    let (two, three) = (before(&of(2, 1)), before(&of(3, 1)));
    assert_eq!((two.1, three.1), (10, 9));
    assert!(three.0.starts_with(&two.0), "fewer shots are the first of more");
    assert_ne!(before(&of(2, 2)).0, two.0, "another seed, other shots");
    for (i, context) in of(5, 1).iter().enumerate() {
        assert_eq!(context.matches(&format!("q{i}?")).count(), 1, "no question is its own shot");
    }
}

#[test]
fn first_n_takes_the_first() {
    let yaml = CAPITALS.to_owned() + "fewshot_config: {sampler: first_n}\nnum_fewshot: 1\n";
    let folder = folder(&[("t.yaml", &yaml), ("data.jsonl", &capitals())]);
    let suite = read(&folder.path().join("t.yaml")).unwrap();
    let open = suite.tasks[0].open().unwrap();
    let found = open.items(Shots { count: None, mode: None, seed: 0 }, Some(2)).unwrap();
    assert_eq!((found.shots, found.mode, found.items.len()), (1, ShotMode::Fixed, 2));
    assert_eq!(context(&found.items[0]), "Capitals.\n\nq1? Oslo\n\nq0?");
    assert_eq!(context(&found.items[1]), "Capitals.\n\nq0? Bern\n\nq1?");
}

#[test]
fn ten_lines_of_toml() {
    let toml = "data = \"data.csv\"\nprompt = \"Q: {{q}}\\nA:\"\ntarget = \"a\"\nseparator = \"\\n\"\nextract = '([a-z]+)'\n\
                generate = { until = [\"\\n\"], max_gen_toks = 8 }\n";
    let folder = folder(&[("own.toml", toml), ("data.csv", "q,a\none,eins\n\"two, 2\",zwei\n")]);
    let task = read_own(&folder.path().join("own.toml")).unwrap();
    let items = task.open().unwrap().items(shots(1, None), None).unwrap().items;
    assert_eq!((task.name(), context(&items[0])), ("own", "Q: two, 2\nA: zwei\nQ: one\nA:"));
    assert_eq!(items[0].gold, Gold::Text("eins".into()));
    assert_eq!(task.grading().filters[0].name, "extract");
}

#[test]
fn groups_find_their_tasks() {
    let group = "group: g\ntask: [capitals, {task: capitals, task_alias: x, doc_to_text: q}, {group: in, task: [tagged]}]\n\
                 aggregate_metric_list: [{metric: acc}]\n";
    let other = CAPITALS.replace("task: capitals", "task: other\ntag: [tagged]");
    let folder = folder(&[("g.yaml", group), ("t.yaml", CAPITALS), ("o.yaml", &other), ("data.jsonl", &capitals())]);
    let Suite { tasks, groups } = read(&folder.path().join("g.yaml")).unwrap();
    let names: Vec<(&str, &str)> = tasks.iter().map(|task| (task.name(), task.alias())).collect();
    assert_eq!(names, [("capitals", "x"), ("other", "other")]);
    assert_eq!(groups[1].members, ["capitals", "capitals", "g::in"]);
    assert_eq!((groups[0].name.as_str(), groups[0].members.as_slice()), ("g::in", &["other".to_owned()][..]));
    assert!(groups[1].metrics[0].weight_by_size);
}

/// What a file with `line` for the line of `CAPITALS` that begins with `key` is refused with.
fn refused(key: &str, line: &str) -> String {
    let lines = CAPITALS.lines().map(|l| if l.starts_with(key) { line } else { l }.to_owned() + "\n");
    let folder = folder(&[("t.yaml", &lines.collect::<String>()), ("data.jsonl", &capitals())]);
    let path = folder.path().join("t.yaml");
    let error = items(&path, shots(1, None)).unwrap_err().to_string();
    error.replace(folder.path().to_str().unwrap(), "DIR").replace(std::path::MAIN_SEPARATOR, "/")
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let check = |key: &str, line: &str, expect: &str| assert_eq!(refused(key, line), expect);
    let python = "write it as a Jinja template, or prepare the data beforehand: no Python is run";
    check(
        "doc_to_text",
        "doc_to_text: !function utils.doc_to_text",
        &format!("DIR/t.yaml, line 8: `doc_to_text` needs the Python function `utils.doc_to_text`: {python}"),
    );
    check(
        "description",
        "process_docs: !function utils.p",
        &format!("DIR/t.yaml, line 7: `process_docs` needs the Python function `utils.p`: {python}"),
    );
    check(
        "description",
        "descripton: x",
        "DIR/t.yaml, line 7: the key `descripton` is unknown in a task: check its spelling, or remove it if it says \
         nothing about prompts or scores",
    );
    check(
        "doc_to_choice",
        "doc_to_choice: [yes, no]",
        "DIR/t.yaml, line 9: `doc_to_choice` of document 7 of `test`: a choice is a truth value, expected a text in \
         quotes: mend the template, or the data",
    );
    check(
        "doc_to_text",
        "doc_to_text: \"{{q}} {{z}}\"",
        "DIR/t.yaml, line 8: `doc_to_text` of document 0 of `test`: undefined value: `z` is undefined: mend \
         the template, or the data",
    );
    check(
        "doc_to_text",
        "doc_to_text: \"{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}\"",
        "DIR/t.yaml, line 8: `doc_to_text` of document 0 of `test`: the template does too much work: it would run for \
         ever or make a huge text: mend the template, or the data",
    );
    check(
        "doc_to_text",
        "doc_to_text: \"{% if %}\"",
        "DIR/t.yaml, line 8: the template of `doc_to_text`: syntax error: unexpected end of block: mend the template; it \
         is Jinja, with the columns of the data as variables",
    );
    check(
        "doc_to_target",
        "doc_to_target: \"{{a - 1}}\"\ngen_prefix: 1",
        "DIR/t.yaml, line 11: `gen_prefix` is a number, expected the name of a column or a template: write the name of a \
         column or a template",
    );
    check(
        "dataset_path",
        "dataset_path: Rowan/hellaswag",
        "DIR/t.yaml, line 2: `Rowan/hellaswag` is a dataset of the Hub, and nothing is downloaded: save the data as a file \
         and write `dataset_path: json` (or csv, parquet) and `dataset_kwargs: {data_files: {test: FILE}}`",
    );
    check(
        "dataset_kwargs",
        "dataset_kwargs: {data_files: {test: none.jsonl}}",
        "DIR/t.yaml, line 3: there is no file none.jsonl: name a file on this machine, from the working directory or from \
         the task's folder",
    );
    check(
        "description",
        "metric_list: [{metric: bleu}]",
        "DIR/t.yaml, line 7: the metric `bleu` is none of this output's: choose among acc, acc_norm, acc_bytes, \
         acc_mutual_info, exact_match, f1, mcc, brier_score",
    );
    check(
        "description",
        "include: t.yaml",
        "DIR/t.yaml, line 7: cannot include DIR/t.yaml: it is included already: include each file once",
    );
}

#[test]
fn broken_data_are_refused_with_their_place() {
    let check = |data: &str, expect: &str| {
        let folder = folder(&[("t.yaml", CAPITALS), ("data.jsonl", data)]);
        let error = items(&folder.path().join("t.yaml"), shots(0, None)).unwrap_err().to_string();
        assert!(error.contains(expect), "{error}");
    };
    check("", "data.jsonl: no documents");
    check("{\"q\": 1}\n{\"q\"\n", "data.jsonl, line 3, column 0: not valid JSON");
    check("{\"q\": 1}\n3\n", "data.jsonl, line 2: expected an object, found a number");
    check(&format!("{{\"q\": \"{}\"}}", "x".repeat((1 << 20) + 1)), "`q` holds a text of more than 1048576 bytes");
    check(&"[".repeat(100_000), "recursion limit");
}

/// A Parquet file with the columns q (text) and a (number).
fn parquet_bytes() -> Vec<u8> {
    use parquet::{
        data_type::{ByteArray, ByteArrayType, Int64Type},
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = parse_message_type("message m { required binary q (UTF8); required int64 a; }").unwrap();
    let properties = WriterProperties::builder().set_compression(parquet::basic::Compression::SNAPPY).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts: Vec<ByteArray> = (0..12).map(|i| ByteArray::from(format!("q{i}").as_str())).collect();
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&(0..12).map(|i| i % 2).collect::<Vec<i64>>(), None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap()
}

fn parquet_task(bytes: &[u8]) -> (TempDir, PathBuf) {
    let yaml = CAPITALS.replace("dataset_path: json", "dataset_path: parquet").replace("data.jsonl", "data.parquet");
    let folder = folder(&[("t.yaml", &yaml)]);
    std::fs::write(folder.path().join("data.parquet"), bytes).unwrap();
    let path = folder.path().join("t.yaml");
    (folder, path)
}

#[test]
fn parquet_holds_the_same_as_json() {
    let (_folder, path) = parquet_task(&parquet_bytes());
    let json = folder(&[("t.yaml", CAPITALS), ("data.jsonl", &capitals())]);
    assert_eq!(items(&path, shots(3, None)).unwrap(), items(&json.path().join("t.yaml"), shots(3, None)).unwrap());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    /// Whatever a file holds, there is an answer or a complaint.
    #[test]
    fn broken_yaml_does_no_harm(at in 0..CAPITALS.len(), with in "[-{}\\[\\]:!&*%|>\"'# \n\ta-z0-9]{0,6}", cut in 0..12_usize) {
        let mut bytes = CAPITALS.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, with.bytes());
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let folder = folder(&[("t.yaml", &text), ("data.jsonl", &capitals())]);
        drop(items(&folder.path().join("t.yaml"), shots(2, None)));
    }

    #[test]
    fn broken_templates_do_no_harm(template in "(\\{\\{|\\}\\}|\\{%|%\\}|q|a| |\\||~|\\*|for|in|range|set|=|9999|\\(|\\)|join|\\[|\\]|'|\\.|-){1,24}") {
        let yaml = CAPITALS.replace("\"{{q}}?\"", &format!("|-\n  {template}"));
        let folder = folder(&[("t.yaml", &yaml), ("data.jsonl", &capitals())]);
        drop(items(&folder.path().join("t.yaml"), shots(1, None)));
    }

    #[test]
    fn broken_parquet_does_no_harm(at in 0..10_000_usize, byte in any::<u8>()) {
        let mut bytes = parquet_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        let (_folder, path) = parquet_task(&bytes);
        drop(items(&path, shots(1, None)));
    }
}
