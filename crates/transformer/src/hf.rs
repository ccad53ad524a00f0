//! `config.json` and `model.safetensors` as `transformers` writes and reads them for a `LlamaForCausalLM` or, where
//! attention is bidirectional, an `EuroBertForMaskedLM`: the same tensors.

use crate::{
    Config, Error, Weights,
    families::{
        eurobert,
        json::{flag, only, size, text, wrong},
        llama,
    },
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
};

const CONFIG: &str = "config.json";
const TENSORS: &str = "model.safetensors";
const NOT_LLAMA: &str = "give the folder of a LlamaForCausalLM or EuroBertForMaskedLM checkpoint";
const DAMAGED: &str = "the file is damaged or of another model: copy or make it again";

/// No configuration is longer, and no list of tensors.
const LONGEST_CONFIG: u64 = 1 << 20;
const LONGEST_HEADER: u64 = 100_000_000;

impl Weights<f32> {
    /// Writes `config.json` and `model.safetensors` into `folder`, which is made where it is missing; `transformers`
    /// reads them as a `LlamaForCausalLM`, or as an `EuroBertForMaskedLM` where attention is bidirectional, and computes
    /// the same logits. Each file appears whole or not at all.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        self.save_masked(folder, None)
    }

    /// [`Weights::save`] of a model that fills gaps: `config.json` says which token marks them.
    pub fn save_masked(&self, folder: &Path, mask: Option<u32>) -> Result<(), Error> {
        fs::create_dir_all(folder).map_err(Error::writing(folder))?;
        let bytes = to_bytes(&self.values);
        let views = self.config.tensors().into_iter().map(|tensor| {
            let bytes = &bytes[tensor.range.start * 4..tensor.range.end * 4];
            TensorView::new(Dtype::F32, tensor.shape, bytes).map(|view| (tensor.name, view))
        });
        let path = folder.join(TENSORS);
        let broken = |e: safetensors::SafeTensorError| Error::malformed(&path, e.to_string(), "report this as a bug");
        let views = views.collect::<Result<Vec<_>, _>>().map_err(broken)?;
        let metadata = [("format".to_owned(), "pt".to_owned())].into();
        let file = safetensors::serialize(views, Some(metadata)).map_err(broken)?;
        write_whole(&path, &file)?;
        let mut config = serde_json::to_vec_pretty(&to_json(&self.config, mask)).unwrap_or_default();
        config.push(b'\n');
        write_whole(&folder.join(CONFIG), &config)
    }

    /// Reads what [`Weights::save`] writes. Whatever is wrong with the files is an [`Error`] that names the file.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let config = load_config(&folder.join(CONFIG))?;
        let path = folder.join(TENSORS);
        let total = config.params_total();
        let file = File::open(&path).map_err(Error::reading(&path))?;
        let length = file.metadata().map_err(Error::reading(&path))?.len();
        // Checked before anything of that size is allocated.
        if length < 4 * total || length > 4 * total + LONGEST_HEADER {
            let problem = format!("{length} bytes, but the configuration has {total} parameters of 4 bytes");
            return Err(Error::malformed(&path, problem, DAMAGED));
        }
        let mut bytes = Vec::with_capacity(length as usize);
        file.take(length).read_to_end(&mut bytes).map_err(Error::reading(&path))?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(|e| Error::malformed(&path, e.to_string(), DAMAGED))?;
        let expected = config.tensors();
        if let Some(name) = tensors.names().into_iter().find(|name| expected.iter().all(|t| t.name != **name)) {
            return Err(Error::malformed(
                &path,
                format!("a tensor {name} that the configuration has no place for"),
                NOT_LLAMA,
            ));
        }
        let mut values = Vec::with_capacity(total as usize);
        for tensor in expected {
            let Ok(view) = tensors.tensor(&tensor.name) else {
                return Err(Error::malformed(&path, format!("no tensor {}", tensor.name), DAMAGED));
            };
            if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
                let problem = format!(
                    "tensor {} is {:?} {:?}, not F32 {:?}",
                    tensor.name,
                    view.dtype(),
                    view.shape(),
                    tensor.shape
                );
                return Err(Error::malformed(
                    &path,
                    problem,
                    "convert the checkpoint to float32, or give the right config.json",
                ));
            }
            values.extend(view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)));
        }
        Ok(Weights { config, values })
    }
}

fn to_bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Writes beside, syncs, renames.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let beside = path.with_extension("part");
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let renamed = written.and_then(|()| fs::rename(&beside, path));
    if renamed.is_err() {
        // The error that matters is the one above.
        let _ = fs::remove_file(&beside);
    }
    renamed.map_err(Error::writing(path))?;
    #[cfg(unix)]
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|f| f.sync_all()).map_err(Error::writing(folder))?;
    }
    Ok(())
}

