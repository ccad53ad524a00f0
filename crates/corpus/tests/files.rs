//! Text files: the split, the windows, the cache, and what is said of files that are none.
#![allow(clippy::unwrap_used)]

use saltus_corpus::{Batch, Corpus, Error, TextFiles, TextSource, TokenizerSource, Vocabulary};
use saltus_random::Key;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// Text in which every line is different; some characters take several bytes.
fn text(lines: std::ops::Range<u32>) -> String {
    let line = |i| format!("Line {i}, naïve as it is — {} times 語 — says {}.\n", i * i % 97, i * 7919 % 10_007);
    lines.map(line).collect()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        std::fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    fn source(&self, tokenizer: TokenizerSource) -> TextSource {
        let files = vec![self.write("a.txt", text(0..2000)), self.write("b.txt", text(2000..3000))];
        TextSource { files, tokenizer, held_out: 0.1 }
    }

    fn open(&self, source: &TextSource, context: usize) -> Result<TextFiles, Error> {
        TextFiles::open(source, context, &self.path("cache"))
    }
}

fn batch(corpus: &TextFiles, seed: u64, step: u64, rows: usize) -> Batch {
    let mut batch = Batch::default();
    corpus.batch(Key::new(seed), step, rows, &mut batch);
    batch
}

#[test]
fn an_epoch_is_all_training_text_once() {
    let folder = Folder::new();
    let corpus = folder.open(&folder.source(TokenizerSource::Byte), 64).unwrap();
    let tokens = corpus.unique_tokens().unwrap() as usize;
    let total = text(0..3000).len();
    let share = 1.0 - tokens as f64 / total as f64;
    assert!((0.03..0.2).contains(&share), "{share}");
    let windows = (tokens - 1) / 64;
    let epoch = |n: usize| -> Vec<Vec<u32>> {
        (n * windows..(n + 1) * windows).map(|i| batch(&corpus, 1, i as u64, 1).tokens).collect()
    };
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    let sorted = |mut windows: Vec<Vec<u32>>| {
        windows.sort_unstable();
        windows
    };
    let first = sorted(first);
    assert_eq!(first.iter().collect::<HashSet<_>>().len(), windows);
    assert_eq!(first, sorted(second));
    // Every line of training text but those that a window's or the split's edge cuts is there, and no held-out line is.
    let all: String = first.iter().map(|w| corpus.tokenizer().decode(w)).collect::<Vec<_>>().join("\u{1}");
    let held_out = corpus.held_out(100_000).unwrap();
    assert!(held_out.questions.len() > 100);
    for question in &held_out.questions {
        let window = question.prompt.to_string() + &question.candidates[0].text;
        assert!(window.chars().count() < 12 || !all.contains(&window), "{window}");
    }
}

#[test]
fn a_batch_depends_on_its_arguments_alone_and_survives_reopening() {
    let folder = Folder::new();
    let source = folder.source(TokenizerSource::Bpe(400));
    let corpus = folder.open(&source, 32).unwrap();
    let whole = batch(&corpus, 3, 2, 8);
    assert_eq!(whole.tokens[1..32], whole.targets[..31]);
    let one_by_one: Vec<u32> = (16..24).flat_map(|step| batch(&corpus, 3, step, 1).tokens).collect();
    assert_eq!(whole.tokens, one_by_one);
    assert_ne!(whole.tokens, batch(&corpus, 4, 2, 8).tokens);
    let again = folder.open(&source, 32).unwrap();
    assert_eq!(whole, batch(&again, 3, 2, 8));
    assert_eq!((corpus.identity(), corpus.held_out(50)), (again.identity(), again.held_out(50)));
    assert_eq!(std::fs::read_dir(folder.path("cache")).unwrap().count(), 1);
    // Made from nothing elsewhere, it is the same.
    let elsewhere = TextFiles::open(&source, 32, &folder.path("other")).unwrap();
    assert_eq!((corpus.identity(), &whole), (elsewhere.identity(), &batch(&elsewhere, 3, 2, 8)));
}

