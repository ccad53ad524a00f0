//! Writes small valid task and data files into a folder for each fuzz target: what `cargo xtask fuzz` starts from. Beside
//! each folder goes a dictionary of words that such files are made of.

use parquet::{
    column::writer::ColumnWriter,
    data_type::ByteArray,
    errors::ParquetError,
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use std::{fs, path::Path};

const LEAF: &str = r#"{"canary": ["c"], "name": "näme", "description": "d", "keywords": ["k"], "task_prefix": "P.",
 "metrics": ["multiple_choice_grade", "exact_str_match"], "preferred_score": "multiple_choice_grade",
 "append_choices_to_input": "false", "output_regex": "\\d+", "stop_string": "\n", "example_input_prefix": "\nQ: ",
 "examples": [{"input": "i", "target_scores": {"a": 1, "b": 0.5}, "target": ["a", "\u00e9"], "n": [1e3, NaN, true]},
 {"input": "j", "target_scores": {"a": -1, "b": 1}, "target": "x"}, {"input": "i", "target_scores": {"c": 0, "d": 2}, "target": "d"},
 {"input": "k", "target_scores": {"": 1, "b": 0}, "target": "x"}]}"#;
const CONTAINER: &str = r#"{"name": "all", "canary": "c", "description": "d", "keywords": [], "subtasks": ["a"]}"#;

const OPEN: &str = r#"{"name": "opposites", "task_prefix": "T.", "example_separator": "\n\n", "examples": [
 {"input": "hot", "target": "cold"}, {"input": "big", "target": ["small", "little"]}, {"input": "up", "target": "down"}]}"#;
const CHOICES: &str = r#"{"append_choices_to_input": 1, "choice_prefix": "\n- ", "examples": [
 {"input": "1+1", "target_scores": {"2": 1, "3": 0}}, {"input": "1+2", "target_scores": {"2": 0, "3": 1, "4": 0.5}}]}"#;
const LINES: &str = r#"{"input": "1+1=", "target": "2"}

{"input": "1+2=", "target": "3;"}
{"input": "1+3=", "target": "4"}"#;
const LINES_OF_CHOICES: &str = r#"{"input": "Is it? ", "choices": ["no", "yes"], "answer": 1}
{"input": "Was it? ", "choices": ["no", "yes"], "answer": "no"}"#;
const OWN: &str = "data = 'data.jsonl'\nname = \"own\"\nprompt = \"Q: {{q}}\\nA:\"\nchoices = ['x', 'y']\ntarget = 'a'\n\
    metrics = ['acc', 'acc_norm']\nshots = 2\nseparator = \"\\n\"\n";
const OWN_GENERATED: &str = "data = ['data.jsonl']\nshots_data = 'data.jsonl'\nprompt = 'q'\ntarget = 't'\n\
    extract = '([a-z]+)'\ndelimiter = ' '\ndescription = 'D'\n[generate]\nuntil = [\"\\n\"]\nmax_gen_toks = 8\n";

const MULTIPLE_CHOICE: &str = r#"task: t
dataset_path: json
dataset_kwargs: {data_files: {test: data.jsonl}}
test_split: test
fewshot_split: test
output_type: multiple_choice
description: "Capitals.\n\n"
doc_to_text: "{% for c in m.text %}{{loop.index}}. {{c|upper}} {% endfor %}{{q}}?"
doc_to_choice: "{{['x', 'y', t]}}"
doc_to_target: "{{a}}"
num_fewshot: 2
metric_list: [{metric: acc}, {metric: acc_mutual_info, aggregation: mean, higher_is_better: true}]
"#;
const GENERATED: &str = r#"include: other.yaml
output_type: generate_until
doc_to_text: "{% set b = q.split('u')[0] %}{% if b is defined and a > 0 %}{{ q | regex_replace('[0-9]+', 'N') }}{% else %}{{ q ~ t }}{% endif %}"
doc_to_target: ['x', "y"]
gen_prefix: "So {{t[:2] * 2}}"
fewshot_config: {sampler: first_n, samples: [{q: u, a: 1, t: v}, {q: w, a: 0, t: z}], doc_to_target: "{{t}}"}
generation_kwargs: {until: ["\n"], max_gen_toks: 8, do_sample: false, temperature: 0.0}
filter_list:
  - name: f
    filter: [{function: regex, regex_pattern: "(-?[0-9.,]{2,})|(-?[0-9]+)", group_select: -1}, {function: take_first}]
