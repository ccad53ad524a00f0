//! Files made to do harm: each is refused with its place, at once and in little memory.

#![allow(clippy::unwrap_used)]

use saltus_task::{
    Error, TaskFile,
    bigbench::Leaf,
    lm_eval::{Shots, read, read_own},
};
use std::path::Path;
use tempfile::TempDir;

const HEAD: &str = "task: t\ndataset_path: json\ndataset_kwargs: {data_files: {test: data.jsonl}}\ntest_split: test\n";
const DATA: &str = "{\"q\": \"question\", \"a\": 1}\n{\"q\": \"another\", \"a\": 0}\n";

fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn ask(path: &Path) -> Result<usize, Error> {
    let shots = Shots { count: Some(1), mode: None, seed: 1 };
    Ok(read(path)?.tasks[0].open()?.items(shots, None)?.items.len())
}

fn said(of: &str, error: Error, expect: &str) {
    let text = error.to_string();
    assert!(text.contains(of) && text.contains(expect) && text.len() < 1000, "{text}");
}

/// A task with these lines is refused so.
fn yaml(lines: &str, expect: &str) {
    let folder = folder(&[("t.yaml", format!("{HEAD}{lines}\n").as_bytes()), ("data.jsonl", DATA.as_bytes())]);
    said("t.yaml", ask(&folder.path().join("t.yaml")).unwrap_err(), expect);
}

fn template(template: &str, expect: &str) {
    yaml(&format!("doc_to_target: q\ndoc_to_text: \"{template}\""), expect);
}

fn data(kind: &str, bytes: &[u8], expect: &str) {
    let lines = format!(
        "dataset_path: {kind}\ndataset_kwargs: {{data_files: {{test: data.{kind}}}}}\ntest_split: test\n\
         doc_to_text: q\ndoc_to_target: a\n"
    );
    let name = format!("data.{kind}");
    let folder = folder(&[("t.yaml", lines.as_bytes()), (&name, bytes)]);
    said(&name, ask(&folder.path().join("t.yaml")).unwrap_err(), expect);
}

fn leaf(more: &str, examples: &str) -> Result<Leaf, Error> {
    let head = r#""canary": "c", "name": "n", "description": "d", "keywords": [], "metrics": ["exact_str_match"],
        "preferred_score": "exact_str_match""#;
    Leaf::parse(Path::new("task.json"), &format!("{{{head}{more}, \"examples\": [{examples}]}}"), None)
}

#[test]
fn templates_that_would_run_for_ever() {
    let work = "the template does too much work";
    template("{% for i in range(10**9) %}{{i}}{% endfor %}", "range");
    template("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", work);
    template("{{ 'x' * 10**9 }}", work);
    template("{{ q * 999999999 }}", work);
    template("{{ 'x' * 30000000 }}", work);
    template("{{ 'x' * 2000000 }}", "the template makes a text of 2000000 bytes, over the limit of 1048576");
    template("{{ q | regex_replace('(?=a)(e+)+x\\\\1$', '') * 10**9 }}", work);
    template(&format!("{{{{ q | regex_replace('(({}', '') }}}}", "\\\\w{99}){99}){99}"), "not a regular expression");
}

/// The engine's parser bounds brackets, but not chains: some overflowed the stack, others took minutes.
#[test]
fn templates_as_deep_as_they_are_long() {
    let long = "more than 500 operators in one expression, or branches";
    for chain in ["-", "not ", "1 + ", "1 ** ", "q ~ ", "1 or ", "1 if 0 else "] {
        template(&format!("{{{{ {}1 }}}}", chain.repeat(20_000)), long);
        // What is not refused does no harm on a small stack.
        let chain = chain.repeat(490);
        std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || {
                let lines = format!("{HEAD}doc_to_target: q\ndoc_to_text: \"{{{{ {chain}1 }}}}\"\n");
                let folder = folder(&[("t.yaml", lines.as_bytes()), ("data.jsonl", DATA.as_bytes())]);
                drop(ask(&folder.path().join("t.yaml")));
            })
            .unwrap()
            .join()
            .unwrap();
    }
    for chain in [".a", "|string", "[0]", "()"] {
        template(&format!("{{{{ q{} }}}}", chain.repeat(20_000)), long);
    }
    template(&format!("{{% if 0 %}}{}{{% endif %}}", "{% elif 1 %}".repeat(10_000)), long);
    template(&format!("{{{{ {}1{} }}}}", "(".repeat(400), ")".repeat(400)), "recursion limit");
    template(&"{% if 1 %}".repeat(10_000), "recursion limit");
}