#[test]
fn the_identity_is_that_of_the_content() {
    let folder = Folder::new();
    let source = folder.source(TokenizerSource::Byte);
    let mut seen = HashMap::new();
    let mut add = |name: &str, source: &TextSource, context| {
        let corpus = folder.open(source, context).unwrap();
        assert_eq!(seen.insert(corpus.identity(), name.to_owned()), None);
    };
    add("plain", &source, 32);
    add("context", &source, 33);
    add("tokenizer", &TextSource { tokenizer: TokenizerSource::Bpe(300), ..source.clone() }, 32);
    add("held out", &TextSource { held_out: 0.2, ..source.clone() }, 32);
    folder.write("b.txt", text(2000..3001));
    add("content", &source, 32);
    // Another name for the same content is nothing new.
    folder.write("c.txt", text(2000..3001));
    let renamed = TextSource { files: vec![folder.path("a.txt"), folder.path("c.txt")], ..source };
    assert_eq!(seen[&folder.open(&renamed, 32).unwrap().identity()], "content");
}

/// Encoded together or apart, prompt and rest are the same tokens, and they fit the context.
#[test]
fn held_out_windows_come_back_token_for_token() {
    let folder = Folder::new();
    let given = Folder::new();
    let lines: Vec<String> = text(0..300).lines().map(str::to_owned).collect();
    Vocabulary::train(lines.into_iter(), 500).unwrap().save(given.0.path()).unwrap();
    for tokenizer in
        [TokenizerSource::Byte, TokenizerSource::Bpe(350), TokenizerSource::File(given.path("tokenizer.json"))]
    {
        let corpus = folder.open(&folder.source(tokenizer), 48).unwrap();
        let set = corpus.held_out(60).unwrap();
        assert_eq!((set.family.as_str(), set.task.as_str(), set.questions.len()), ("text", "held-out", 60));
        let encode = |text: &str| corpus.tokenizer().encode(text).unwrap();
        let mut lengths = Vec::new();
        for question in &set.questions {
            let (prompt, rest) = (&question.prompt, &question.candidates[0].text);
            let together = encode(&format!("{prompt}{rest}"));
            assert_eq!([encode(prompt), encode(rest)].concat(), together);
            assert!(!prompt.is_empty() && !rest.is_empty() && together.len() <= 48);
            lengths.push(together.len());
        }
        // Nearly all windows are full; the last of a chunk is what is left.
        assert!(lengths.iter().filter(|&&n| n >= 44).count() > 54, "{lengths:?}");
    }
}

/// Each message, with the folder's name taken out.
fn messages(folder: &Folder, cases: &[(&str, TextSource, usize)]) -> String {
    let one = |(name, source, context): &(&str, TextSource, usize)| {
        let error = folder.open(source, *context).unwrap_err().to_string();
        format!("{name}: {}", error.replace(&format!("{}/", folder.0.path().display()), ""))
    };
    cases.iter().map(one).collect::<Vec<_>>().join("\n")
}

