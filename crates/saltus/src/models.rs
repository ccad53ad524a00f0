//! `saltus models`: what a model in files is, and what it says.

use crate::{
    arguments::{AskArguments, Models},
    print,
};
use indicatif::HumanBytes;
use miette::{IntoDiagnostic, Result};
use saltus_checkpoint::{Checkpoint, Description, FileTokenizer, Hub, resolve};
use saltus_lm::{FillRequest, GenerateRequest, LanguageModel, Sampling, ScoreRequest, TokenId, Tokenizer};
use saltus_record::ModelKey;
use saltus_transformer::{
    Architecture, Cache, Config, LocalModel, Model, NormKind, Overflow, Positions, Residual, config_of,
};
use serde::Serialize;
use std::{collections::BTreeMap, fmt::Write, io::IsTerminal, path::Path, process::ExitCode, sync::Arc};

pub(crate) fn dispatch(command: &Models) -> Result<ExitCode> {
    match command {
        Models::Show { model, json } => {
            let shown = show(&open(model)?)?;
            print(*json, &shown, || text(&shown))
        }
        Models::Ask(arguments) => ask(arguments),
    }
}

/// A model by its path or its name on the Hub; files that are not here are fetched.
pub(crate) fn open(source: &str) -> Result<Checkpoint> {
    let bar = indicatif::ProgressBar::hidden();
    if std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
    }
    let template = indicatif::ProgressStyle::with_template("{msg} {bar:32} {bytes} of {total_bytes}, {eta} left");
    bar.set_style(template.unwrap_or_else(|_| indicatif::ProgressStyle::default_bar()));
    let progress = |progress: saltus_checkpoint::Progress<'_>| {
        bar.set_length(progress.total);
        bar.set_position(progress.done);
        bar.set_message(progress.file.to_owned());
    };
    let path = resolve(source, &Hub::from_environment(&progress)).into_diagnostic()?;
    bar.finish_and_clear();
    Checkpoint::open(&path).into_diagnostic()
}

/// A model in files, with its key. It is called as its folder or file is, or by its name on the Hub.
pub(crate) fn load(source: &str) -> Result<(LocalModel, ModelKey)> {
    let (model, tokenizer, key) = parts(source)?;
    Ok((LocalModel::of(model, Arc::new(tokenizer), Overflow::TruncateLeft), key))
}

/// [`load`], in parts: the model, the tokenizer of its files, its key.
pub(crate) fn parts(source: &str) -> Result<(Model, FileTokenizer, ModelKey)> {
    let checkpoint = Arc::new(open(source)?);
    let tokenizer = checkpoint.tokenizer().into_diagnostic()?;
    let model = Model::open(Arc::clone(&checkpoint)).into_diagnostic()?;
    tokenizer.fits(model.config().vocabulary).into_diagnostic()?;
    let path = Path::new(source);
    let named = if path.is_dir() { path.file_name() } else { path.file_stem().filter(|_| path.is_file()) };
    let config = model.config();
    let key = ModelKey {
        name: named.map_or_else(|| source.to_owned(), |name| name.to_string_lossy().into_owned()),
        width: config.width as u32,
        layers: config.layers as u32,
        params_non_embedding: config.params_non_embedding(),
        params_total: config.params_total(),
        weights: checkpoint.identity(),
        tokenizer: tokenizer.identity(),
        training: None,
    };
    Ok((model, tokenizer, key))
}

/// What `saltus models show` says.
#[derive(Serialize)]
struct Shown {
    path: String,
    family: String,
    parameters: u64,
    parameters_without_embeddings: u64,
    layers: usize,
    width: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
    mlp_hidden: usize,
    vocabulary: usize,
    tied_embedding: bool,
    context: usize,
    design: Vec<String>,
    tokenizer: TokenizerShown,
    /// Tensors of each storage.
    stored: BTreeMap<&'static str, usize>,
    file_bytes: u64,
    /// Keys and values of one token, in all layers.
    cache_bytes_per_token: usize,
    /// BLAKE3 over description and weights.
    hash: String,
}

