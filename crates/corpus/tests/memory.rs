//! A huge text file is read in pieces: its tokens go to the disk, and memory does not grow with it.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use saltus_corpus::{Batch, Corpus, TextFiles, TextSource, TokenizerSource};
use saltus_random::Key;
use std::{
    fs::{self, File},
    io::{BufWriter, Write},
};

const SIZE: u64 = 64 << 20;

/// The most memory that this process has had, in bytes.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

#[test]
fn memory_does_not_grow_with_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("huge.txt");
    let mut file = BufWriter::new(File::create(&path).unwrap());
    // One endless line, the worst case for a reader by lines.
    (0..SIZE / 8).for_each(|i| write!(file, "{:07x} ", i * 0x9e_3779 % (1 << 28)).unwrap());
    file.flush().unwrap();
    let source = TextSource { files: vec![path], tokenizer: TokenizerSource::Byte, held_out: 0.05 };
    let before = peak();
    let text = TextFiles::open(&source, 64, &folder.path().join("cache")).unwrap();
    assert!(text.unique_tokens().unwrap() > SIZE * 9 / 10);
    let mut batch = Batch::default();
    text.batch(Key::new(1), 0, 16, &mut batch);
    assert!(!text.held_out(100).unwrap().questions.is_empty());
    let grown = peak() - before;
    assert!(grown < SIZE / 2, "{} MiB for {} MiB of text", grown >> 20, SIZE >> 20);
    println!("{} MiB of memory for {} MiB of text", grown >> 20, SIZE >> 20);
}
