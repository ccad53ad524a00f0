//! Texts as sentences of tokens.

use crate::Error;
use saltus_lm::{TokenId, Tokenizer};
use std::ops::Range;

/// Sentences as tokens, one after another: 4 bytes for each token.
#[derive(Clone, Debug)]
pub struct Corpus {
    tokens: Vec<TokenId>,
    /// Where each sentence ends.
    ends: Vec<usize>,
    /// Each sentence begins with so many tokens that are no text.
    begin: usize,
    /// Sentences that did not fit the context and lost their end.
    cut: usize,
}

/// The sentences of a text. A sentence ends at the end of a line, and behind `.`, `!` or `?` (with quotation marks and
/// brackets that close there) where white space follows. White space around it is left out, and so is one of nothing
/// else. Abbreviations end sentences too.
pub fn sentences(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| {
        let mut rest = line;
        std::iter::from_fn(move || {
            (!rest.is_empty()).then(|| {
                let (sentence, later) = rest.split_at(end_of_first(rest));
                rest = later;
                sentence.trim()
            })
        })
        .filter(|sentence| !sentence.is_empty())
    })
}

/// Where the first sentence of a line ends.
fn end_of_first(line: &str) -> usize {
    let mut over = false;
    for (at, c) in line.char_indices() {
        match c {
            '.' | '!' | '?' => over = true,
            '"' | '\'' | ')' | ']' | '”' | '’' | '»' => {}
            c if c.is_whitespace() && over => return at,
            _ => over = false,
        }
    }
    line.len()
}

impl Corpus {
    /// The sentences of `texts`, each encoded by itself behind the token that the tokenizer puts before texts. One that is
    /// longer than `context` loses its end. With a `limit`, reading ends before the sentence that would have more tokens
    /// in all.
    ///
    /// # Errors
    /// Where the tokenizer has no tokens for a text.
    pub fn new(
        texts: &[&str],
        tokenizer: &dyn Tokenizer,
        context: usize,
        limit: Option<usize>,
    ) -> Result<Corpus, Error> {
        let begin: Vec<TokenId> = tokenizer.prefix().into_iter().collect();
        let mut corpus = Corpus { tokens: Vec::new(), ends: Vec::new(), begin: begin.len(), cut: 0 };
        for sentence in texts.iter().flat_map(|text| sentences(text)) {
            let tokens = tokenizer.encode(sentence).map_err(|e| Error::Other(e.to_string()))?;
            let length = (begin.len() + tokens.len()).min(context);
            if limit.is_some_and(|limit| corpus.tokens.len() + length > limit) {
                break;
            }
            if length > begin.len() {
                corpus.cut += usize::from(length < begin.len() + tokens.len());
                corpus.tokens.extend(&begin);
                corpus.tokens.extend(&tokens[..length - begin.len()]);
                corpus.ends.push(corpus.tokens.len());
            }
        }
        Ok(corpus)
    }

    /// Sentences.
    pub fn sentences(&self) -> usize {
        self.ends.len()
    }

    /// Tokens in all of them, those that are no text too.
    pub fn tokens(&self) -> usize {
        self.tokens.len()
    }

    /// Sentences that did not fit the context and lost their end.
    pub fn cut(&self) -> usize {
        self.cut
    }

    /// Each sentence begins with so many tokens that are no text: 1 where the model has a token before every text.
    pub fn begin(&self) -> usize {
        self.begin
    }

    /// The tokens of one sentence.
    pub fn sentence(&self, number: usize) -> &[TokenId] {
        &self.tokens[self.tokens_before(number)..self.ends[number]]
    }

    /// The token behind a position of a sentence.
    pub fn next(&self, sentence: u32, position: u32) -> Option<TokenId> {
        self.sentence(sentence as usize).get(position as usize + 1).copied()
    }

    /// Tokens in the sentences before one.
    pub fn tokens_before(&self, sentence: usize) -> usize {
        sentence.checked_sub(1).map_or(0, |before| self.ends[before])
    }

    /// Sentences from `first` on with about `tokens` tokens, at least one sentence: where they end.
    pub fn after(&self, first: usize, tokens: usize) -> usize {
        let most = self.tokens_before(first) + tokens;
        self.ends.partition_point(|end| *end <= most).max(first + 1).min(self.ends.len())
    }

