//! The vocabulary file of llama2.c: scored pieces, in which a space is a space.

use super::{
    Beginning, FileTokenizer, Model,
    scored::{Kind, Piece, Scored, Spelling},
};
use crate::{DAMAGED, Error, mapped};
use saltus_lm::TokenId;
use std::path::Path;

/// Several times the longest that is known (Llama's 32,000 tokens in 434 kB).
const LONGEST_FILE: u64 = 1 << 26;
/// Bytes of the shortest token: its score and its length.
const SHORTEST: usize = 8;
/// Tokens before those of the 256 bytes: unknown, beginning, end.
const BEFORE_BYTES: usize = 3;
const BEGINNING: TokenId = 1;
const END: TokenId = 2;

impl FileTokenizer {
    /// The `tokN.bin` (N tokens) or `tokenizer.bin` beside a llama2.c checkpoint.
    pub(crate) fn beside_llama2c(checkpoint: &Path, vocabulary: usize) -> Result<Self, Error> {
        let folder = checkpoint.parent().unwrap_or(Path::new(""));
        let names = [format!("tok{vocabulary}.bin"), "tokenizer.bin".into()];
        match names.iter().map(|name| folder.join(name)).find(|path| path.is_file()) {
            Some(path) => Self::from_llama2c(&path, vocabulary),
            None => {
                let problem = format!("expected {} or {} beside it, found neither", names[0], names[1]);
                Err(Error::file(checkpoint, problem, "put the checkpoint's vocabulary file there"))
            }
        }
    }

    /// A vocabulary file of llama2.c with so many tokens.
    pub fn from_llama2c(path: &Path, vocabulary: usize) -> Result<Self, Error> {
        let bytes = mapped::read(path, LONGEST_FILE)?;
        let most = bytes.len().saturating_sub(4) / SHORTEST;
        if vocabulary > most {
            let problem = format!("expected {vocabulary} tokens, as the checkpoint has, found room for at most {most}");
            return Err(Error::file(path, problem, "give the vocabulary file of this checkpoint"));
        }
        let mut rest = bytes.get(4..).unwrap_or_default();
        let mut pieces = Vec::with_capacity(vocabulary);
        for id in 0..vocabulary {
            pieces.push(piece(path, id, &mut rest)?);
        }
        if !rest.is_empty() {
            let problem =
                format!("expected {vocabulary} tokens, as the checkpoint has, found {} bytes more", rest.len());
            return Err(Error::file(path, problem, "give the vocabulary file of this checkpoint"));
        }
        let scored = Scored::new(path, pieces, Spelling { space: ' ', prefix: true })?;
        Ok(FileTokenizer {
            path: path.into(),
            vocabulary,
            model: Model::Scored(Box::new(scored)),
            beginning: (vocabulary > BEGINNING as usize).then_some(Beginning { token: BEGINNING, added: true }),
            // Its texts are trained one after the other, each with the beginning token before it.
            end: [BEGINNING, END].into_iter().filter(|&token| (token as usize) < vocabulary).collect(),
            identity: blake3::hash(&bytes).to_hex().to_string(),
        })
    }
}

fn piece(path: &Path, id: usize, rest: &mut &[u8]) -> Result<Piece, Error> {
    let part = format!("token {id}");
    let head = rest.split_first_chunk::<SHORTEST>();
    let (head, tail) =
        head.ok_or_else(|| Error::part(path, &part, "expected its score, found the file's end", DAMAGED))?;
    let score = f32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let length = i32::from_le_bytes([head[4], head[5], head[6], head[7]]);
    let length = usize::try_from(length).ok().filter(|&length| length <= tail.len()).ok_or_else(|| {
        Error::part(path, &part, format!("expected a length of 0 to {}, found {length}", tail.len()), DAMAGED)
    })?;
    let text = mapped::utf8(path, &part, &tail[..length])?;
    *rest = &tail[length..];
    let kind = match id.checked_sub(BEFORE_BYTES) {
        None => Kind::Special,
        Some(byte) => u8::try_from(byte).map_or(Kind::Normal, Kind::Byte),
    };
    Ok(Piece { text: text.into(), score, kind })
}
