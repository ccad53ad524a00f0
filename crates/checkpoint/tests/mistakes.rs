//! What each mistake reads like: every text names the file, the place, what was expected, what was found, what to do.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Gguf, Meta, Tensor, llama2c, llama2c_vocabulary, safetensors, with_header};
use saltus_checkpoint::{Checkpoint, Hub, resolve};
use std::{fmt::Write, fs, path::Path};

/// Opens `name` in a folder with these files, and its tokenizer; gives the text of what is wrong.
fn mistake(files: &[(&str, Vec<u8>)], name: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    let error = match Checkpoint::open(&folder.path().join(name)) {
        Err(error) => error,
        Ok(checkpoint) => checkpoint.tokenizer().err().expect("a mistake"),
    };
    error.to_string().replace(&*folder.path().to_string_lossy(), "FOLDER")
}

/// A folder with this `model.safetensors`.
fn weights(bytes: Vec<u8>) -> String {
    mistake(&[("config.json", b"{}".to_vec()), ("model.safetensors", bytes)], "")
}

fn header(text: &str, bytes: usize) -> String {
    weights(with_header(text, bytes))
}

fn gguf(file: Gguf) -> String {
    mistake(&[("m.gguf", file.build())], "m.gguf")
}

fn shards(index: &str, first: &[Tensor]) -> String {
    let files = [
        ("config.json", b"{}".to_vec()),
        ("model.safetensors.index.json", index.into()),
        ("1.safetensors", safetensors(first)),
    ];
    mistake(&files, "")
}

/// The snapshot of the calling test.
macro_rules! check {
    ($text:expr) => {
        insta::with_settings!({ omit_expression => true }, { insta::assert_snapshot!($text) })
    };
}

fn shown(cases: Vec<(&str, String)>) -> String {
    let mut text = String::new();
    for (name, mistake) in cases {
        writeln!(text, "{name}\n    {mistake}").unwrap();
    }
    text
}