fn to_json(config: &Config, mask: Option<u32>) -> Value {
    let (base, eps) = config.architecture.trained(config.head_dim).unwrap_or((10_000.0, 1e-6));
    let mut json = json!({
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.context,
        "hidden_size": config.width,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "num_key_value_heads": config.kv_heads,
        "head_dim": config.head_dim,
        "intermediate_size": config.mlp_hidden,
        "hidden_act": "silu",
        "rope_theta": base,
        "rms_norm_eps": eps,
        "tie_word_embeddings": config.tied_embedding,
        "attention_bias": false,
        "mlp_bias": false,
        "attention_dropout": 0.0,
        "bos_token_id": null,
        "eos_token_id": null,
        "torch_dtype": "float32",
    });
    if !config.architecture.attention.causal {
        json["architectures"] = json!(["EuroBertForMaskedLM"]);
        json["model_type"] = json!("eurobert");
        // Absent, it would be a token of EuroBERT's own vocabulary.
        json["pad_token_id"] = Value::Null;
    }
    if let Some(mask) = mask {
        json["mask_token_id"] = json!(mask);
    }
    json
}

fn load_config(path: &Path) -> Result<Config, Error> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(Error::reading(path))?;
    file.take(LONGEST_CONFIG).read_to_end(&mut text).map_err(Error::reading(path))?;
    let json: Value =
        serde_json::from_slice(&text).map_err(|e| Error::malformed(path, format!("no JSON: {e}"), DAMAGED))?;
    let config = from_json(&json).map_err(|problem| Error::malformed(path, problem, NOT_LLAMA))?;
    match config.problem() {
        Some(problem) => Err(Error::malformed(path, problem, NOT_LLAMA)),
        None => Ok(config),
    }
}

