//! Each format is read as written: names, types, shapes and bytes; and damaged files are refused, not read past.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Gguf, Meta, Tensor, safetensors, with_header};
use proptest::prelude::*;
use saltus_checkpoint::{Checkpoint, Description, Dtype, Value};
use std::{fs, path::Path};
use tempfile::TempDir;

/// A folder with these files.
fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

fn open(folder: &TempDir, name: &str) -> Checkpoint {
    Checkpoint::open(&folder.path().join(name)).unwrap()
}

/// Bytes as the writers of `common` count them.
fn counted(range: std::ops::Range<usize>) -> Vec<u8> {
    range.map(|i| (i % 251) as u8).collect()
}

#[test]
fn a_folder_gives_its_floats_sorted_and_leaves_masks_out() {
    let tensors: [Tensor; 4] =
        [("z", "F32", &[2, 3], 24), ("mask", "U8", &[1, 1, 4], 4), ("a", "BF16", &[3], 6), ("m", "F16", &[], 2)];
    let folder = folder(&[("config.json", b"{\"x\": 1}"), ("model.safetensors", &safetensors(&tensors))]);
    for path in ["", "model.safetensors"] {
        let checkpoint = open(&folder, path);
        let names: Vec<_> =
            checkpoint.tensors().map(|t| (t.name, t.dtype, t.shape.to_vec(), t.bytes.to_vec())).collect();
        let expected = [
            ("a", Dtype::BF16, vec![3], counted(28..34)),
            ("m", Dtype::F16, vec![], counted(34..36)),
            ("z", Dtype::F32, vec![2, 3], counted(0..24)),
        ];
        assert_eq!(names, expected);
        assert!(checkpoint.tensor("mask").is_none());
        let Description::HuggingFace(config) = checkpoint.description() else { panic!("a folder") };
        assert_eq!(config["x"], 1);
    }
}

