//! SentencePiece's byte-pair encoding: pieces with scores, the best-scored pair of neighbours merged first.
//!
//! A text is split into characters; of all neighbours whose concatenation is a piece, the pair with the highest score is
//! merged (the leftmost on ties), until none is left. What is no piece then goes byte by byte (`<0xE4>`). This is the
//! algorithm of SentencePiece (arXiv:1808.06226), of llama.cpp's `llama` tokenizer and of llama2.c.

use crate::Error;
use aho_corasick::{AhoCorasick, MatchKind};
use saltus_lm::TokenId;
use std::{
    cmp::{Ordering, Reverse},
    collections::{BinaryHeap, HashMap},
    path::Path,
    sync::Arc,
};

/// What a piece is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Found in text by merging.
    Normal,
    /// Found in text before any merging.
    Added,
    /// Never found in text: control tokens and the unknown one.
    Special,
    /// One byte.
    Byte(u8),
}

/// One token of the vocabulary.
pub(super) struct Piece {
    pub(super) text: Arc<str>,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// How text is written in pieces.
pub(super) struct Spelling {
    /// What stands for a space: `▁`, or a space itself.
    pub(super) space: char,
    /// A space is put before each text.
    pub(super) prefix: bool,
}

/// A vocabulary of scored pieces.
pub(super) struct Scored {
    pieces: Vec<Piece>,
    ids: HashMap<Arc<str>, TokenId>,
    bytes: [Option<TokenId>; 256],
    added: Option<(AhoCorasick, Vec<TokenId>)>,
    spelling: Spelling,
}

/// A part of the text that is one piece, or one character: a doubly linked list over an array.
struct Symbol {
    begin: usize,
    end: usize,
    before: usize,
    after: usize,
}

const NONE: usize = usize::MAX;

/// Two neighbours that make a piece. The greatest is merged first.
struct Pair {
    score: f32,
    left: usize,
    right: usize,
    /// Length in bytes when found: a pair of which a part has been merged since is stale.
    length: usize,
}

impl Ord for Pair {
    fn cmp(&self, other: &Self) -> Ordering {
        self.score.total_cmp(&other.score).then(Reverse(self.left).cmp(&Reverse(other.left)))
    }
}

impl PartialOrd for Pair {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Pair {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Pair {}

impl Scored {
    /// A tokenizer of these pieces. Errors: two pieces of one text (bytes apart), a score that is no number; `path` is
    /// where the pieces come from.
    pub(super) fn new(path: &Path, pieces: Vec<Piece>, spelling: Spelling) -> Result<Self, Error> {
        let mut ids = HashMap::with_capacity(pieces.len());
        let mut bytes = [None; 256];
        let (mut patterns, mut added) = (Vec::new(), Vec::new());
        for (id, piece) in pieces.iter().enumerate() {
            let token = id as TokenId;
            if piece.score.is_nan() {
                let problem = "expected a number as score, found NaN";
                return Err(Error::damaged(path, &format!("token {id} `{}`", piece.text), problem));
            }
            match piece.kind {
                Kind::Byte(byte) => bytes[usize::from(byte)] = Some(token),
                Kind::Special => {}
                Kind::Added | Kind::Normal => {
                    if let Some(other) = ids.insert(piece.text.clone(), token) {
                        let problem = format!("expected a text of its own, found that of token {other}");
                        return Err(Error::damaged(path, &format!("token {id} `{}`", piece.text), problem));
                    }
                    if piece.kind == Kind::Added && !piece.text.is_empty() {
                        patterns.push(piece.text.clone());
                        added.push(token);
                    }
                }
            }
        }
        let added = automaton(path, patterns, added)?;
        Ok(Scored { pieces, ids, bytes, added, spelling })
    }

    /// The special token of this text.
    pub(super) fn special(&self, text: &str) -> Option<TokenId> {
        let at = self.pieces.iter().position(|piece| piece.kind == Kind::Special && *piece.text == *text)?;
        Some(at as TokenId)
    }

    /// Tokens of a text; nothing added but the prefix.
    pub(super) fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
        let mut tokens = Vec::new();
        let mut begin = 0;
        if let Some((automaton, ids)) = &self.added {
            for found in automaton.find_iter(text) {
                self.encode_plain(text, begin..found.start(), &mut tokens)?;
                tokens.push(ids[found.pattern().as_usize()]);
                begin = found.end();
            }
        }
        self.encode_plain(text, begin..text.len(), &mut tokens)?;
        Ok(tokens)
    }