#[derive(Serialize)]
struct TokenizerShown {
    tokens: Option<usize>,
    /// Token put before a text, if the model wants one.
    beginning: Option<TokenId>,
    end: Vec<TokenId>,
    /// Why there is none.
    problem: Option<String>,
}

fn show(checkpoint: &Checkpoint) -> Result<Shown> {
    let config = config_of(checkpoint).into_diagnostic()?;
    let mut stored = BTreeMap::new();
    for tensor in checkpoint.tensors() {
        *stored.entry(tensor.dtype.name()).or_default() += 1;
    }
    Ok(Shown {
        path: checkpoint.path().display().to_string(),
        family: family(checkpoint.description()),
        parameters: config.params_total(),
        parameters_without_embeddings: config.params_non_embedding(),
        layers: config.layers,
        width: config.width,
        heads: config.heads,
        kv_heads: config.kv_heads,
        head_dim: config.head_dim,
        mlp_hidden: config.mlp_hidden,
        vocabulary: config.vocabulary,
        tied_embedding: config.tied_embedding,
        context: config.context,
        design: design(&config),
        tokenizer: tokenizer(checkpoint, &config),
        stored,
        file_bytes: checkpoint.files().iter().map(|(_, size)| size).sum(),
        cache_bytes_per_token: Cache::page_bytes(&config) / 16,
        hash: checkpoint.identity(),
    })
}

fn family(description: &Description) -> String {
    match description {
        Description::HuggingFace(json) => {
            let part = if json["text_config"].is_object() { &json["text_config"] } else { json };
            part["model_type"].as_str().unwrap_or("?").to_owned()
        }
        Description::Gguf(metadata) => {
            format!("{} (GGUF)", metadata.text("general.architecture").ok().flatten().unwrap_or("?"))
        }
        Description::Llama2c(_) => "llama (llama2.c)".into(),
    }
}

fn tokenizer(checkpoint: &Checkpoint, config: &Config) -> TokenizerShown {
    let fitting = |tokenizer: FileTokenizer| tokenizer.fits(config.vocabulary).map(|()| tokenizer);
    match checkpoint.tokenizer().and_then(fitting) {
        Ok(tokenizer) => TokenizerShown {
            tokens: Some(tokenizer.vocabulary()),
            beginning: tokenizer.beginning().filter(|beginning| beginning.added).map(|beginning| beginning.token),
            end: tokenizer.end().to_vec(),
            problem: None,
        },
        Err(problem) => {
            TokenizerShown { tokens: None, beginning: None, end: Vec::new(), problem: Some(problem.to_string()) }
        }
    }
}

/// The choices of the architecture in words.
fn design(config: &Config) -> Vec<String> {
    let Architecture { norm, positions, attention, mlp, residual, embedding, head } = &config.architecture;
    let norm = format!(
        "{} {}, eps {:e}",
        match norm.kind {
            NormKind::Rms | NormKind::RmsPlusOne => "RMSNorm",
            NormKind::Layer => "LayerNorm",
            NormKind::LayerPlain => "LayerNorm without parameters",
        },
        format!("{:?}", norm.place).to_lowercase(),
        norm.eps
    );
    let positions = match positions {
        Positions::Learned => "learned positions".into(),
        Positions::Alibi => "ALiBi".into(),
        Positions::Rotary(rotary) => {
            let turned = format!("RoPE of {} channels, base {}", rotary.channels, rotary.base);
            let scaling = &rotary.scaling;
            if *scaling == saltus_transformer::Scaling::None { turned } else { format!("{turned}, {scaling:?}") }
        }
    };
    let activation = format!("{:?}{}", mlp.activation, if mlp.gated { ", gated" } else { "" });
    let mut words = vec![norm, positions, activation];
    let mut also = |there: bool, what: String| {
        if there {
            words.push(what);
        }
    };
    also(*residual == Residual::Parallel, "attention and MLP in parallel".into());
    also(attention.qkv_bias, "biases".into());
    also(attention.qk_norm != saltus_transformer::QkNorm::None, "queries and keys normed".into());
    if let Some(window) = &attention.window {
        let count = window.layers.iter().filter(|windowed| **windowed).count();
        also(true, format!("window of {} in {count} of {} layers", window.size, window.layers.len()));
    }
    also(attention.soft_cap.is_some() || head.soft_cap.is_some(), "soft caps".into());
    also(!attention.causal, "sees both ways".into());
    also(embedding.scale.is_some(), "scaled embedding".into());
    also(head.transform, "masked-language head".into());
    words
}