#[test]
fn shards_are_one_model() {
    let index = r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors", "mask": "1.safetensors"}}"#;
    let folder = folder(&[
        ("config.json", b"{}"),
        ("model.safetensors.index.json", index.as_bytes()),
        ("1.safetensors", &safetensors(&[("a", "F32", &[1], 4), ("mask", "BOOL", &[2], 2)])),
        ("2.safetensors", &safetensors(&[("b", "F32", &[2], 8)])),
    ]);
    let checkpoint = open(&folder, "");
    assert_eq!(checkpoint.tensors().map(|t| t.name).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(checkpoint.tensor("b").unwrap().bytes, counted(0..8));
    assert_eq!(checkpoint.files().iter().map(|(path, _)| path.file_name().unwrap()).collect::<Vec<_>>().len(), 3);
}

/// Every block type: number in the file, bytes for two rows of 256.
const KINDS: [(u32, Dtype); 13] = [
    (0, Dtype::F32),
    (1, Dtype::F16),
    (30, Dtype::BF16),
    (2, Dtype::Q4_0),
    (3, Dtype::Q4_1),
    (6, Dtype::Q5_0),
    (7, Dtype::Q5_1),
    (8, Dtype::Q8_0),
    (10, Dtype::Q2K),
    (11, Dtype::Q3K),
    (12, Dtype::Q4K),
    (13, Dtype::Q5K),
    (14, Dtype::Q6K),
];

#[test]
fn gguf_gives_every_tensor_type_in_both_versions() {
    for (version, alignment) in [(2, 32), (3, 32), (3, 64)] {
        let mut file = Gguf::new();
        (file.version, file.alignment) = (version, alignment);
        file = file.entry("general.alignment", Meta::U32(alignment as u32));
        for (number, dtype) in KINDS {
            file = file.tensor(dtype.name(), &[2, 256], number, 512 / dtype.block_len() * dtype.block_bytes());
        }
        let folder = folder(&[("model.gguf", &file.build())]);
        // The only GGUF file of a folder is found.
        for checkpoint in [open(&folder, "model.gguf"), open(&folder, "")] {
            for (_, dtype) in KINDS {
                let tensor = checkpoint.expect(dtype.name(), &[2, 256]).unwrap();
                assert_eq!(tensor.dtype, dtype);
                assert_eq!(tensor.bytes, counted(0..512 / dtype.block_len() * dtype.block_bytes()));
            }
        }
    }
}

#[test]
fn gguf_metadata_is_widened_and_typed() {
    let signed = |kind: u32, bytes: &[u8]| Meta::Raw(kind, bytes.to_vec());
    let file = Gguf::new()
        .entry("u8", signed(0, &[200]))
        .entry("i8", signed(1, &[200]))
        .entry("i16", signed(3, &[0, 0x80]))
        .entry("i64", signed(11, &(-5i64).to_le_bytes()))
        .entry("f64", signed(12, &0.1f64.to_le_bytes()))
        .entry("f32", Meta::F32(0.1))
        .entry("flag", Meta::Bool(true))
        .entry("name", Meta::Text("x"))
        .entry("ints", Meta::Ints(vec![1, -2]))
        .entry("floats", Meta::Floats(vec![0.5]))
        .entry("texts", Meta::Texts(vec!["a", ""]))
        .tensor("t", &[1], 0, 4);
    let folder = folder(&[("m.gguf", &file.build())]);
    let checkpoint = open(&folder, "m.gguf");
    let Description::Gguf(metadata) = checkpoint.description() else { panic!("a GGUF file") };
    assert_eq!(metadata.get("u8"), Some(&Value::Unsigned(200)));
    assert_eq!(metadata.get("i8"), Some(&Value::Signed(-56)));
    assert_eq!(metadata.get("i16"), Some(&Value::Signed(-32768)));
    assert_eq!(metadata.get("i64"), Some(&Value::Signed(-5)));
    assert_eq!(metadata.float("f64"), Ok(Some(0.1)));
    assert_eq!(metadata.float("f32"), Ok(Some(f64::from(0.1f32))));
    assert_eq!(metadata.float("u8"), Ok(Some(200.0)));
    assert_eq!(metadata.bool("flag"), Ok(Some(true)));
    assert_eq!(metadata.text("name"), Ok(Some("x")));
    assert_eq!(metadata.integers("ints"), Ok(Some(vec![1, -2])));
    assert_eq!(metadata.floats("floats"), Ok(Some(vec![0.5])));
    assert_eq!(metadata.texts("texts").unwrap().unwrap().collect::<Vec<_>>(), [&b"a"[..], b""]);
    assert_eq!(metadata.unsigned("absent"), Ok(None));
    for mistyped in [metadata.unsigned("i64").err(), metadata.text("ints").err(), metadata.floats("texts").err()] {
        assert!(mistyped.unwrap().problem.contains("expected"));
    }
}

#[test]
fn llama2c_tensors_are_where_the_format_puts_them() {
    // dim 8, hidden 4, 2 layers, 4 heads, 2 kv heads, vocabulary 3, context 5.
    for (vocabulary, tied) in [(3, true), (-3, false)] {
        let folder = folder(&[("m.bin", &common::llama2c([8, 4, 2, 4, 2, vocabulary, 5]))]);
        let checkpoint = open(&folder, "m.bin");
        let Description::Llama2c(header) = checkpoint.description() else { panic!("a llama2.c file") };
        assert_eq!((header.vocabulary, header.tied, header.kv_heads, header.context), (3, tied, 2, 5));
        let first = |name: &str, shape: &[usize]| {
            let bytes = checkpoint.expect(name, shape).unwrap().bytes;
            f32::from_le_bytes(bytes[..4].try_into().unwrap())
        };
        let mut at = 0;
        let mut next = |floats: usize| {
            at += floats;
            (at - floats) as f32
        };
        assert_eq!(first("tok_embeddings.weight", &[3, 8]), next(24));
        let parts: [(&str, &[usize]); 9] = [
            ("attention_norm", &[8]),
            ("attention.wq", &[8, 8]),
            ("attention.wk", &[4, 8]),
            ("attention.wv", &[4, 8]),
            ("attention.wo", &[8, 8]),
            ("ffn_norm", &[8]),
            ("feed_forward.w1", &[4, 8]),
            ("feed_forward.w2", &[8, 4]),
            ("feed_forward.w3", &[4, 8]),
        ];
        for (name, shape) in parts {
            for layer in 0..2 {
                let expected = next(shape.iter().product());
                assert_eq!(first(&format!("layers.{layer}.{name}.weight"), shape), expected, "{name} {layer}");
            }
        }
        assert_eq!(first("norm.weight", &[8]), next(8));
        next(5 * 2);
        assert_eq!(checkpoint.tensor("output.weight").is_none(), tied);
        if !tied {
            assert_eq!(first("output.weight", &[3, 8]), next(24));
        }
    }
}

#[test]
fn the_identity_is_the_contents_wherever_they_lie() {
    let weights = safetensors(&[("a", "F32", &[300], 1200)]);
    let identity = |config: &[u8], weights: &[u8]| {
        open(&folder(&[("config.json", config), ("model.safetensors", weights)]), "").identity()
    };
    let first = identity(b"{\"x\":1}", &weights);
    assert_eq!(first, identity(b"{ \"x\" : 1 }\n", &weights));
    assert_ne!(first, identity(b"{\"x\":2}", &weights));
    let mut other = weights.clone();
    *other.last_mut().unwrap() ^= 1;
    assert_ne!(first, identity(b"{\"x\":1}", &other));
}

/// What opening does with these bytes as a model's file: must be an answer.
fn survives(path: &Path, bytes: &[u8]) -> bool {
    fs::write(path, bytes).unwrap();
    match Checkpoint::open(path) {
        Err(error) => !error.remedy.is_empty(),
        Ok(checkpoint) => {
            checkpoint.tensors().all(|tensor| checkpoint.tensor(tensor.name) == Some(tensor))
                && checkpoint.tokenizer().map_or_else(|error| !error.problem.is_empty(), |_| true)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Our reader and the `safetensors` crate's: both refuse, or both find the same.
    #[test]
    fn safetensors_are_read_as_by_the_crate(
        tensors in prop::collection::vec((0u8..6, prop::sample::select(vec![("F32", 4), ("F16", 2), ("BF16", 2), ("I64", 8), ("BOOL", 1)]), prop::collection::vec(0usize..4, 0..3)), 1..6),
        cut in 0usize..3,
        shift in prop::option::of(-4i64..5),
    ) {
        let named: Vec<_> = tensors.iter().map(|(n, kind, shape)| (format!("t{n}"), *kind, shape.clone())).collect();
        let list: Vec<Tensor> = named.iter().map(|(n, kind, shape)| (n.as_str(), kind.0, shape.as_slice(), kind.1 * shape.iter().product::<usize>())).collect();
        let mut bytes = safetensors(&list);
        bytes.truncate(bytes.len() - cut.min(bytes.len()));
        if let Some(shift) = shift {
            bytes[0] = (i64::from(bytes[0]) + shift) as u8;
        }
        let theirs = safetensors::SafeTensors::deserialize(&bytes).ok();
        let folder = folder(&[("config.json", b"{}"), ("model.safetensors", &bytes)]);
        let ours = Checkpoint::open(folder.path());
        let floats = |t: &safetensors::SafeTensors| t.iter().filter(|(_, view)| matches!(view.dtype(), safetensors::Dtype::F32 | safetensors::Dtype::F16 | safetensors::Dtype::BF16)).count();
        match (&ours, &theirs) {
            (Ok(ours), Some(theirs)) => {
                prop_assert_eq!(ours.tensors().count(), floats(theirs));
                for tensor in ours.tensors() {
                    let same = theirs.tensor(tensor.name).unwrap();
                    prop_assert_eq!((same.shape(), same.data()), (tensor.shape, tensor.bytes));
                }
            }
            // A file without weights is no model.
            (Err(error), Some(theirs)) => prop_assert!(floats(theirs) == 0, "{error}"),
            (Ok(_), None) => prop_assert!(false, "we take what the crate refuses"),
            (Err(_), None) => {}
        }
    }

    /// Any byte changed, any length: an answer, and never a crash.
    #[test]
    fn damaged_gguf_and_llama2c_files_are_survived(
        at in 0usize..4000, byte: u8, cut in prop::option::of(0usize..4000), which in 0usize..4,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (name, mut bytes) = match which {
            0 => ("m.gguf", common::byte_level_gguf().build()),
            1 => ("m.gguf", common::scored_gguf(true).build()),
            2 => ("m.gguf", Gguf::new().entry("k", Meta::Ints(vec![1, 2])).tensor("a", &[1, 256], 12, 144).build()),
            _ => ("m.bin", common::llama2c([8, 4, 2, 4, 2, 3, 5])),
        };
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.truncate(cut.map_or(length, |cut| cut % length));
        prop_assert!(survives(&folder.path().join(name), &bytes));
    }
}

#[test]
fn headers_with_counts_beyond_the_file_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.gguf");
    let file = Gguf::new().entry("k", Meta::U32(1)).tensor("t", &[1], 0, 4);
    for (tensors, entries) in [(u64::MAX, 1), (1, u64::MAX), (1 << 40, 1), (1, 1 << 40)] {
        fs::write(&path, file.build_as(tensors, entries)).unwrap();
        assert!(Checkpoint::open(&path).unwrap_err().problem.contains("expected at most"));
    }
    fs::write(folder.path().join("config.json"), "{}").unwrap();
    fs::write(folder.path().join("model.safetensors"), [u64::MAX.to_le_bytes(), [0; 8]].concat()).unwrap();
    assert!(Checkpoint::open(folder.path()).is_err());
    let huge = r#"{"t":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}"#;
    fs::write(folder.path().join("model.safetensors"), with_header(huge, 0)).unwrap();
    assert!(Checkpoint::open(folder.path()).unwrap_err().problem.contains("more values than can be counted"));
}
