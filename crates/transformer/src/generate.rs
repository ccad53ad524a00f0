//! Generation: requests of any lengths side by side, each beginning when another has ended.

use crate::{Cache, Chunk, Model, NoTaps, Sequence};
use rand::RngExt;
use saltus_lm::{End, GenerateRequest, Generation, Sampling, TokenId, Tokenizer};
use saltus_random::Key;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, Ordering},
};

/// Requests answered side by side.
const SIDE_BY_SIDE: usize = 64;

/// Tokens read in one pass: what is prefilled waits in pieces of this, so that activations stay small.
const AT_ONCE: usize = 512;

/// A shared beginning that is worth waiting for, in tokens.
const WORTH_WAITING: usize = 32;

/// Pages that a reader may need beyond those of its tokens: copies of a page shared before it, and behind it.
const COPIES: usize = 2;

/// One request at work.
struct Reader<'a> {
    number: usize,
    request: &'a GenerateRequest,
    sequence: Sequence,
    /// Tokens of the context, then of the answer, that have been read.
    read: usize,
    tokens: Vec<TokenId>,
    /// Pages that it may still need.
    reserved: usize,
}

impl Reader<'_> {
    /// The tokens that it has not read: the rest of the context, or the last token said.
    fn unread(&self) -> &[TokenId] {
        let context = &self.request.context;
        if self.read < context.len() { &context[self.read..] } else { &self.tokens[self.read - context.len()..] }
    }
}

/// Threads of the pool that wait awake.
const MOST_AWAKE: usize = 16;

/// Runs `work` on the pool, whose other threads wait awake for their shares of it: between the products of a token they
/// would fall asleep, and waking takes about as long as a share. Other programs go first.
pub(crate) fn awake<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    let wait = || {
        while !done.load(Ordering::Relaxed) {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                std::thread::yield_now();
            }
        }
    };
    rayon::scope(|scope| {
        // Also if the work panics, nobody waits any longer.
        let _done = Done(&done);
        for _ in 1..rayon::current_num_threads().min(MOST_AWAKE) {
            scope.spawn(|_| wait());
        }
        work()
    })
}

/// Answers in the order of the requests, or none if logits are no numbers; each request fits the context. `memory`: bytes for keys and values, if it suffices
/// for the longest request.
pub(crate) fn generate(
    model: &Model,
    tokenizer: &dyn Tokenizer,
    requests: &[GenerateRequest],
    memory: usize,
) -> Option<Vec<Generation>> {
    let pages = |request: &GenerateRequest| Cache::pages_of(request.context.len() + request.max_tokens) + COPIES;
    let mut longest: Vec<usize> = requests.iter().map(pages).collect();
    longest.sort_unstable_by(|a, b| b.cmp(a));
    let most: usize = longest.iter().take(SIDE_BY_SIDE).sum();
    let affordable = (memory / Cache::page_bytes(&model.config)).max(longest.first().copied().unwrap_or(0));
    let mut cache = Cache::new(&model.config, most.min(affordable));

    let mut answers: Vec<Option<Generation>> = requests.iter().map(|_| None).collect();
    // Those with a common beginning stand side by side: each goes on from what the one before it has read.
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by(|a, b| requests[*a].context.cmp(&requests[*b].context));
    let mut waiting = VecDeque::from(order);
    let mut readers: Vec<Reader<'_>> = Vec::new();
    let mut last = Last::default();
    loop {
        while let Some(number) = waiting.front().copied() {
            let request = &requests[number];
            if request.max_tokens == 0 {
                answers[number] = Some(finished(tokenizer, Vec::new(), End::Length));
                waiting.pop_front();
                continue;
            }
            let reserved: usize = readers.iter().map(|r| r.reserved - Cache::pages_of(r.sequence.length())).sum();
            if pages(request) + reserved > cache.free_pages() && readers.is_empty() {
                last.forget(&mut cache);
            }
            if readers.len() == SIDE_BY_SIDE || pages(request) + reserved > cache.free_pages() {
                break;
            }
            let Some(sequence) = last.fork(request, &readers, &mut cache) else { break };
            let (read, reserved) = (sequence.length(), pages(request));
            last.forget(&mut cache);
            last.reader = Some((number, &request.context));
            readers.push(Reader { number, request, sequence, read, tokens: Vec::new(), reserved });
            waiting.pop_front();
        }
        if readers.is_empty() {
            // Every request has begun and ended: the longest one alone fits the cache.
            return Some(answers.into_iter().flatten().collect());
        }
        step(model, &mut readers, &mut cache)?;
        let mut number = 0;
        while number < readers.len() {
            let Some(end) = ended(&readers[number], tokenizer) else {
                number += 1;
                continue;
            };
            let reader = readers.swap_remove(number);
            last.keep_or_end(reader.number, reader.sequence, &mut cache);
            let mut tokens = reader.tokens;
            if end == End::Token {
                tokens.pop();
            }
            let mut answer = finished(tokenizer, tokens, end);
            if end == End::Text
                && let Some(at) = first_stop(&answer.text, &reader.request.stop_text)
            {
                answer.text.truncate(at);
            }
            answers[reader.number] = Some(answer);
        }
    }
}