#[test]
fn yaml_that_grows() {
    let many = "more than 200000 values";
    yaml(&format!("x: [&a {}, {}]", "y".repeat(1 << 20), "*a ,".repeat(100_000)), many);
    // Every key of each is looked for among all those before.
    let keys: String = (0..60_000).map(|i| format!("k{i}: ,")).collect();
    yaml(&format!("x: &x {{{keys}}}\ny: {{<<: [*x, *x]}}"), many);
    yaml(&format!("x: &x {{{}}}\ny: {{<<: *x}}", &keys[..200_000]), "the key `x` is unknown");
    yaml(&format!("x: {}", "[".repeat(50_000)), "t.yaml, line");
    yaml(&format!("{}: 1", "k".repeat(1000)), "kkk...");
    yaml(&format!("target_delimiter: {}", "d".repeat(5000)), "`target_delimiter` has 5000 bytes");
    let steps = "{function: lowercase},".repeat(100);
    yaml(&format!("filter_list: [{{name: f, filter: [{steps}]}}]"), "more than 64 steps of filters");
}

#[test]
fn groups_that_name_tasks_again_and_again() {
    let task = format!("{HEAD}doc_to_text: q\ndoc_to_target: q\ndescription: \"{}\"\n", "d".repeat(60_000));
    let names = |name: &str| format!("{name},").repeat(300);
    let group = |name: &str, of: &str| format!("group: {name}\ntask: [{}]\n", names(of));
    let (a, b, c) = (group("a", "b"), group("b", "c"), group("c", "t"));
    let files: [(&str, &[u8]); 5] = [
        ("a.yaml", a.as_bytes()),
        ("b.yaml", b.as_bytes()),
        ("c.yaml", c.as_bytes()),
        ("t.yaml", task.as_bytes()),
        ("data.jsonl", DATA.as_bytes()),
    ];
    let folder = folder(&files);
    let error = read(&folder.path().join("a.yaml")).unwrap_err();
    said(".yaml", error, "the tasks and groups that it names come to more than 4000000 values");
}

#[test]
fn what_is_missing_mistyped_or_empty() {
    yaml("doc_to_text: q", "has no `doc_to_target`");
    yaml("doc_to_target: q", "has no `doc_to_text`");
    yaml("doc_to_text: q\ndoc_to_target: q\noutput_type: multiple_choice", "has no `doc_to_choice`");
    let choice = "output_type: multiple_choice\ndoc_to_text: q\ndoc_to_target: a\ndoc_to_choice:";
    yaml(&format!("{choice} []"), "no choices");
    yaml(&format!("{choice} \"{{{{[]}}}}\""), "no choices");
    yaml(&format!("{choice} 3"), "`doc_to_choice` is a number");
    yaml("doc_to_text: [q]", "`doc_to_text` is a list");
    yaml("doc_to_text: q\ndoc_to_target: q\nnum_fewshot: -1", "`num_fewshot` is -1");
    yaml("doc_to_text: q\ndoc_to_target: q\ntask: [1]", "`task` is a list");
    yaml("doc_to_text: z\ndoc_to_target: q\ntest_split: other", "no `data_files` for the split `other`");
    let own = |text: &str, expect: &str| {
        let folder = folder(&[("own.toml", text.as_bytes()), ("data.jsonl", DATA.as_bytes())]);
        said("own.toml", read_own(&folder.path().join("own.toml")).unwrap_err(), expect);
    };
    own("data = 'data.jsonl'\ndata = 'data.jsonl'", "line 2: not valid TOML (duplicate key)");
    own("prompt = 'q'", "no `data`");
    own("data = 3", "`data` is a number");
    own("data = []", "`data` is a list");
    own(&format!("data = 'data.jsonl'\nprompt = {}", "[".repeat(100_000)), "not valid TOML");
    own(&format!("data = 'data.jsonl'\n{} = 1", "a.".repeat(50_000) + "a"), "not valid TOML");
    let keys: String = (0..100_000).map(|i| format!("k{i} = 1\n")).collect();
    own(&format!("data = 'data.jsonl'\n{keys}"), "the key `k0` is unknown");
}

#[test]
fn tables_of_nothing() {
    let sparse: String = (0..20_000).map(|i| format!("{{\"k{i}\": 1}}\n")).collect();
    data("json", sparse.as_bytes(), "nearly all documents have nothing in nearly all of them");
    let names: String = (0..20_000).map(|i| format!("k{i},")).collect();
    data("csv", format!("{names}\n{}", "x\n".repeat(20_000)).as_bytes(), "nearly all documents have nothing");
    data("csv", format!("a{}\nx\n", ",a".repeat(100_000)).as_bytes(), "line 1: two columns `a`");
    data("json", "[".repeat(1 << 20).as_bytes(), "recursion limit");
}

/// What the library would go over two billion times: a list of so many truth values, which take no bytes.
#[test]
fn parquet_whose_lists_are_longer_than_the_file() {
    let footer = [0x19, 0xf1, 0xff, 0xff, 0xff, 0xff, 7, 0];
    let bytes = [b"PAR1".as_slice(), &footer, &(footer.len() as u32).to_le_bytes(), b"PAR1"].concat();
    data("parquet", &bytes, "cannot read it as Parquet (its end is broken)");
    for bytes in [b"PAR1".as_slice(), b"", &[0xff; 20]] {
        data("parquet", bytes, "cannot read it as Parquet (its end is broken)");
    }
}