fn one(dtype: &str, shape: &str, offsets: &str) -> String {
    format!(r#"{{"w":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
}

/// A folder with this `tokenizer.json`.
fn tokenizer(text: &str) -> String {
    let weights = safetensors(&[("a", "F32", &[1], 4)]);
    let files = [("config.json", b"{}".to_vec()), ("model.safetensors", weights), ("tokenizer.json", text.into())];
    mistake(&files, "")
}

#[test]
fn of_folders() {
    let config = |text: &str| mistake(&[("config.json", text.into()), ("model.safetensors", Vec::new())], "");
    let good = safetensors(&[("a", "F32", &[1], 4)]);
    check!(shown(vec![
        ("nothing there", mistake(&[], "absent")),
        ("empty folder", mistake(&[], "")),
        ("no configuration", mistake(&[("model.safetensors", good.clone())], "model.safetensors")),
        (
            "weights by another name",
            mistake(&[("config.json", b"{}".to_vec()), ("x.safetensors", good.clone())], "x.safetensors")
        ),
        ("configuration cut", config("{\"a\": ")),
        ("configuration no object", config("[1]")),
        ("no weights", mistake(&[("config.json", b"{}".to_vec())], "")),
        ("pickled weights", mistake(&[("config.json", b"{}".to_vec()), ("pytorch_model.bin", vec![1])], "")),
        ("empty weights", weights(Vec::new())),
        ("no tokenizer", weights(good.clone())),
        ("several GGUF files", mistake(&[("a.gguf", vec![1]), ("b.gguf", vec![1])], "")),
        ("another file", mistake(&[("x.txt", b"hello\x01 there".to_vec())], "x.txt")),
        ("index without a map", shards("{}", &[("a", "F32", &[1], 4)])),
        ("index out of its folder", shards(r#"{"weight_map":{"a":"../1.safetensors"}}"#, &[("a", "F32", &[1], 4)])),
        (
            "missing shard",
            shards(r#"{"weight_map":{"a":"1.safetensors","b":"2.safetensors"}}"#, &[("a", "F32", &[1], 4)]),
        ),
        (
            "tensor not in its shard",
            shards(r#"{"weight_map":{"a":"1.safetensors","b":"1.safetensors"}}"#, &[("a", "F32", &[1], 4)]),
        ),
        ("tokenizer no tokenizer", tokenizer("{}")),
        // Found by fuzzing: the library panics on a decoder that is no JSON.
        ("tokenizer that the library fails on", tokenizer(r#"{"decoder":{"type":}}"#)),
    ]));
}

#[test]
fn of_safetensors() {
    let mut cut = safetensors(&[("w", "F32", &[4], 16)]);
    cut.truncate(cut.len() - 3);
    let twice = r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#;
    let shared = r#"{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}"#;
    check!(shown(vec![
        ("shorter than a header", weights(vec![1, 2, 3])),
        ("header longer than the file", weights([1000u64.to_le_bytes(), [0; 8]].concat())),
        ("header of absurd length", weights([u64::MAX.to_le_bytes(), [0; 8]].concat())),
        ("header no JSON", header("{\"w\"", 0)),
        ("header not UTF-8", weights([&4u64.to_le_bytes()[..], b"{\"\xff\""].concat())),
        ("tensor described wrongly", header(r#"{"w":{"dtype":"F32"}}"#, 0)),
        ("file cut", weights(cut)),
        ("offsets out of range", header(&one("F32", "[4]", "[0,16]"), 8)),
        ("offsets backwards", header(&one("F32", "[4]", "[8,4]"), 8)),
        ("shape does not fit", header(&one("F32", "[3]", "[0,8]"), 8)),
        ("shape beyond counting", header(&one("F32", "[9223372036854775807,9]", "[0,8]"), 8)),
        ("negative shape", header(&one("F32", "[-1]", "[0,8]"), 8)),
        ("many dimensions", header(&one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4)),
        ("unknown type", header(&one("F77", "[2]", "[0,8]"), 8)),
        ("two of one name", header(twice, 8)),
        ("bytes shared", header(shared, 12)),
        ("bytes of no tensor", header(&one("F32", "[1]", "[0,4]"), 8)),
        ("bytes of no tensor first", header(&one("F32", "[1]", "[4,8]"), 8)),
        ("no weights at all", header(&one("I64", "[1]", "[0,8]"), 8)),
    ]));
}

#[test]
fn of_gguf_files() {
    let plain = || Gguf::new().tensor("w", &[2, 32], 0, 256);
    let version = |version: u32| {
        let mut file = plain();
        file.version = version;
        gguf(file)
    };
    let cut = |bytes: usize| {
        let file = plain().build();
        mistake(&[("m.gguf", file[..file.len() - bytes].to_vec())], "m.gguf")
    };
    check!(shown(vec![
        ("version 1", version(1)),
        ("big-endian", version(3u32.swap_bytes())),
        ("version of the future", version(9)),
        ("data cut", cut(1)),
        ("header cut", cut(256 + 40)),
        ("count of tensors", mistake(&[("m.gguf", plain().build_as(1 << 60, 0))], "m.gguf")),
        ("count of metadata", mistake(&[("m.gguf", plain().build_as(1, u64::MAX))], "m.gguf")),
        ("type that is not computed with", gguf(Gguf::new().tensor("w", &[1, 256], 23, 136))),
        ("unknown type", gguf(Gguf::new().tensor("w", &[1, 256], 99, 136))),
        ("row of no whole blocks", gguf(Gguf::new().tensor("w", &[2, 33], 8, 68))),
        ("no dimensions", gguf(Gguf::new().tensor("w", &[], 0, 4))),
        ("five dimensions", gguf(Gguf::new().tensor("w", &[1, 1, 1, 1, 1], 0, 4))),
        ("size 0", gguf(Gguf::new().tensor("w", &[0, 2], 0, 4))),
        ("sizes beyond counting", gguf(Gguf::new().tensor("w", &[u64::MAX, u64::MAX], 0, 4))),
        ("offset off the grid", gguf(plain().described(b"v", &[1], 0, 5))),
        ("offset out of range", gguf(plain().described(b"v", &[1], 0, 1 << 40))),
        ("offset beyond counting", gguf(plain().described(b"v", &[1], 0, u64::MAX - 31))),
        ("bytes shared", gguf(plain().described(b"v", &[2], 0, 32))),
        ("two of one name", gguf(plain().tensor("w", &[1], 0, 4))),
        ("name not UTF-8", gguf(plain().described(b"w\xff", &[1], 0, 0))),
        ("two of one key", gguf(plain().entry("k", Meta::U32(1)).entry("k", Meta::U32(1)))),
        ("metadata of unknown type", gguf(plain().entry("k", Meta::Raw(13, vec![0; 8])))),
        ("array of arrays", gguf(plain().entry("k", Meta::Raw(9, 9u32.to_le_bytes().to_vec())))),
        (
            "array of absurd length",
            gguf(plain().entry("k", Meta::Raw(9, [&4u32.to_le_bytes()[..], &[255; 8]].concat())))
        ),
        ("alignment 0", gguf(plain().entry("general.alignment", Meta::U32(0)))),
        ("alignment no number", gguf(plain().entry("general.alignment", Meta::Text("x")))),
        ("a part of a split model", gguf(plain().entry("split.count", Meta::U32(3)))),
        ("no tensors", gguf(Gguf::new())),
    ]));
}

#[test]
fn of_tokenizers_in_gguf_files() {
    let plain = || Gguf::new().tensor("w", &[1], 0, 4);
    let model = |name: &str| plain().entry("tokenizer.ggml.model", Meta::Text(name));
    let tokens = |file: Gguf, tokens: &[&str]| file.entry("tokenizer.ggml.tokens", Meta::Texts(tokens.to_vec()));
    let bytes = |pre: &str| tokens(model("gpt2"), &["a", "b", "ab"]).entry("tokenizer.ggml.pre", Meta::Text(pre));
    let merges = |merges: &[&str]| bytes("gpt-2").entry("tokenizer.ggml.merges", Meta::Texts(merges.to_vec()));
    let scores =
        |scores: Vec<f32>| tokens(model("llama"), &["a", "b"]).entry("tokenizer.ggml.scores", Meta::Floats(scores));
    check!(shown(vec![
        ("none", gguf(plain())),
        ("of another kind", gguf(tokens(model("bert"), &["a"]))),
        ("no tokens", gguf(model("gpt2"))),
        ("tokens of another type", gguf(model("gpt2").entry("tokenizer.ggml.tokens", Meta::Ints(vec![1])))),
        ("no pre-tokenizer", gguf(tokens(model("gpt2"), &["a"]))),
        ("unknown pre-tokenizer", gguf(bytes("new-one"))),
        ("no merges", gguf(bytes("gpt-2"))),
        ("merge without a space", gguf(merges(&["ab"]))),
        ("merge of no token", gguf(merges(&["a x"]))),
        ("merge into no token", gguf(merges(&["b a"]))),
        ("kinds of another number", gguf(bytes("gpt-2").entry("tokenizer.ggml.token_type", Meta::Ints(vec![1])))),
        ("scores of another number", gguf(scores(vec![0.0]))),
        ("score no number", gguf(scores(vec![0.0, f32::NAN]))),
        (
            "two of one text",
            gguf(tokens(model("llama"), &["a", "a"]).entry("tokenizer.ggml.scores", Meta::Floats(vec![0.0, 0.0]))),
        ),
        (
            "a byte that is none",
            gguf(scores(vec![0.0, 0.0]).entry("tokenizer.ggml.token_type", Meta::Ints(vec![1, 6]))),
        ),
        ("beginning beyond the vocabulary", gguf(merges(&["a b"]).entry("tokenizer.ggml.bos_token_id", Meta::U32(3)))),
    ]));
}

#[test]
fn of_llama2c_files() {
    let fields = |fields: [i32; 7]| fields.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
    let model = |bytes: Vec<u8>| mistake(&[("m.bin", bytes)], "m.bin");
    let mut long = llama2c([8, 4, 2, 4, 2, 3, 5]);
    long.push(0);
    let with = |vocabulary: Vec<u8>| {
        mistake(&[("m.bin", llama2c([8, 4, 2, 4, 2, 262, 5])), ("tokenizer.bin", vocabulary)], "m.bin")
    };
    let pieces = [("he", 0.0), ("h", 0.0), ("e", 0.0)];
    let mut damaged = llama2c_vocabulary(&pieces);
    damaged[8] = 200;
    check!(shown(vec![
        ("header cut", model(vec![0; 20])),
        ("a later version", model(fields([0x616b_3432, 1, 0, 0, 0, 0, 0]))),
        ("no layers", model(fields([8, 4, 0, 4, 2, 3, 5]))),
        ("negative width", model(fields([-8, 4, 2, 4, 2, 3, 5]))),
        ("absurd layers", model(fields([8, 4, i32::MAX, 4, 2, 3, 5]))),
        ("odd heads", model(fields([9, 4, 2, 4, 2, 3, 5]))),
        ("heads without a group", model(fields([8, 4, 2, 4, 3, 3, 5]))),
        ("absurd sizes", model(fields([1 << 30, i32::MAX, 1000, 4, 2, i32::MIN, i32::MAX]))),
        ("file too long", model(long)),
        ("no vocabulary", model(llama2c([8, 4, 2, 4, 2, 262, 5]))),
        ("vocabulary of another model", with(llama2c_vocabulary(&pieces[..2]))),
        ("vocabulary too long", with(llama2c_vocabulary(&[pieces[0], pieces[1], pieces[2], ("x", 0.0)]))),
        ("vocabulary damaged", with(damaged)),
        ("vocabulary empty", with(Vec::new())),
    ]));
}

#[test]
fn of_tensors_and_embeddings_that_do_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    let tensors: [Tensor; 2] = [("w", "F32", &[2, 3], 24), ("n", "I64", &[2], 16)];
    fs::write(folder.path().join("model.safetensors"), safetensors(&tensors)).unwrap();
    fs::write(folder.path().join("tokenizer.json"), common::tokenizer_json()).unwrap();
    let checkpoint = Checkpoint::open(folder.path()).unwrap();
    let cases = [
        ("missing", checkpoint.expect("v", &[1]).unwrap_err()),
        ("of another shape", checkpoint.expect("w", &[3, 2]).unwrap_err()),
        ("of integers", checkpoint.expect("n", &[2]).unwrap_err()),
        ("tokenizer", checkpoint.tokenizer().unwrap().fits(100).unwrap_err()),
    ];
    let clean = |text: String| text.replace(&*folder.path().to_string_lossy(), "FOLDER");
    check!(shown(cases.into_iter().map(|(name, error)| (name, clean(error.to_string()))).collect()));
}

#[test]
fn of_names() {
    let cache = tempfile::tempdir().unwrap();
    let hub = |offline: bool, endpoint: &str| Hub {
        cache: cache.path().into(),
        endpoint: endpoint.into(),
        token: None,
        offline,
        progress: &|_| {},
    };
    let error = |source: &str, hub: Hub| {
        resolve(source, &hub).unwrap_err().to_string().replace(&*cache.path().to_string_lossy(), "CACHE")
    };
    let offline = error("EleutherAI/pythia-70m@step3000", hub(true, "https://huggingface.co"));
    // Nobody listens on port 1: how the system says so is its own.
    let alone = error("org/name", hub(false, "http://127.0.0.1:1"));
    let (before, after) = alone.split_once("can't be reached (").unwrap();
    let (_, after) = after.split_once("): ").unwrap();
    check!(shown(vec![
        ("neither file nor name", error("no such file", hub(true, ""))),
        ("offline", offline),
        ("no network", format!("{before}can't be reached (WHY): {after}")),
    ]));
    assert!(Path::new(cache.path()).read_dir().unwrap().next().is_none(), "nothing is left in the cache");
}