    /// The tokens of a part of `text` without added tokens.
    fn encode_plain(
        &self,
        text: &str,
        part: std::ops::Range<usize>,
        tokens: &mut Vec<TokenId>,
    ) -> Result<(), saltus_lm::Error> {
        if part.is_empty() {
            return Ok(());
        }
        let prefix =
            if self.spelling.prefix && part.start == 0 { self.spelling.space.to_string() } else { String::new() };
        let mut written = String::with_capacity(part.len() + part.len() / 4 + prefix.len());
        written.push_str(&prefix);
        written.extend(text[part.clone()].chars().map(|c| if c == ' ' { self.spelling.space } else { c }));
        let symbols = self.merge(&written);
        let mut at = 0;
        while let Some(symbol) = symbols.get(at) {
            let piece = &written[symbol.begin..symbol.end];
            match self.ids.get(piece) {
                Some(&id) => tokens.push(id),
                None => self.encode_bytes(piece, tokens).map_err(|()| {
                    // The same character in the text, where a space is one byte and there is no prefix.
                    let number = written[prefix.len()..symbol.begin.max(prefix.len())].chars().count();
                    let found = text[part.clone()].char_indices().nth(number);
                    let (at, character) = found.unwrap_or((0, ' '));
                    saltus_lm::Error::NoToken { text: character.into(), at: part.start + at }
                })?,
            }
            at = symbol.after;
        }
        Ok(())
    }

    /// A character that is no piece, byte by byte; `Err` where a byte has no token.
    fn encode_bytes(&self, piece: &str, tokens: &mut Vec<TokenId>) -> Result<(), ()> {
        for byte in piece.bytes() {
            tokens.push(self.bytes[usize::from(byte)].ok_or(())?);
        }
        Ok(())
    }

    /// The list of symbols after all merges; the first is at 0.
    fn merge(&self, written: &str) -> Vec<Symbol> {
        let mut symbols: Vec<Symbol> = Vec::with_capacity(written.len());
        for (begin, c) in written.char_indices() {
            let at = symbols.len();
            let before = at.checked_sub(1).unwrap_or(NONE);
            symbols.push(Symbol { begin, end: begin + c.len_utf8(), before, after: at + 1 });
        }
        if let Some(last) = symbols.last_mut() {
            last.after = NONE;
        }
        let mut queue = BinaryHeap::new();
        for left in 0..symbols.len() {
            self.consider(written, &symbols, left, symbols[left].after, &mut queue);
        }
        while let Some(Pair { left, right, length, .. }) = queue.pop() {
            let (begin, middle) = (symbols[left].begin, symbols[left].end);
            // Merged away (its range is empty), or grown since.
            if begin == middle || symbols[right].begin == symbols[right].end || symbols[right].end - begin != length {
                continue;
            }
            let after = symbols[right].after;
            symbols[left].end = symbols[right].end;
            symbols[left].after = after;
            symbols[right].begin = symbols[right].end;
            if let Some(next) = symbols.get_mut(after) {
                next.before = left;
            }
            self.consider(written, &symbols, symbols[left].before, left, &mut queue);
            self.consider(written, &symbols, left, after, &mut queue);
        }
        symbols
    }

    /// Queues two neighbours if together they are a piece.
    fn consider(&self, written: &str, symbols: &[Symbol], left: usize, right: usize, queue: &mut BinaryHeap<Pair>) {
        if let (Some(a), Some(b)) = (symbols.get(left), symbols.get(right))
            && let Some(&id) = self.ids.get(&written[a.begin..b.end])
        {
            queue.push(Pair { score: self.pieces[id as usize].score, left, right, length: b.end - a.begin });
        }
    }

    /// The text of tokens, without the prefix; what is no UTF-8 becomes U+FFFD.
    pub(super) fn decode(&self, tokens: &[TokenId]) -> String {
        let mut bytes = Vec::new();
        for &token in tokens {
            match self.pieces.get(token as usize) {
                Some(Piece { kind: Kind::Byte(byte), .. }) => bytes.push(*byte),
                Some(piece) if self.spelling.space != ' ' => {
                    bytes.extend_from_slice(piece.text.replace(self.spelling.space, " ").as_bytes());
                }
                Some(piece) => bytes.extend_from_slice(piece.text.as_bytes()),
                None => bytes.extend_from_slice("\u{fffd}".as_bytes()),
            }
        }
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix(' ').filter(|_| self.spelling.prefix).unwrap_or(&text);
        text.to_owned()
    }
}

/// Finds added tokens, the longest of those that begin first.
fn automaton(
    path: &Path,
    patterns: Vec<Arc<str>>,
    ids: Vec<TokenId>,
) -> Result<Option<(AhoCorasick, Vec<TokenId>)>, Error> {
    if patterns.is_empty() {
        return Ok(None);
    }
    let patterns = patterns.iter().map(|pattern| pattern.as_bytes());
    let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(patterns);
    let automaton =
        automaton.map_err(|e| Error::damaged(path, "added tokens", format!("expected fewer, found {e}")))?;
    Ok(Some((automaton, ids)))
}