fn parquet_file<T: parquet::data_type::DataType>(
    column: &str,
    values: &[T::T],
    levels: Option<[&[i16]; 2]>,
) -> Vec<u8> {
    use parquet::{
        file::{properties::WriterProperties, writer::SerializedFileWriter},
        schema::parser::parse_message_type,
    };
    let schema = parse_message_type(&format!("message m {{ {column}; }}")).unwrap();
    let properties = WriterProperties::builder().set_dictionary_enabled(true).build();
    let mut file = SerializedFileWriter::new(Vec::new(), schema.into(), properties.into()).unwrap();
    let mut group = file.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let [definition, repetition] = levels.map_or([None; 2], |levels| levels.map(Some));
    column.typed::<T>().write_batch(values, definition, repetition).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    file.into_inner().unwrap()
}

/// One text in a dictionary, to which each row points, and one list of equal numbers.
#[test]
fn parquet_that_unpacks_to_gigabytes() {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    let text = ByteArray::from("x".repeat(100_000).as_str());
    let bytes = parquet_file::<ByteArrayType>("required binary q (UTF8)", &vec![text; 20_000], None);
    assert!(bytes.len() < 1 << 20);
    data("parquet", &bytes, "split the file into several tasks");
    let n = 3 << 20;
    let levels = (vec![1; n], (0..n).map(|i| i16::from(i > 0)).collect::<Vec<i16>>());
    let bytes = parquet_file::<Int64Type>("repeated int64 q", &vec![7; n], Some([&levels.0, &levels.1]));
    assert!(bytes.len() < 1 << 16);
    data("parquet", &bytes, "elements of lists up to here");
}

#[test]
fn prompts_made_of_prefixes() {
    let choices: String = (1..1000).map(|i| format!("\"c{i}\": 0, ")).collect();
    let example = format!(r#"{{"input": "i", "target": "t", "target_scores": {{{choices} "right": 1}}}}"#);
    let prefix = "p".repeat(100_000);
    let error = leaf(&format!(r#", "choice_prefix": "{prefix}""#), &example).unwrap_err();
    said("task.json", error, "bytes with its prefixes and choices");
    let own = format!(r#"{{"choice_prefix": "{prefix}", "examples": [{example}]}}"#);
    let folder = folder(&[("task.json", own.as_bytes())]);
    said("task.json", TaskFile::read(&folder.path().join("task.json")).unwrap_err(), "bytes with its prefixes");
}

#[test]
fn bigbench_that_is_deep_or_says_much() {
    let deep = "[".repeat(1 << 20);
    said("task.json", leaf("", &deep).unwrap_err(), "more than 100 levels of nesting");
    said("task.json", leaf(&format!(", \"x\": {deep}"), "").unwrap_err(), "more than 100 levels of nesting");
    let deep = r#"{"a":"#.repeat(1 << 18);
    said("task.json", leaf("", &deep).unwrap_err(), "more than 100 levels of nesting");
    let name = "n".repeat(1 << 20);
    said(
        "task.json",
        leaf(&format!(r#", "metrics": ["{name}"]"#), r#"{"input": "i", "target": "t"}"#).unwrap_err(),
        "nnn...",
    );
}

/// One text of 100 MB, and the same beyond what is UTF-8.
#[test]
fn a_hundred_megabytes_in_one_text() {
    let mut bytes =
        [br#"{"input": ""#.as_slice(), &vec![b'x'; 100 << 20], br#"", "target": "t", "q": 1, "a": 1}"#].concat();
    let limit = "over the limit of 1048576";
    let task = [
        br#"{"canary": "c", "name": "n", "description": "d", "keywords": [], "metrics": ["exact_str_match"],
            "preferred_score": "exact_str_match", "examples": ["#
            .as_slice(),
        &bytes,
        b"]}",
    ]
    .concat();
    let folder = folder(&[("task.json", &task), ("lines.jsonl", &bytes), ("t.yaml", &bytes), ("own.toml", &bytes)]);
    let path = |name: &str| folder.path().join(name);
    said("task.json", Leaf::read(&path("task.json"), None).unwrap_err(), limit);
    said("task.json", TaskFile::read(&path("task.json")).unwrap_err(), limit);
    said("lines.jsonl", TaskFile::read(&path("lines.jsonl")).unwrap_err(), limit);
    said("t.yaml", read(&path("t.yaml")).unwrap_err(), "larger than 4 MiB");
    said("own.toml", read_own(&path("own.toml")).unwrap_err(), "larger than 4 MiB");
    data("json", &bytes, "a text of more than 1048576 bytes");
    bytes.truncate(1000);
    bytes[500] = 0xff;
    for name in ["task.json", "lines.jsonl", "t.yaml", "own.toml"] {
        std::fs::write(path(name), &bytes).unwrap();
    }
    let coded = "line 1: not UTF-8 text (byte 500 of the file)";
    said("task.json", Leaf::read(&path("task.json"), None).unwrap_err(), coded);
    said("lines.jsonl", TaskFile::read(&path("lines.jsonl")).unwrap_err(), coded);
    said("t.yaml", read(&path("t.yaml")).unwrap_err(), coded);
    said("own.toml", read_own(&path("own.toml")).unwrap_err(), coded);
    data("csv", &bytes, coded);
}