fn text(shown: &Shown) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "{name:13} {value}");
    };
    line("model", shown.path.clone());
    line("family", shown.family.clone());
    let (all, inside) = (grouped(shown.parameters), grouped(shown.parameters_without_embeddings));
    line("parameters", format!("{all} ({inside} without embeddings)"));
    let heads = format!("{} heads of {} ({} of keys and values)", shown.heads, shown.head_dim, shown.kv_heads);
    line("shape", format!("{} layers, width {}, {heads}, MLP {}", shown.layers, shown.width, shown.mlp_hidden));
    line("design", shown.design.join("; "));
    line("context", format!("{} tokens", shown.context));
    let tied = if shown.tied_embedding { ", also the head" } else { "" };
    line("vocabulary", format!("{} rows of embedding{tied}", shown.vocabulary));
    line(
        "tokenizer",
        match (&shown.tokenizer.problem, shown.tokenizer.tokens, shown.tokenizer.beginning) {
            (Some(problem), ..) => format!("none: {problem}"),
            (_, Some(tokens), Some(beginning)) => format!("{tokens} tokens; begins a text with {beginning}"),
            (_, tokens, _) => format!("{} tokens", tokens.unwrap_or(0)),
        },
    );
    let kinds = shown.stored.iter().map(|(name, count)| format!("{count} of {name}")).collect::<Vec<_>>().join(", ");
    line("tensors", kinds);
    let (file, cache) = (HumanBytes(shown.file_bytes), HumanBytes(shown.cache_bytes_per_token as u64));
    line("memory", format!("{file} as stored, and {cache} for each token of context"));
    line("hash", shown.hash.clone());
    text
}

/// 134515008 as 134,515,008.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap_or_default()).collect();
    groups.join(",")
}

/// What the model says, and how sure it was.
#[derive(Serialize)]
struct Said {
    text: String,
    tokens: Vec<TokenId>,
    /// Of each token, in nats, at temperature 1.
    logprobs: Vec<f32>,
}

/// What stands at one gap.
#[derive(Serialize)]
struct Filled {
    /// The most probable tokens, most probable first.
    candidates: Vec<Candidate>,
}

#[derive(Serialize)]
struct Candidate {
    token: TokenId,
    text: String,
    /// In nats.
    logprob: f64,
}

/// Candidates shown for each gap.
const CANDIDATES: usize = 10;

/// Fills the gaps of a text with a model that sees both ways.
fn fill(arguments: &AskArguments, model: Model, tokenizer: FileTokenizer) -> Result<ExitCode> {
    let (request, mask) = with_gaps(&arguments.prompt, &tokenizer)?;
    if request.targets.is_empty() {
        miette::bail!(
            help = "write `[MASK]` where a token is asked for, and `[SEP]` between two sentences",
            "{} sees both ways: it fills gaps and does not continue text",
            arguments.model
        );
    }
    let model = LocalModel::of(model, Arc::new(tokenizer), Overflow::Refuse);
    let candidate = |(token, logprob): (TokenId, f64)| {
        let text = model.tokenizer().decode(&[token]);
        Candidate { token, text: if token == mask { "[MASK]".into() } else { text }, logprob }
    };
    let gaps: Vec<Filled> = model
        .candidates(&request, CANDIDATES)
        .into_diagnostic()?
        .into_iter()
        .map(|gap| Filled { candidates: gap.into_iter().map(candidate).collect() })
        .collect();
    print(arguments.json, &gaps, || {
        let mut text = String::new();
        for (number, gap) in gaps.iter().enumerate() {
            let _ = writeln!(text, "gap {} of {}", number + 1, gaps.len());
            for Candidate { text: token, logprob, .. } in &gap.candidates {
                let _ = writeln!(text, "  {:6.2}%  {token}", 100.0 * logprob.exp());
            }
        }
        text
    })
}

