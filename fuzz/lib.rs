//! What the fuzz targets share: a place for the input as a file, a limit on memory, and use of all that was opened.

use saltus_checkpoint::{Checkpoint, Description, FileTokenizer};
use saltus_lm::Tokenizer;
use saltus_task::{
    Error, ShotMode,
    lm_eval::{Shots, Task},
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    fs,
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Counts what is allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        PEAK.fetch_max(LIVE.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work`; panics if it ever holds more than `base` bytes plus `factor` times the input.
pub fn within<T>(input: &[u8], base: usize, factor: usize, work: impl FnOnce() -> T) -> T {
    let before = LIVE.load(Relaxed);
    PEAK.store(before, Relaxed);
    let result = work();
    let (most, limit) = (PEAK.load(Relaxed).saturating_sub(before), base + factor * input.len());
    assert!(most <= limit, "{most} bytes allocated for an input of {} (at most {limit})", input.len());
    result
}

/// A panic inside the `tokenizers` crate is caught and is no finding; any other ends the run. (libFuzzer's own hook
/// ends it for every panic.)
pub fn only_our_panics() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let theirs = panic.location().is_some_and(|place| place.file().contains("/registry/"));
        if !theirs {
            end(panic);
        }
    }));
}

/// The folder of this process, in memory where the system has that.
pub fn folder() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = parent.join(format!("saltus-fuzz-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for inputs");
        folder
    })
}

/// The input as a file: a new one beside, renamed over the last, as a mapped file must not be written to.
pub fn file(name: &str, input: &[u8]) -> PathBuf {
    let (path, beside) = (folder().join(name), folder().join("beside"));
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder for the input");
    fs::write(&beside, input).expect("an input written");
    fs::rename(&beside, &path).expect("an input in its place");
    path
}

/// Looks at everything in an open checkpoint.
pub fn read(checkpoint: &Checkpoint) {
    let mut sum = 0u64;
    for tensor in checkpoint.tensors() {
        assert_eq!(checkpoint.tensor(tensor.name), Some(tensor));
        let blocks = tensor.shape.iter().product::<usize>() / tensor.dtype.block_len();
        assert_eq!(tensor.bytes.len(), blocks * tensor.dtype.block_bytes());
        sum += tensor.bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>();
    }
    if let Description::Gguf(metadata) = checkpoint.description() {
        for (key, value) in metadata.iter() {
            let _ = value.to_string();
            let _ = (metadata.unsigned(key), metadata.float(key), metadata.bool(key), metadata.text(key));
            let _ = (metadata.integers(key), metadata.floats(key));
            let _ = metadata.texts(key).map(|texts| texts.map(Iterator::count));
        }
    }
    std::hint::black_box(sum);
}

/// Encodes and decodes with a tokenizer from a file.
pub fn speak(tokenizer: &FileTokenizer) {
    let _ = tokenizer.fits(7);
    let _ = (tokenizer.beginning(), tokenizer.end(), tokenizer.special("<s>"), tokenizer.identity());
    for text in ["hello he  ll\n\n\n <s> 語 e\u{301} 123", ""] {
        if let Ok(tokens) = tokenizer.encode(text) {
            assert!(tokens.iter().all(|&token| (token as usize) < tokenizer.vocabulary()));
            let _ = tokenizer.decode(&tokens);
        }
    }
    let _ = tokenizer.decode(&[0, 1, 5, u32::MAX]);
}

/// The parts of an input, which 0xff ends: no text has that byte. What is missing is empty.
pub fn parts<const N: usize>(input: &[u8]) -> [&[u8]; N] {
    let mut parts = input.splitn(N, |&byte| byte == 0xff);
    [(); N].map(|()| parts.next().unwrap_or_default())
}

/// What is said of a file names it, and can be read.
pub fn complaint(error: &Error) {
    let text = error.to_string();
    assert!(text.contains(&*folder().to_string_lossy()), "no file in: {text}");
    assert!(text.len() < 4096, "{} bytes of complaint", text.len());
}

/// Opens the data of a task and puts some questions together.
pub fn ask(input: &[u8], task: &Task) {
    // A data file may be compressed, and a row of it is made whole before it is looked at.
    let open = match within(input, 512 << 20, 2048, || task.open()) {
        Ok(open) => open,
        Err(error) => return complaint(&error),
    };
    for (count, mode) in [(0, ShotMode::Fresh), (2, ShotMode::Fresh), (2, ShotMode::Fixed)] {
        let shots = Shots { count: Some(count), mode: Some(mode), seed: 1 };
        // What a template makes has at most 1 MiB, and work on the way to it makes at most 32.
        let items = within(input, 256 << 20, 2048, || open.items(shots, Some(5)));
        match items {
            Ok(items) => assert!(items.items.len() <= 5),
            Err(error) => complaint(&error),
        }
    }
}