    /// Consecutive sentences in groups of at most `columns` tokens, or of one sentence.
    pub(crate) fn passes(&self, sentences: Range<usize>, columns: usize) -> impl Iterator<Item = Range<usize>> {
        let mut first = sentences.start;
        std::iter::from_fn(move || {
            (first < sentences.end).then(|| {
                let end = self.after(first, columns).min(sentences.end);
                std::mem::replace(&mut first, end)..end
            })
        })
    }

    /// Positions of text: every token but those at beginnings.
    pub(crate) fn positions(&self) -> usize {
        self.tokens.len() - self.ends.len() * self.begin
    }

    /// The sentence and the position in it of one of all positions of text.
    pub(crate) fn place(&self, number: usize) -> (u32, u32) {
        let text_end = |sentence: usize| self.ends[sentence] - (sentence + 1) * self.begin;
        let (mut low, mut high) = (0, self.ends.len() - 1);
        while low < high {
            let middle = (low + high) / 2;
            if text_end(middle) <= number { low = middle + 1 } else { high = middle }
        }
        let position = number + (low + 1) * self.begin - self.tokens_before(low);
        (low as u32, position as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fall_into_sentences_by_the_stated_rule() {
        let check = |text: &str, expect: &[&str]| assert_eq!(sentences(text).collect::<Vec<_>>(), expect);
        check("One. Two! Three?\nFour\n\n  \n", &["One.", "Two!", "Three?", "Four"]);
        check(
            " He said \"Go.\" Then (so it was.) it 1.5 a.b ended",
            &["He said \"Go.\"", "Then (so it was.)", "it 1.5 a.b ended"],
        );
        check("He had a role . It was 3 @.@ 5", &["He had a role .", "It was 3 @.@ 5"]);
        check("...", &["..."]);
        check("", &[]);
    }

    /// One token for each byte, and 0 before every text where `begins`.
    struct Bytes {
        begins: bool,
    }

    impl Tokenizer for Bytes {
        fn encode(&self, text: &str) -> Result<Vec<TokenId>, saltus_lm::Error> {
            Ok(text.bytes().map(TokenId::from).collect())
        }
        fn decode(&self, _: &[TokenId]) -> String {
            unreachable!("nothing is decoded here")
        }
        fn vocabulary(&self) -> usize {
            256
        }
        fn identity(&self) -> String {
            "bytes".into()
        }
        fn prefix(&self) -> Option<TokenId> {
            self.begins.then_some(0)
        }
    }

    #[test]
    fn every_position_of_text_has_its_place_and_long_sentences_are_cut_and_counted() {
        for begins in [false, true] {
            let corpus = Corpus::new(&["abc. de\nf", "longer than ten"], &Bytes { begins }, 10, None).unwrap();
            assert_eq!((corpus.sentences(), corpus.cut()), (4, 1));
            assert_eq!(corpus.sentence(3).len(), 10);
            let begin = corpus.begin();
            let mut expect = Vec::new();
            for sentence in 0..4 {
                expect.extend((begin..corpus.sentence(sentence).len()).map(|p| (sentence as u32, p as u32)));
            }
            let found: Vec<(u32, u32)> = (0..corpus.positions()).map(|number| corpus.place(number)).collect();
            assert_eq!(found, expect);
            assert_eq!(corpus.next(0, begin as u32), Some(u32::from(b'b')));
            assert_eq!(corpus.next(0, begin as u32 + 3), None);
        }
    }

    #[test]
    fn a_limit_ends_before_the_sentence_that_is_too_much() {
        let limited = |limit| Corpus::new(&["abc. de\nf"], &Bytes { begins: false }, 10, Some(limit));
        assert_eq!(limited(6).unwrap().sentences(), 2);
        assert_eq!(limited(5).unwrap().sentences(), 1);
        assert_eq!(limited(3).unwrap().sentences(), 0);
    }

    #[test]
    fn passes_hold_whole_sentences_in_order() {
        let corpus = Corpus::new(&["abc. de\nfgh\ni"], &Bytes { begins: false }, 10, None).unwrap();
        let passes = |columns| corpus.passes(0..4, columns).collect::<Vec<_>>();
        assert_eq!(passes(6), [0..2, 2..4]);
        assert_eq!(passes(1), [0..1, 1..2, 2..3, 3..4]);
        assert_eq!((passes(100).len(), passes(100)[0].clone()), (1, 0..4));
    }
}