/// The configuration, or what is wrong with it. Absent keys mean what they mean to `transformers`.
fn from_json(json: &Value) -> Result<Config, String> {
    let read = match text(json, "model_type", None)? {
        "llama" => llama,
        "eurobert" => eurobert,
        _ => return wrong(json, "model_type", "\"llama\" or \"eurobert\""),
    };
    only(json, "hidden_act", "silu", Some("silu"))?;
    for off in ["attention_bias", "mlp_bias"] {
        if flag(json, off, false)? {
            return Err(format!("{off} is true, which is not supported"));
        }
    }
    if !json["rope_scaling"].is_null() {
        return Err(format!("rope_scaling is {}, which is not supported", json["rope_scaling"]));
    }
    // transformers 5 writes {"rope_parameters": {"rope_theta", "rope_type"}}.
    let rope = &json["rope_parameters"];
    only(rope, "rope_type", "default", Some("default"))?;
    size(json, "max_position_embeddings", None)?;
    let config = read(json)?;
    match config.architecture.trained(config.head_dim) {
        Some(_) => Ok(config),
        None => Err("an architecture that is not trained here".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LocalModel, Model, Overflow, config::tests::small};
    use proptest::prelude::*;
    use saltus_checkpoint::Checkpoint;
    use saltus_lm::{FillRequest, LanguageModel, NoText};
    use saltus_random::Key;
    use std::sync::Arc;
    use tempfile::TempDir;

    fn saved(config: &Config) -> (TempDir, Weights<f32>) {
        let folder = TempDir::new().unwrap();
        let weights = Weights::init(config, Key::new(1));
        weights.save(folder.path()).unwrap();
        (folder, weights)
    }

    #[test]
    fn what_is_saved_is_loaded_and_nothing_else_lies_there() {
        for config in [small(false), small(true)] {
            let (folder, weights) = saved(&config);
            assert_eq!(Weights::load(folder.path()).unwrap(), weights);
            weights.save(folder.path()).unwrap();
            let mut names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, [CONFIG, TENSORS]);
        }
    }

    /// A masked model says that it sees both ways and which token is the gap; the ordinary path opens it as that.
    #[test]
    fn a_bidirectional_model_comes_back_by_both_paths() {
        let config = small(false);
        let config = Config { architecture: config.architecture.clone().bidirectional(), ..config };
        let (folder, weights) = saved(&config);
        weights.save_masked(folder.path(), Some(10)).unwrap();
        assert_eq!(Weights::load(folder.path()).unwrap(), weights);
        let json: Value = serde_json::from_slice(&fs::read(folder.path().join(CONFIG)).unwrap()).unwrap();
        assert_eq!((&json["model_type"], &json["mask_token_id"]), (&json!("eurobert"), &json!(10)));
        let opened = Model::open(Arc::new(Checkpoint::open(folder.path()).unwrap())).unwrap();
        assert_eq!(*opened.config(), config);
        let tokenizer = Arc::new(NoText { vocabulary: 11 });
        let [here, there] = [Model::from(weights), opened].map(|model| {
            let model = LocalModel::of(model, tokenizer.clone(), Overflow::Refuse);
            model.fill(&[FillRequest { tokens: vec![1, 10, 3, 4], second: 4, targets: vec![(1, 2)] }]).unwrap()
        });
        assert_eq!(here, there);
    }

    /// The error for a checkpoint whose configuration was changed.
    fn error(change: impl Fn(&mut Value)) -> String {
        let (folder, _) = saved(&small(false));
        let path = folder.path().join(CONFIG);
        let mut json: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut json);
        fs::write(&path, json.to_string()).unwrap();
        let error = Weights::load(folder.path()).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "FOLDER")
    }

    #[test]
    fn a_wrong_configuration_is_refused_with_the_place_and_the_remedy() {
        let check = |key: &str, value: Value, expect: &str| {
            let error = error(|json| json[key] = value.clone());
            assert!(error.contains(expect) && error.starts_with("FOLDER/"), "{error}");
        };
        check("hidden_size", json!(null), "config.json: hidden_size is missing: give the folder of a LlamaForCausalLM");
        check("hidden_size", json!("six"), "hidden_size is \"six\", not a whole number");
        check("hidden_size", json!(-1), "hidden_size is -1");
        check("hidden_size", json!(0), "width is 0");
        check("hidden_size", json!(1u64 << 60), "width is 1152921504606846976");
        check("num_hidden_layers", json!(1 << 24), "bytes, but the configuration has");
        check("vocab_size", json!(12), "embed_tokens.weight is F32 [11, 6], not F32 [12, 6]");
        check("model_type", json!("gpt2"), "model_type is \"gpt2\", not \"llama\" or \"eurobert\"");
        check("hidden_act", json!("gelu"), "hidden_act");
        check("attention_bias", json!(true), "attention_bias is true");
        check("rope_scaling", json!({"type": "linear"}), "rope_scaling");
        check("tie_word_embeddings", json!(1), "tie_word_embeddings is 1, not true or false");
        check("intermediate_size", json!(9), "model.safetensors");
        check("num_key_value_heads", json!(3), "cannot share");
    }

    #[test]
    fn damaged_and_missing_files_are_errors() {
        let (folder, weights) = saved(&small(false));
        let path = folder.path().join(TENSORS);
        let whole = fs::read(&path).unwrap();
        let error = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            Weights::load(folder.path()).unwrap_err().to_string()
        };
        assert!(error(&whole[..whole.len() - 1]).contains("damaged"));
        assert!(error(&[]).contains("0 bytes"));
        let mut huge = whole.clone();
        huge[..8].copy_from_slice(&u64::MAX.to_le_bytes());
        assert!(error(&huge).contains("model.safetensors"));
        let mut renamed = whole.clone();
        let at = whole.windows(7).position(|w| w == b"lm_head").unwrap();
        renamed[at..at + 7].copy_from_slice(b"lm_hood");
        assert!(error(&renamed).contains("a tensor lm_hood.weight that the configuration has no place for"));
        let other = Weights::init(&Config { mlp_hidden: 11, width: 6, ..small(false) }, Key::new(1));
        other.save(&folder.path().join("other")).unwrap();
        assert!(error(&fs::read(folder.path().join("other").join(TENSORS)).unwrap()).contains("not F32"));
        fs::remove_file(&path).unwrap();
        assert!(Weights::load(folder.path()).unwrap_err().to_string().contains("check that the file exists"));
        fs::write(folder.path().join(CONFIG), "{").unwrap();
        assert!(Weights::load(folder.path()).unwrap_err().to_string().contains("no JSON"));
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(weights.save(&file).unwrap_err().to_string().contains("check that the folder can be written"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn flipped_bytes_never_panic(flips in proptest::collection::vec((0usize..2500, any::<u8>()), 1..4), config in any::<bool>()) {
            let (folder, _) = saved(&small(true));
            let path = folder.path().join(if config { CONFIG } else { TENSORS });
            let mut bytes = fs::read(&path).unwrap();
            for (at, value) in flips {
                let at = at % bytes.len();
                bytes[at] = value;
            }
            fs::write(&path, bytes).unwrap();
            let _ = Weights::load(folder.path());
        }
    }
}