/// The request that began last, whose context the next one may share.
#[derive(Default)]
struct Last<'a> {
    reader: Option<(usize, &'a [TokenId])>,
    /// What it has read, if it has ended.
    kept: Option<Sequence>,
}

impl Last<'_> {
    /// The beginning that `request` shares with it; none, if that is worth waiting for and not read yet. The last token of
    /// a context is always read, for what stands behind it.
    fn fork(&self, request: &GenerateRequest, readers: &[Reader<'_>], cache: &mut Cache) -> Option<Sequence> {
        let Some((number, context)) = self.reader else { return Some(cache.begin()) };
        let shared = context.iter().zip(&request.context).take_while(|(a, b)| a == b).count();
        let shared = shared.min(request.context.len() - 1);
        let reader = readers.iter().find(|reader| reader.number == number).map(|reader| &reader.sequence);
        let Some(sequence) = reader.or(self.kept.as_ref()) else { return Some(cache.begin()) };
        let there = shared.min(sequence.length());
        if shared >= there + WORTH_WAITING {
            return None;
        }
        let mut fork = cache.fork(sequence);
        cache.truncate(&mut fork, there);
        Some(fork)
    }

    fn forget(&mut self, cache: &mut Cache) {
        if let Some(kept) = self.kept.take() {
            cache.end(kept);
        }
    }

    /// A reader has ended: if it was the last to begin, what it has read is kept.
    fn keep_or_end(&mut self, number: usize, sequence: Sequence, cache: &mut Cache) {
        if self.reader.is_some_and(|(last, _)| last == number) {
            self.kept = Some(sequence);
        } else {
            cache.end(sequence);
        }
    }
}

fn finished(tokenizer: &dyn Tokenizer, tokens: Vec<TokenId>, end: End) -> Generation {
    Generation { text: tokenizer.decode(&tokens), tokens, end }
}

/// Where the first of the stop texts begins.
fn first_stop(text: &str, stops: &[String]) -> Option<usize> {
    stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min()
}

/// Whether the answer ends with what was said last.
fn ended(reader: &Reader<'_>, tokenizer: &dyn Tokenizer) -> Option<End> {
    let last = reader.tokens.last()?;
    if reader.request.stop.contains(last) {
        return Some(End::Token);
    }
    if !reader.request.stop_text.is_empty()
        && first_stop(&tokenizer.decode(&reader.tokens), &reader.request.stop_text).is_some()
    {
        return Some(End::Text);
    }
    (reader.tokens.len() >= reader.request.max_tokens).then_some(End::Length)
}