metric_list:
  - metric: exact_match
    ignore_case: yes
    regexes_to_ignore: [","]
"#;
const OTHER: &str = "defaults: &d {dataset_path: json}\ntask: other\ntag: [some]\ndataset_path: json\ndataset_kwargs:\n  data_files:\n    \
    test: data.jsonl\ntest_split: test\ntarget_delimiter: ''\n";
const PLAIN_OTHER: &str = "task: other\ntag: some\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\n\
    test_split: test\ndoc_to_text: q\ndoc_to_target: t\noutput_type: loglikelihood\n";
const ROLLING: &str = "task: r\ndataset_path: json\ndataset_kwargs: {data_files: {validation: [data.jsonl, data.jsonl]}}\n\
    validation_split: validation\noutput_type: loglikelihood_rolling\ndoc_to_target: |-\n  {{t}}\n  {{q}}\n";
const WINOGRANDE: &str = "task: w\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n\
    output_type: multiple_choice\ndoc_to_text: a\ndoc_to_choice: \"{{m.text}}\"\ndoc_to_target: \"{{q}}\"\n";
const GROUP: &str = "group: g\ngroup_alias: G\ntask:\n  - other\n  - {task: other, task_alias: x, doc_to_text: q}\n  \
    - {group: in, task: [some]}\naggregate_metric_list: [{metric: acc, aggregation: mean, weight_by_size: false}]\n";

const DOCUMENTS: &str = r#"{"q": "question", "a": 0, "t": "two", "m": {"text": ["u", "v"], "k": 3}}
{"q": "2021-01-31", "a": 1, "t": "", "m": {"text": ["w", "it's"], "k": null}}
{"q": "qu\u00e9", "a": 1, "t": "7", "m": {"text": [], "k": 1.5}}
{"q": "question", "a": 0, "t": "two", "m": {"text": ["u", "v"], "k": 3}}"#;
const FIELD: &str = r#"{"version": 1, "rows": [{"q": "x", "a": [1, 2.5, null]}, {"q": "y", "a": [3], "b": true}]}"#;
const CSV: &str = "q,a,b,c\none,1,True,2.5\n\"two, \"\"2\"\"\",NA,false,1e3\n three,3,,-1\n";

const WORDS_OF_JSON: &str = r#"null true false NaN Infinity -Infinity 1e308 \ud800 \u0000 "input": "target": "target_scores": "examples":
    "choices": "answer": "metrics": "preferred_score": "name": "subtasks": "task_prefix": "choice_prefix": "stop_string":
    "example_separator": "few_shot_example_separator": "absolute_normalization": {} [] "#;