#[test]
fn broken_files() {
    let folder = Folder::new();
    let source = folder.source(TokenizerSource::Byte);
    let with = |name: &str, content: &[u8]| {
        let files = vec![folder.path("a.txt"), folder.write(name, content)];
        TextSource { files, ..source.clone() }
    };
    let late = [text(0..500).as_bytes(), b"caf\xe9 au lait"].concat();
    let cut = [text(0..500).as_bytes(), b"caf\xc3"].concat();
    let binary = [text(0..500).as_bytes(), b"\x7fELF\0\0"].concat();
    let files = |paths: &[&str]| paths.iter().map(|p| folder.path(p)).collect::<Vec<_>>();
    folder.write("short.txt", "Too short.\n");
    let tokenizer = |t| TextSource { tokenizer: t, ..source.clone() };
    let cases = [
        ("empty", with("empty.txt", b""), 64),
        ("latin-1", with("latin.txt", &late), 64),
        ("cut", with("cut.txt", &cut), 64),
        ("binary", with("program", &binary), 64),
        ("missing", TextSource { files: files(&["a.txt", "no.txt"]), ..source.clone() }, 64),
        ("folder", TextSource { files: files(&["."]), ..source.clone() }, 64),
        ("none", TextSource { files: vec![], ..source.clone() }, 64),
        ("short", TextSource { files: files(&["short.txt"]), ..source.clone() }, 64),
        ("long rows", TextSource { files: files(&["b.txt"]), ..source.clone() }, 65_536),
        ("no split", TextSource { held_out: 0.0, ..source.clone() }, 64),
        ("context", source.clone(), 1),
        ("small bpe", tokenizer(TokenizerSource::Bpe(100)), 64),
        ("no tokenizer", tokenizer(TokenizerSource::File(folder.path("no.json"))), 64),
        ("text for a tokenizer", tokenizer(TokenizerSource::File(folder.path("a.txt"))), 64),
    ];
    insta::assert_snapshot!(messages(&folder, &cases), @r#"
    empty: empty.txt: an empty file: leave it out, or put text into it
    latin-1: latin.txt, byte 28756: not UTF-8 text: convert the file to UTF-8, with `iconv` for example
    cut: cut.txt, byte 28756: not UTF-8 text: convert the file to UTF-8, with `iconv` for example
    binary: program, byte 28757: a zero byte: this is a binary file: give text files (unpack archives first)
    missing: no.txt: cannot read it (No such file or directory (os error 2)): check the path and the file's permissions
    folder: .: a folder: list the text files in it
    none: files: an empty list: list at least one text file
    short: files: too little text to hold any of it out: give text files of 10 kB or more in all
    long rows: files: 54685 training tokens, not one row of 65536: give more text, or a shorter context
    no split: held_out: 0 of the text: write a share above 0 and up to 0.5, such as 0.05
    context: context: 1 tokens: write a number from 2 to 65536
    small bpe: tokenizer.bpe: 100 tokens: write a number from 257 to 1000000: 256 bytes and the merged pairs
    no tokenizer: no.json: cannot read it (No such file or directory (os error 2)): check the path and the file's permissions
    text for a tokenizer: a.txt: not a tokenizer (expected value at line 1 column 1): give a tokenizer.json as Hugging Face's `tokenizers` writes it
    "#);
}

#[test]
fn a_cache_that_is_damaged_or_cannot_be_made() {
    let folder = Folder::new();
    let source = folder.source(TokenizerSource::Byte);
    folder.open(&source, 64).unwrap();
    let cached = std::fs::read_dir(folder.path("cache")).unwrap().next().unwrap().unwrap().path();
    let name = cached.file_name().unwrap().to_str().unwrap().to_owned();
    std::fs::write(cached.join("tokens.bin"), "abc").unwrap();
    let damaged = messages(&folder, &[("tokens", source.clone(), 64)]).replace(&name, "KEY");
    std::fs::write(cached.join("contents.json"), "{").unwrap();
    let broken = messages(&folder, &[("contents", source.clone(), 64)]).replace(&name, "KEY");
    let cache: &Path = &folder.path("a.txt");
    let error = TextFiles::open(&source, 64, cache).unwrap_err().to_string();
    assert!(error.ends_with("check the folder's permissions and the free space on its disk"), "{error}");
    insta::assert_snapshot!([damaged, broken].join("\n"), @r#"
    tokens: cache/KEY/tokens.bin: a damaged cache of tokens (3 bytes for 162947 tokens): delete the folder that it is in; it will be made again
    contents: cache/KEY/contents.json: a damaged cache of tokens (EOF while parsing an object at line 1 column 1): delete the folder that it is in; it will be made again
    "#);
}