/// The text with `[MASK]` and `[SEP]` as the tokens of these names, between the marks that the model expects; every gap
/// is a target. Also the mask.
pub(crate) fn with_gaps(text: &str, tokenizer: &FileTokenizer) -> Result<(FillRequest, TokenId)> {
    let required = |name: &str| {
        let problem = || format!("{} has no token {name}", tokenizer.path().display());
        tokenizer.special(name).ok_or_else(|| miette::miette!(help = "use a model of BERT's kind", "{}", problem()))
    };
    let mask = required("[MASK]")?;
    // BERT's texts stand between marks; those of the masked models that are trained here have none.
    let between = tokenizer.special("[SEP]");
    let mut tokens: Vec<TokenId> = tokenizer.special("[CLS]").into_iter().collect();
    let (mut second, mut targets) = (None, Vec::new());
    for (number, sentence) in text.split("[SEP]").enumerate() {
        if number == 1 {
            required("[SEP]")?;
            second = Some(tokens.len());
        }
        let gaps = sentence.matches("[MASK]").count();
        for (number, part) in sentence.split("[MASK]").enumerate() {
            if number > 0 {
                targets.push((tokens.len(), mask));
                tokens.push(mask);
            }
            let spaced = number == gaps || !tokenizer.takes_space(mask);
            tokens.extend(tokenizer.encode(if spaced { part } else { part.trim_end() }).into_diagnostic()?);
        }
        tokens.extend(between);
    }
    let second = second.unwrap_or(tokens.len());
    Ok((FillRequest { tokens, second, targets }, mask))
}

fn ask(arguments: &AskArguments) -> Result<ExitCode> {
    let checkpoint = Arc::new(open(&arguments.model)?);
    let tokenizer = checkpoint.tokenizer().into_diagnostic()?;
    let model = Model::open(Arc::clone(&checkpoint)).into_diagnostic()?;
    tokenizer.fits(model.config().vocabulary).into_diagnostic()?;
    if !model.config().architecture.attention.causal {
        return fill(arguments, model, tokenizer);
    }
    let mut context: Vec<TokenId> = tokenizer.beginning().filter(|b| b.added).map(|b| b.token).into_iter().collect();
    context.extend(tokenizer.encode(&arguments.prompt).into_diagnostic()?);
    let stop = tokenizer.end().to_vec();
    let model = LocalModel::of(model, Arc::new(tokenizer), Overflow::Refuse);
    let sampling = match arguments.temperature {
        0.0 => Sampling::Greedy,
        temperature => {
            let (top_k, top_p, seed) = (arguments.top_k, arguments.top_p, arguments.seed);
            Sampling::Random { temperature, top_k, top_p, seed }
        }
    };
    let request = GenerateRequest {
        context: context.clone(),
        max_tokens: arguments.tokens,
        stop,
        stop_text: arguments.stop.clone(),
        sampling,
    };
    let answer = model.generate(&[request]).into_diagnostic()?.remove(0);
    let scored = match answer.tokens.is_empty() {
        true => Vec::new(),
        false => {
            let request = ScoreRequest { context, continuation: answer.tokens.clone() };
            model.score(&[request]).into_diagnostic()?.remove(0).logprobs
        }
    };
    let said = Said { text: answer.text, tokens: answer.tokens, logprobs: scored };
    print(arguments.json, &said, || format!("{}{}\n", arguments.prompt, said.text))
}
