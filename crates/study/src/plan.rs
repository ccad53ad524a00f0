//! What a study file means: validated models, questions and cells, each with its key.

use crate::{
    cells::ENCODING,
    error::Error,
    file::{CorpusSpec, LadderSpec, Rate, Rows, Size, Source, StudyFile, TrainSpec},
    looks::{self, LookPlan},
    store::Store,
};
use saltus_corpus::{
    Component, Corpus, HiddenWindows, Masked, Mix, Objective, TextFiles, TextSource, TokenizerSource, Vocabulary,
};
use saltus_eval::Prepared;
use saltus_lm::{FillRequest, LanguageModel};
use saltus_random::Key;
use saltus_record::{ModelKey, Record};
use saltus_task::{Family, QuestionSet, TaskFile};
use saltus_train::{Batch, Budget, Invalid, Ladder, Optimiser, PeakRate, Rung, Shape};
use serde::Deserialize;
use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};
use toml::Spanned;

/// Keys of every `[[task]]`, beside those of its family or file.
const TASK_KEYS: [&str; 5] = ["weight", "items", "file", "shots", "family"];
/// Family name of the held-out text whose loss the laws are about.
pub(crate) const LOSS_FAMILY: &str = "text";

/// A validated study.
pub struct Study {
    pub(crate) name: String,
    pub(crate) source: Source,
    pub(crate) key: Key,
    pub(crate) root: PathBuf,
    pub(crate) corpus: Arc<dyn Corpus>,
    pub(crate) vocabulary: Arc<Vocabulary>,
    pub(crate) models: Vec<ModelPlan>,
    pub(crate) sets: Vec<SetPlan>,
    pub(crate) looks: Vec<LookPlan>,
    pub(crate) delta: f64,
    pub(crate) resamples: usize,
}

/// One model to be trained.
#[derive(Clone, Debug)]
pub(crate) struct ModelPlan {
    pub(crate) rung: Rung,
    /// The key of its weights.
    pub(crate) key: String,
    /// Compared with the others, but not part of their curves.
    pub(crate) control: bool,
}

/// One set of questions that every model is asked.
#[derive(Clone, Debug)]
pub(crate) struct SetPlan {
    pub(crate) set: QuestionSet,
    /// For each question what a masked model is asked in its place.
    pub(crate) gaps: Option<Vec<FillRequest>>,
    pub(crate) identity: String,
}

impl From<QuestionSet> for SetPlan {
    fn from(set: QuestionSet) -> Self {
        SetPlan { identity: set.identity(), gaps: None, set }
    }
}

impl From<HiddenWindows> for SetPlan {
    fn from(HiddenWindows { set, requests }: HiddenWindows) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(set.identity().as_bytes());
        for FillRequest { tokens, targets, .. } in &requests {
            hasher.update(format!("{tokens:?} {targets:?}").as_bytes());
        }
        SetPlan { identity: hasher.finalize().to_hex()[..32].to_owned(), gaps: Some(requests), set }
    }
}

impl SetPlan {
    /// Asks `model` the first `count` questions.
    ///
    /// # Errors
    /// The model's; see [`saltus_eval::measure`].
    pub(crate) fn ask(
        &self,
        model: &dyn LanguageModel,
        key: &ModelKey,
        count: usize,
    ) -> Result<Vec<Record>, saltus_eval::Error> {
        let count = count.min(self.set.questions.len());
        match &self.gaps {
            Some(gaps) => saltus_eval::fill(model, key, &self.set, &gaps[..count]),
            None => Prepared::new(model, &self.set.questions[..count], ENCODING).measure(model, key, &self.set),
        }
    }

    /// Whether this is the held-out text, asked of every checkpoint.
    pub(crate) fn is_loss(&self) -> bool {
        self.set.family == LOSS_FAMILY
    }

    /// The key of the cell in which `model` at `step` is asked this set.
    pub(crate) fn cell(&self, model: &str, step: u64) -> String {
        let all = format!("{}\n{model}\n{step}\n{}", saltus_record::SCHEMA, self.identity);
        blake3::hash(all.as_bytes()).to_hex()[..32].to_string()
    }
}

impl Study {
    /// Reads and validates the study file at `path`; its output folder is `out`, or `studies/NAME`.
    pub fn read(path: &Path, out: Option<PathBuf>) -> Result<Self, Error> {
        let text = fs::read_to_string(path).map_err(Error::io("read", path))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::validate(Source { name: path.display().to_string(), text, folder }, out)
    }