const WORDS_OF_TASKS: &str = r#"task: group: tag: include: !function !!str dataset_path: dataset_kwargs: data_files: test_split:
    training_split: validation_split: fewshot_split: output_type: multiple_choice loglikelihood loglikelihood_rolling
    generate_until description: doc_to_text: doc_to_choice: doc_to_target: gen_prefix: fewshot_config: sampler: first_n
    samples: num_fewshot: metric_list: metric: aggregation: filter_list: filter: function: regex_pattern: mapping_dict:
    target_delimiter: fewshot_delimiter: generation_kwargs: until: aggregate_metric_list: <<: &a *a other.yaml data.jsonl
    {{ }} {% %} {# #} range( for in endfor if else endif set macro endmacro call recursive loop loop( namespace( |join |int
    |float |string |tojson |list |sort |unique |map |select |batch |slice |indent |center |format |replace |regex_replace
    |wordcount |length |reverse |sum |groupby |dictsort |truncate |title |split |lines .split( .format( .join( .count(
    .index( .get( .items() .zfill( .ljust( is defined ~ ** 99999999 1..9 [:-1] | > |- >-"#;
const WORDS_OF_TOML: &str = r#"data = shots_data = prompt = target = choices = metrics = extract = generate = { } [[a]] [a.b] """ '''
    1979-05-27 0x7f inf nan {{q}} {{t}} {% for i in range(9) %} {% endfor %}"#;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: seeds FOLDER")?;
    // The first byte says which file the rest is; 0xff ends a file.
    let chosen = |choice: u8, text: &str| [&[choice], text.as_bytes()].concat();
    let files = |texts: &[&str]| texts.join("\u{0}").into_bytes().into_iter().map(|b| if b == 0 { 0xff } else { b });
    let files = |texts: &[&str]| files(texts).collect::<Vec<u8>>();
    let own = |text: &str| [vec![2], files(&[text, DOCUMENTS])].concat();
    let seeds: [(&str, Vec<u8>); 17] = [
        ("bigbench/0", LEAF.into()),
        ("bigbench/1", CONTAINER.into()),
        ("task_file/0", chosen(0, OPEN)),
        ("task_file/1", chosen(0, CHOICES)),
        ("task_file/2", chosen(1, LINES)),
        ("task_file/3", chosen(1, LINES_OF_CHOICES)),
        ("task_file/4", own(OWN)),
        ("task_file/5", own(OWN_GENERATED)),
        ("lm_eval/0", files(&[MULTIPLE_CHOICE, "", DOCUMENTS])),
        ("lm_eval/1", files(&[GENERATED, OTHER, DOCUMENTS])),
        ("lm_eval/2", files(&[ROLLING, "", DOCUMENTS])),
        ("lm_eval/3", files(&[WINOGRANDE, "", DOCUMENTS])),
        ("lm_eval/4", files(&[GROUP, PLAIN_OTHER, DOCUMENTS])),
        ("data/0", chosen(0, DOCUMENTS)),
        ("data/1", chosen(1, FIELD)),
        ("data/2", chosen(2, CSV)),
        ("data/3", [vec![3], parquet()?].concat()),
    ];
    for (name, bytes) in seeds {
        let path = Path::new(&folder).join(name);
        fs::create_dir_all(path.parent().ok_or("no folder")?)?;
        fs::write(path, bytes)?;
    }
    let toml = [WORDS_OF_JSON, WORDS_OF_TOML].concat();
    let dictionaries =
        [("bigbench", WORDS_OF_JSON), ("task_file", &toml), ("lm_eval", WORDS_OF_TASKS), ("data", WORDS_OF_JSON)];
    for (name, words) in dictionaries {
        let entry = |word: &str| format!("\"{}\"\n", word.replace('\\', "\\\\").replace('"', "\\\""));
        let text: String = words.split_whitespace().map(entry).collect();
        fs::write(Path::new(&folder).join(name).with_extension("dict"), text)?;
    }
    Ok(())
}

/// Columns of texts, whole numbers that may be missing, and lists of fractions; two groups of rows.
fn parquet() -> Result<Vec<u8>, ParquetError> {
    let schema = "message m { required binary q (UTF8); optional int64 a; repeated group l { required double x; } }";
    let compression = parquet::basic::Compression::SNAPPY;
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut file = SerializedFileWriter::new(Vec::new(), parse_message_type(schema)?.into(), properties.into())?;
    for _ in 0..2 {
        let mut group = file.next_row_group()?;
        while let Some(mut column) = group.next_column()? {
            match column.untyped() {
                ColumnWriter::ByteArrayColumnWriter(column) => {
                    column.write_batch(&["one", "two", "one"].map(ByteArray::from), None, None)?
                }
                ColumnWriter::Int64ColumnWriter(column) => column.write_batch(&[7, 9], Some(&[1, 0, 1]), None)?,
                ColumnWriter::DoubleColumnWriter(column) => {
                    column.write_batch(&[0.5, 1.5, 2.5], Some(&[1, 1, 0, 1]), Some(&[0, 1, 0, 0]))?
                }
                _ => 0,
            };
            column.close()?;
        }
        group.close()?;
    }
    file.into_inner()
}
