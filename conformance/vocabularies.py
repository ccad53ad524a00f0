"""Tokenizers: the tokens of some thousand lines in many languages are those of tokenizers, transformers and llama.cpp.

Usage: vocabularies.py ASK FOLDER PACKAGES TEXT.. . Tokenizers of each kind are trained here, on lines that are not among
those compared; the ones inside the two GGUF files are llama.cpp's to judge.
"""

import json
import random
import sys
import unicodedata
import urllib.request
from pathlib import Path

import torch
import xllamacpp
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging

from real import gguf_files
from saltus import ask, finish, hold

LINES = 3000
WRITTEN = 8000  # of the lines to train on; the rest is generated
# What a model's own tokenizer takes for a special token, which to Saltus is text like any other.
SPECIAL = ("<s>", "</s>", "<unk>", "<bos>", "<eos>", "<pad>", "[UNK]", "[MASK]")
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# Blocks of Unicode from which words are made: first and last character.
SCRIPTS = [
    (0x41, 0x7A), (0xC0, 0x24F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5F4), (0x600, 0x6FF), (0x900, 0x97F),
    (0xE00, 0xE5B), (0x1E00, 0x1EFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF),
    (0x2000, 0x206F), (0x2190, 0x22FF), (0xFF00, 0xFFEF), (0x20000, 0x2A6DF),
]  # fmt: skip
SPACES = [" ", "  ", "   ", "\t", "\n", "\n\n", "\r\n", " \n ", "\u00a0", "\u3000", "\u2003", "\u200b", "\ufeff", "\x0b"]
PIECES = [
    "don't", "I'LL", "we’ve", "3.14159", "1000000", "12,345", "٣٤٥", "x²", "½", "e\u0301", "n\u0303o", "👩‍👩‍👧", "🇩🇪",
    "👍🏽", "for (int i = 0; i < n; ++i) {", "def f(x):\n    return x**2", "https://example.org/?q=a&b=c#d", "a_b-c.d",
    "ﬁne", "ﷺ", "Å", "\u1100\u1161\u11a8", "z\u0335\u0321\u0357", "\u202eabc\u202c", "<div class=\"x\">", "\\n", "\x00",
    "…", "。", "「」", "—", "naïve café", "ß", "İ", "ǅ", "\u0600", "▁", "Ġ", "\x7f", "\u0085",
]  # fmt: skip


def generated(random):
    """Words of several scripts, spaces of every kind between."""
    parts = []
    for _ in range(random.randint(1, 9)):
        first, last = random.choice(SCRIPTS)
        word = "".join(chr(random.randint(first, last)) for _ in range(random.randint(1, 6)))
        parts.append(random.choice([word, random.choice(PIECES), str(random.randint(0, 10**7))]))
        parts.append(random.choice(SPACES if random.random() < 0.4 else [" "]))
    text = "".join(parts)
    return text if random.random() < 0.5 else unicodedata.normalize("NFD", text)