    /// A study that is built in; see [`read`](Self::read).
    pub fn builtin(name: &str, out: Option<PathBuf>) -> Result<Self, Error> {
        let text = crate::builtin(name)?.to_string();
        Self::validate(Source { name: format!("{name} (built in)"), text, folder: Default::default() }, out)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its output folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    fn validate(source: Source, out: Option<PathBuf>) -> Result<Self, Error> {
        let file = source.parse()?;
        let name = check_name(&source, &file.name)?;
        let key = Key::new(file.seed);
        let tasks = read_tasks(&source, &file, key)?;
        let root = out.unwrap_or_else(|| Path::new("studies").join(&name));
        let Text { corpus, vocabulary, held_out } = match &file.corpus {
            Some(spec) => text_files(&source, spec, &file, &Store::open(&root, &name)?)?,
            None => mix(&source, &file, &tasks, key)?,
        };
        if let (Some(_), Some(task)) = (corpus.mask(), tasks.first()) {
            let help = "take the task out, or train with `objective = \"next-token\"`";
            let message = "a masked model fills gaps in a text and can answer no task";
            return Err(source.error(message, Some(task.span.clone()), help));
        }
        let asked = tasks.into_iter().flat_map(|task| task.sets).map(SetPlan::from);
        let sets = held_out.into_iter().chain(asked).filter(|plan| !plan.set.questions.is_empty());
        let sets: Vec<SetPlan> = sets.collect();
        let context = file.train.get_ref().context;
        let subject = looks::Subject { sets: &sets, corpus: corpus.as_ref(), context };
        let looks = looks::plan(&source, &file.looks, &subject)?;
        let models = read_ladders(&source, &file, corpus.as_ref())?;
        let analysis = &file.analysis;
        if !(0.0..1.0).contains(&analysis.delta) || !(20..=100_000).contains(&analysis.resamples) {
            let message = format!("delta {} or resamples {} makes no sense", analysis.delta, analysis.resamples);
            let at = source.text.find("[analysis]").map(|at| at..at + 10);
            return Err(source.error(message, at, "write a delta from 0 to below 1 and 20 to 100,000 resamples"));
        }
        let (delta, resamples) = (analysis.delta, analysis.resamples);
        Ok(Study { name, source, key, root, corpus, vocabulary, models, sets, looks, delta, resamples })
    }
}

/// The name becomes a folder.
fn check_name(source: &Source, name: &Spanned<String>) -> Result<String, Error> {
    let text = name.get_ref();
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.is_empty() || text.len() > 64 || !text.chars().all(fine) {
        let message = format!("the name {text:?} can't be that of a folder");
        return Err(source.error(message, Some(name.span()), "use letters, digits, `-` and `_`, at most 64 of them"));
    }
    Ok(text.clone())
}

/// A validated `[[task]]`.
struct TaskPlan {
    /// Its part of the mix.
    trained: Option<Component>,
    sets: Vec<QuestionSet>,
    span: Range<usize>,
}

/// The keys of a `[[task]]` that its family does not know.
#[derive(Deserialize)]
struct TaskCommon {
    weight: Option<f64>,
    items: usize,
    file: Option<std::path::PathBuf>,
    #[serde(default)]
    shots: Vec<u32>,
}

fn read_tasks(source: &Source, file: &StudyFile, key: Key) -> Result<Vec<TaskPlan>, Error> {
    let tasks: Vec<_> = file.tasks.iter().map(|table| read_task(source, table, key)).collect::<Result<_, _>>()?;
    for (i, task) in tasks.iter().enumerate() {
        let names = |t: &TaskPlan| {
            t.sets.iter().map(|s| (s.family.clone(), s.task.clone(), s.style, s.shots)).collect::<Vec<_>>()
        };
        let mine = names(task);
        if tasks[..i].iter().flat_map(names).any(|name| mine.contains(&name)) {
            let help = "remove one of them, or give the files different names";
            return Err(source.error("this task asks the same as one above", Some(task.span.clone()), help));
        }
    }
    Ok(tasks)
}

fn read_task(source: &Source, table: &Spanned<toml::Table>, key: Key) -> Result<TaskPlan, Error> {
    let span = table.span();
    let mut rest = table.get_ref().clone();
    let mut common = toml::Table::new();
    for name in TASK_KEYS.iter().filter(|n| **n != "family") {
        if let Some(value) = rest.remove(*name) {
            common.insert(name.to_string(), value);
        }
    }
    let common: TaskCommon =
        common.try_into().map_err(|e: toml::de::Error| source.table_error(e.message(), span.clone(), &[]))?;
    if let Some(weight) = common.weight.filter(|w| !(w.is_finite() && *w >= 0.0)) {
        return Err(source.table_error(&format!("`weight` is {weight}: write a number of at least 0"), span, &[]));
    }
    let (sets, trained);
    match &common.file {
        Some(path) => {
            if let Some(unknown) = rest.keys().next() {
                let message = format!(
                    "unknown field `{unknown}` of a task from a file, expected one of `file`, `items`, `shots`"
                );
                return Err(source.table_error(&message, span, &[]));
            }
            let read = TaskFile::read(&source.folder.join(path))
                .map_err(|e| source.table_error(&e.to_string(), span.clone(), &[]))?;
            let shots = if common.shots.is_empty() { vec![0] } else { common.shots };
            sets = read
                .questions(&shots, common.items, key.child("questions"))
                .map_err(|e| source.table_error(&e.to_string(), span.clone(), &[]))?;
            trained = None;
        }
        None => {
            let family: Family = rest
                .try_into()
                .map_err(|e: toml::de::Error| source.table_error(e.message(), span.clone(), &TASK_KEYS))?;
            let generator = family
                .generator(key.child("world"))
                .map_err(|e| source.table_error(&e.to_string(), span.clone(), &[]))?;
            sets =
                if common.items == 0 { Vec::new() } else { generator.questions(common.items, key.child("questions")) };
            trained = common.weight.filter(|w| *w > 0.0).map(|weight| Component { weight, family });
        }
    }
    Ok(TaskPlan { trained, sets, span })
}

/// What the models are trained on.
struct Text {
    corpus: Arc<dyn Corpus>,
    vocabulary: Arc<Vocabulary>,
    /// Held-out text, where the corpus is the user's.
    held_out: Option<SetPlan>,
}

/// The mix of all tasks that have a weight.
fn mix(source: &Source, file: &StudyFile, tasks: &[TaskPlan], key: Key) -> Result<Text, Error> {
    let trained: Vec<_> = tasks.iter().filter_map(|t| t.trained.clone()).collect();
    if trained.is_empty() {
        let help = "give at least one generated [[task]] a `weight` above 0, or add a [corpus] with text files";
        return Err(source.error("there is nothing to train on", None, help));
    }
    let context = file.train.get_ref().context;
    let mix = Mix::new(&trained, context, key.child("world"))
        .map_err(|e| place_train(source, file, "context", &e.to_string()))?;
    Ok(Text { corpus: Arc::new(mix), vocabulary: Arc::new(Vocabulary::Char), held_out: None })
}

/// The user's text files, tokenised once into the study's folder.
fn text_files(source: &Source, spec: &Spanned<CorpusSpec>, file: &StudyFile, store: &Store) -> Result<Text, Error> {
    let place = |e: saltus_corpus::Error| source.table_error(&e.to_string(), spec.span(), &[]);
    let written = spec.get_ref();
    let text = TextSource {
        files: written.files.iter().map(|path| source.folder.join(path)).collect(),
        tokenizer: match &written.tokenizer {
            TokenizerSource::File(path) => TokenizerSource::File(source.folder.join(path)),
            other => other.clone(),
        },
        held_out: written.held_out,
    };
    let files = TextFiles::open(&text, file.train.get_ref().context, &store.corpus()).map_err(place)?;
    match written.objective {
        Objective::NextToken => {
            let held_out = files.held_out(written.items).map_err(place)?.into();
            let vocabulary = files.vocabulary();
            Ok(Text { corpus: Arc::new(files), vocabulary, held_out: Some(held_out) })
        }
        Objective::Masked => {
            let masked = Masked::new(files).map_err(place)?;
            let key = Key::new(file.seed).child("held-out masks");
            let held_out = masked.held_out(written.items, key).map_err(place)?.into();
            let vocabulary = masked.vocabulary();
            Ok(Text { corpus: Arc::new(masked), vocabulary, held_out: Some(held_out) })
        }
    }
}

fn read_ladders(source: &Source, file: &StudyFile, corpus: &dyn Corpus) -> Result<Vec<ModelPlan>, Error> {
    if file.ladders.is_empty() {
        let help = "add a [[ladder]] with a name, sizes and seeds; `saltus new` writes an example";
        return Err(source.error("the study has no ladder of models", None, help));
    }
    let identity = corpus.identity();
    let vocabulary = corpus.tokenizer().vocabulary();
    let mut models: Vec<ModelPlan> = Vec::new();
    for ladder in &file.ladders {
        let spec = ladder.get_ref();
        if models.iter().any(|m| m.rung.ladder == spec.name) {
            let message = format!("two ladders are called {:?}", spec.name);
            return Err(source.error(message, Some(ladder.span()), "give each ladder a name of its own"));
        }
        let rungs = to_ladder(source, file, ladder, corpus.mask().is_none())?
            .rungs(vocabulary)
            .map_err(|invalid| place_invalid(source, file, ladder, &invalid))?;
        models.extend(rungs.into_iter().map(|rung| ModelPlan {
            key: rung.key(&identity),
            rung,
            control: spec.control,
        }));
    }
    Ok(models)
}

fn to_ladder(source: &Source, file: &StudyFile, ladder: &Spanned<LadderSpec>, causal: bool) -> Result<Ladder, Error> {
    let (model, train, spec) = (file.model.get_ref(), file.train.get_ref(), ladder.get_ref());
    let sizes = spec.sizes.iter().map(|size| to_size(source, size)).collect::<Result<_, _>>()?;
    Ok(Ladder {
        name: spec.name.clone(),
        sizes,
        seeds: spec.seeds.clone(),
        shape: Shape {
            aspect: model.aspect,
            head_dim: model.head_dim,
            queries_per_kv: model.queries_per_kv,
            rope_base: model.rope_base,
            norm_eps: 1e-5,
            tied_embedding: model.tied_embedding,
            causal,
        },
        context: train.context,
        batch: match train.rows {
            Rows::Fixed(rows) => Batch::Rows(rows),
            Rows::Compute { rows, flops } => Batch::Compute { rows, flops },
        },
        budget: budget(source, file, train)?,
        learning_rate: match train.learning_rate {
            Rate::AtWidth64(rate) => PeakRate::AtWidth64(rate),
            Rate::Fixed { fixed } => PeakRate::Fixed(fixed),
        },
        warmup: train.warmup,
        final_rate: train.final_rate,
        optimiser: Optimiser {
            beta1: train.betas[0],
            beta2: train.betas[1],
            eps: 1e-8,
            weight_decay: train.weight_decay,
            clip: train.clip,
        },
        early_stop: train.early_stop,
        checkpoints: train.checkpoints,
        initial_checkpoint: false,
    })
}

fn budget(source: &Source, file: &StudyFile, train: &TrainSpec) -> Result<Budget, Error> {
    match (train.tokens, train.tokens_per_parameter) {
        (Some(tokens), None) => Ok(Budget::Tokens(tokens)),
        (None, Some(ratio)) => Ok(Budget::TokensPerParameter(ratio)),
        _ => {
            Err(place_train(source, file, "tokens", "write either `tokens` or `tokens_per_parameter`, one of the two"))
        }
    }
}

fn to_size(source: &Source, size: &Spanned<Size>) -> Result<saltus_train::Size, Error> {
    match size.get_ref() {
        Size::Params(params) => Ok(saltus_train::Size::Params(*params)),
        Size::Shape(text) => {
            let shape = text.split_once('x').and_then(|(w, l)| Some((w.trim().parse().ok()?, l.trim().parse().ok()?)));
            let help = "write WIDTHxLAYERS, for example \"48x2\", or a number of non-embedding parameters";
            shape
                .map(|(width, layers)| saltus_train::Size::Shape { width, layers })
                .ok_or_else(|| source.error(format!("{text:?} is no size"), Some(size.span()), help))
        }
    }
}

/// An error about a key of `[train]`.
fn place_train(source: &Source, file: &StudyFile, key: &str, message: &str) -> Error {
    source.table_error(&format!("`{key}`: {message}"), file.train.span(), &[])
}

/// Puts a ladder's error where its key is written.
fn place_invalid(source: &Source, file: &StudyFile, ladder: &Spanned<LadderSpec>, invalid: &Invalid) -> Error {
    let (key, span) = match invalid.field {
        "sizes" | "seeds" => (invalid.field, ladder.span()),
        "shape" => ("queries_per_kv", file.model.span()),
        "batch" => ("rows", file.train.span()),
        "budget" => ("tokens", file.train.span()),
        "optimiser" => ("betas", file.train.span()),
        field => (field, file.train.span()),
    };
    let at = source.key_in(key, span.clone()).unwrap_or(span);
    source.error(format!("ladder {:?}: {}", invalid.ladder, invalid.problem), Some(at), invalid.remedy.clone())
}