/// Reads what is unread, at most [`AT_ONCE`] tokens, and says one token for each reader that has read everything. None
/// if logits are no numbers.
fn step(model: &Model, readers: &mut [Reader<'_>], cache: &mut Cache) -> Option<()> {
    let mut room = AT_ONCE;
    let mut said = Vec::new();
    let mut chunks = Vec::new();
    for reader in readers.iter_mut() {
        let unread = reader.unread().len();
        let now = unread.min(room);
        if now == 0 {
            break;
        }
        room -= now;
        let from = reader.read;
        reader.read += now;
        let context = &reader.request.context;
        let tokens = match from < context.len() {
            true => &context[from..from + now],
            false => &reader.tokens[from - context.len()..][..now],
        };
        let whole = now == unread;
        chunks.push(Chunk {
            sequence: &mut reader.sequence,
            tokens,
            wanted: if whole { now - 1..now } else { 0..0 },
            second: now,
        });
        said.push(whole);
    }
    let Some(hidden) = model.forward(&mut chunks, cache, &mut NoTaps) else {
        unreachable!("pages were reserved for every reader")
    };
    drop(chunks);
    if hidden.wanted() == 0 {
        return Some(());
    }
    let talkers = readers.iter_mut().zip(said).filter(|(_, said)| *said).map(|(reader, _)| reader);
    let talkers: Vec<&mut Reader<'_>> = talkers.collect();
    let random = |reader: &&mut Reader<'_>| matches!(reader.request.sampling, Sampling::Random { .. });
    let any = |wanted: bool| talkers.iter().any(|reader| random(reader) == wanted);
    let logits = if any(true) { model.logits(&hidden, 0..hidden.wanted()) } else { Vec::new() };
    let behind: Vec<(usize, TokenId)> = (0..hidden.wanted()).map(|column| (column, 0)).collect();
    let greedy = if any(false) { model.predictions(&hidden, &behind) } else { Vec::new() };
    let columns = hidden.wanted().next_multiple_of(saltus_compute::BLOCK);
    for (column, reader) in talkers.into_iter().enumerate() {
        let token = match reader.request.sampling {
            Sampling::Greedy => Some(greedy[column]).filter(|said| said.logprob.is_finite())?.argmax,
            sampling => sample(&logits, columns, column, sampling, reader.tokens.len())?,
        };
        reader.tokens.push(token);
    }
    Some(())
}

/// A token chosen at random, if that is wanted and logits are numbers; `position`: how many were chosen before.
fn sample(logits: &[f32], columns: usize, column: usize, sampling: Sampling, position: usize) -> Option<TokenId> {
    let Sampling::Random { temperature, top_k, top_p, seed } = sampling else { return None };
    let logits = logits.iter().skip(column).step_by(columns);
    let mut tokens: Vec<(TokenId, f64)> = (0..).zip(logits.map(|x| f64::from(*x) / f64::from(temperature))).collect();
    if tokens.iter().any(|(_, logit)| !logit.is_finite()) {
        return None;
    }
    tokens.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    if top_k > 0 {
        tokens.truncate(top_k);
    }
    let most = tokens.first()?.1;
    tokens.iter_mut().for_each(|(_, x)| *x = (*x - most).exp());
    let total: f64 = tokens.iter().map(|(_, p)| p).sum();
    let mut considered = 0.0;
    let kept = tokens.iter().take_while(|(_, p)| {
        let more = considered < f64::from(top_p) * total;
        considered += if more { *p } else { 0.0 };
        more
    });
    let kept = kept.count().max(1);
    let mut at = Key::new(seed).index(position as u64).rng().random::<f64>() * considered;
    let hit = tokens[..kept].iter().find(|(_, p)| {
        at -= p;
        at < 0.0
    });
    Some(hit.unwrap_or(&tokens[kept - 1]).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, Weights, config::tests::small};
    use proptest::prelude::*;
    use saltus_lm::NoText;

    #[test]
    fn chance_is_that_of_the_probabilities() {
        let probabilities = [0.5f32, 0.3, 0.15, 0.05];
        let logits: Vec<f32> = probabilities.iter().map(|p| p.ln()).collect();
        let shares = |temperature: f32, top_k: usize, top_p: f32| {
            let mut counts = [0.0f64; 4];
            for seed in 0..20_000 {
                let sampling = Sampling::Random { temperature, top_k, top_p, seed };
                counts[sample(&logits, 1, 0, sampling, 3).unwrap() as usize] += 1.0 / 20_000.0;
            }
            counts
        };
        let check = |is: [f64; 4], should: [f64; 4]| {
            // Five standard errors.
            assert!(
                is.iter().zip(should).all(|(a, b)| (a - b).abs() <= 5.0 * (b * (1.0 - b) / 20_000.0).sqrt()),
                "{is:?}"
            );
        };
        check(shares(1.0, 0, 1.0), [0.5, 0.3, 0.15, 0.05]);
        check(shares(1.0, 2, 1.0), [0.625, 0.375, 0.0, 0.0]);
        check(shares(1.0, 0, 0.7), [0.625, 0.375, 0.0, 0.0]);
        check(shares(1.0, 0, 0.81), [0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0.0]);
        let squares = [0.25, 0.09, 0.0225, 0.0025].map(|p| p / 0.365);
        check(shares(0.5, 0, 1.0), squares);
        assert_eq!(shares(0.01, 0, 1.0), shares(1.0, 1, 1.0));
    }

    #[test]
    fn nobody_waits_for_work_that_panics() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let ended = pool.install(|| std::panic::catch_unwind(|| awake(|| assert_eq!(1 + 1, 3))));
        assert!(ended.is_err());
        assert_eq!(pool.install(|| awake(|| rayon::join(|| 1, || 2))), (1, 2));
    }

    proptest! {
        /// Whatever is shared, and however little memory there is: as if each request were alone.
        #[test]
        fn shared_beginnings_change_no_answer(
            requests in proptest::collection::vec((0usize..3, 0usize..60, 1usize..5, 0usize..8), 1..30),
            memory in 0usize..40,
        ) {
            let config = Config { context: 100, ..small(false) };
            let model: Model = Weights::init(&config, Key::new(7)).into();
            let request = |(kind, shared, own, max_tokens): &(usize, usize, usize, usize)| GenerateRequest {
                context: (0..*shared).map(|i| ((i * i + kind) % 11) as TokenId).chain((0..*own as TokenId).map(|i| i % 11)).collect(),
                max_tokens: *max_tokens,
                stop: vec![3],
                stop_text: Vec::new(),
                sampling: Sampling::Greedy,
            };
            let requests: Vec<GenerateRequest> = requests.iter().map(request).collect();
            let text = NoText { vocabulary: 11 };
            let together = generate(&model, &text, &requests, memory * Cache::page_bytes(&config)).unwrap();
            for (request, answer) in requests.iter().zip(&together) {
                prop_assert_eq!(&generate(&model, &text, std::slice::from_ref(request), 1 << 20).unwrap()[0], answer);
            }
        }

        #[test]
        fn the_first_stop_counts(text in "[abc]{0,12}", stops in proptest::collection::vec("[abc]{0,3}", 0..4)) {
            let at = first_stop(&text, &stops);
            let expected = (0..text.len()).find(|i| stops.iter().any(|s| !s.is_empty() && text[*i..].starts_with(s.as_str())));
            prop_assert_eq!(at, expected);
        }
    }
}