def lines(texts):
    """Some thousand lines to compare, and others to train on."""
    chance = random.Random(7)
    written = [line for text in texts for line in Path(text).read_text(encoding="utf-8").split("\n") if line]
    written = [line for line in written if not any(special in line for special in SPECIAL)]
    chance.shuffle(written)
    # Paragraphs are long: their ends say little more.
    compared = [line[:400] for line in written[: LINES // 2]] + [generated(chance) for _ in range(LINES // 2)]
    training = written[LINES // 2 :][:WRITTEN] + [generated(chance) for _ in range(3000)]
    return compared + ["", " ", "  ", "\n", " a", "a "], training


def byte_level(before, whole_words=False):
    tokenizer = Tokenizer(models.BPE(ignore_merges=whole_words))
    last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=before is None)
    if before is None:
        tokenizer.pre_tokenizer = last
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([*before, last])
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer, trainers.BpeTrainer(
        vocab_size=3000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )


def kinds():
    """Name, untrained tokenizer and its trainer, after the plans of the families."""
    split = pre_tokenizers.Split(Regex(LLAMA3), "isolated")
    yield "byte-level, GPT-2", *byte_level(None)
    yield "byte-level, Llama 3", *byte_level([split], whole_words=True)
    yield "byte-level, digits apart", *byte_level([pre_tokenizers.Digits(individual_digits=True)])
    tokenizer, trainer = byte_level([split])
    tokenizer.normalizer = normalizers.NFC()
    yield "byte-level, NFC", tokenizer, trainer
    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC()])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    yield "unigram", unigram, trainers.UnigramTrainer(
        vocab_size=3000, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    bytes_too = [f"<0x{byte:02X}>" for byte in range(256)]
    sentence = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    sentence.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    sentence.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    yield "BPE with bytes, Llama 2", sentence, trainers.BpeTrainer(
        vocab_size=3000, special_tokens=["<unk>"], initial_alphabet=bytes_too, limit_alphabet=1500, show_progress=False
    )
    word = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    word.normalizer = normalizers.BertNormalizer()
    word.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    yield "WordPiece, BERT", word, trainers.WordPieceTrainer(
        vocab_size=3000, special_tokens=["[UNK]"], limit_alphabet=1500, show_progress=False
    )


def check(name, what, ours, theirs, texts):
    """The share of lines with other tokens must be none; the first of them is shown."""
    differing = [(text, a, b) for text, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    for text, a, b in differing[:3]:
        print(f"  {text!r}\n    ours   {a}\n    theirs {b}")
    tokens = sum(len(row) for row in theirs)
    hold(name, f"lines with other tokens than {what}, of {len(texts)}", len(differing), 0, f"{tokens} tokens")


def check_trained(folder, texts, training):
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    LlamaForCausalLM(LlamaConfig(**sizes, vocab_size=4000)).save_pretrained(folder)
    for name, tokenizer, trainer in kinds():
        # Unigram must have every character it is trained on; of the others it knows only that they are unknown.
        tokenizer.train_from_iterator(training if name != "unigram" else training[:WRITTEN], trainer)
        tokenizer.save(str(folder / "tokenizer.json"))
        saved = Tokenizer.from_file(str(folder / "tokenizer.json"))
        theirs = [saved.encode(text, add_special_tokens=False).ids for text in texts]
        assert sum(len(set(row)) > 1 for row in theirs) > LINES / 2, name
        check(name, "tokenizers", ask(folder, texts=texts)["tokens"], theirs, texts)


class LlamaCpp:
    """llama.cpp's server in this process, for its tokenizer."""

    def __init__(self, file):
        parameters = xllamacpp.CommonParams()
        parameters.model.path = str(file)
        parameters.n_ctx = 256
        parameters.warmup = False
        self.server = xllamacpp.Server(parameters)

    def tokens(self, text):
        body = json.dumps({"content": text, "add_special": False, "parse_special": False}).encode()
        request = urllib.request.Request(
            self.server.listening_address + "/tokenize", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["tokens"]


def check_gguf(name, file, texts):
    ours = ask(file, texts=texts)["tokens"]
    server = LlamaCpp(file)
    check(name, "llama.cpp", ours, [server.tokens(text) for text in texts], texts)
    # Not a check: transformers' own reading of the file leaves the pre-tokenizer that splits digits out (SmolLM2), and
    # takes U+2581 for another character than a space (Gemma).
    theirs = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    other = sum(theirs.encode(text, add_special_tokens=False) != row for text, row in zip(texts, ours))
    print(f"{name:<26} lines with other tokens than transformers reads from this file: {other} of {len(texts)}")


def main():
    _, _, folder, packages, *texts = sys.argv
    logging.set_verbosity_error()
    torch.manual_seed(0)
    compared, training = lines(texts)
    check_trained(Path(folder), compared, training)
    for name, file in gguf_files(Path(packages)).items():
        check_gguf(name, file, compared)
    finish()


if __name__ == "__main__":
    main()
