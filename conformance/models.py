"""Small models of each family, made and saved by transformers, opened by Saltus: logits and greedy tokens agree.

Usage: models.py ASK FOLDER TEXT. Every tensor is random, gains and biases of norms too: what transformers initialises
to 1 or 0 would hide a norm that reads the wrong one.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM
from transformers import models as t
from transformers.utils import logging

from saltus import ask, check_greedy, finish, hold, relative

LOGITS = 1e-4  # relative L2
TOGETHER = 1e-5  # relative L2 of one pass over all rows from one for each row
FILLED = 1e-4  # nats
WIDTH, LAYERS, HEADS, VOCABULARY, CONTEXT, WINDOW = 64, 3, 4, 320, 128, 24
# Rows of tokens: one token, and some shorter and longer than the window and than half the context.
LENGTHS = [1, 7, 24, 25, 61, 120]
GREEDY = 24
BOTH_WAYS = ("bert", "eurobert")  # see what stands on both sides

SIZES = {
    "hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 176,
    "vocab_size": VOCABULARY, "max_position_embeddings": CONTEXT, "bos_token_id": 0, "eos_token_id": None,
    "pad_token_id": None,
}  # fmt: skip
GROUPED = SIZES | {"num_key_value_heads": 2}


def rope(kind, **parameters):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **parameters}}


def families():
    """Name, and the configuration that transformers makes a model of."""
    gpt2 = {"n_embd": WIDTH, "n_layer": LAYERS, "n_head": HEADS, "n_positions": CONTEXT, "vocab_size": VOCABULARY,
            "bos_token_id": 0, "eos_token_id": None}  # fmt: skip
    yield "GPT-2", t.gpt2.GPT2Config(**gpt2)
    yield "Cerebras-GPT", t.gpt2.GPT2Config(**gpt2, activation_function="gelu", n_inner=200)
    yield "GPT-NeoX (Pythia)", t.gpt_neox.GPTNeoXConfig(**SIZES, use_parallel_residual=True)
    yield "GPT-NeoX, serial", t.gpt_neox.GPTNeoXConfig(
        **SIZES, use_parallel_residual=False, rope_parameters={"rope_theta": 5000.0, "partial_rotary_factor": 0.5}
    )
    yield "OPT", t.opt.OPTConfig(**SIZES | {"word_embed_proj_dim": WIDTH, "ffn_dim": 200})
    yield "BLOOM, 4 heads", t.bloom.BloomConfig(
        hidden_size=WIDTH, n_layer=LAYERS, n_head=HEADS, vocab_size=VOCABULARY, seq_length=CONTEXT, eos_token_id=None
    )
    yield "BLOOM, 6 heads", t.bloom.BloomConfig(
        hidden_size=72, n_layer=LAYERS, n_head=6, vocab_size=VOCABULARY, seq_length=CONTEXT, eos_token_id=None
    )
    yield from llamas()
    mistral = t.mistral.MistralConfig(**GROUPED, sliding_window=WINDOW, head_dim=24)
    yield "Mistral, window", mistral
    yield "Mistral, no window", t.mistral.MistralConfig(**GROUPED, sliding_window=None)
    yield "Qwen 2", t.qwen2.Qwen2Config(**GROUPED, use_sliding_window=False)
    yield "Qwen 2, window", t.qwen2.Qwen2Config(
        **GROUPED, use_sliding_window=True, sliding_window=WINDOW, max_window_layers=1, tie_word_embeddings=True
    )
    yield "Qwen 3", t.qwen3.Qwen3Config(**GROUPED, head_dim=32, tie_word_embeddings=True)
    yield "OLMo", t.olmo.OlmoConfig(**GROUPED, clip_qkv=1.0)
    yield "OLMo 2", t.olmo2.Olmo2Config(**GROUPED)
    yield from gemmas()
    yield "BERT", t.bert.BertConfig(**SIZES)
    yield "EuroBERT", t.eurobert.EuroBertConfig(**GROUPED, mask_token_id=1)
    yield "EuroBERT, tied, biases", t.eurobert.EuroBertConfig(
        **SIZES, mask_token_id=1, tie_word_embeddings=True, attention_bias=True, mlp_bias=True
    )


def llamas():
    yield "Llama, GQA, untied", t.llama.LlamaConfig(**GROUPED)
    yield "Llama, MQA, tied", t.llama.LlamaConfig(**SIZES, num_key_value_heads=1, tie_word_embeddings=True)
    yield "Llama, biases, head 24", t.llama.LlamaConfig(**GROUPED, attention_bias=True, mlp_bias=True, head_dim=24)
    yield "Llama, rope linear", t.llama.LlamaConfig(**GROUPED, **rope("linear", factor=4.0))
    yield "Llama 3, rope llama3", t.llama.LlamaConfig(
        **GROUPED,
        **rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32),
    )
    yield "Llama, rope yarn", t.llama.LlamaConfig(
        **GROUPED, **rope("yarn", factor=4.0, original_max_position_embeddings=32)
    )
    yield "Llama, yarn, all named", t.llama.LlamaConfig(
        **GROUPED,
        **rope("yarn", factor=4.0, original_max_position_embeddings=32, beta_fast=8.0, beta_slow=0.5,
               attention_factor=1.3),  # fmt: skip
    )


def gemmas():
    yield "Gemma", t.gemma.GemmaConfig(**GROUPED, head_dim=32)
    capped = {"query_pre_attn_scalar": 48, "sliding_window": WINDOW, "head_dim": 32}
    yield "Gemma 2", t.gemma2.Gemma2Config(
        **GROUPED, **capped, attn_logit_softcapping=2.0, final_logit_softcapping=3.0
    )
    seven = GROUPED | {"num_hidden_layers": 7}
    yield "Gemma 3 (text)", t.gemma3.Gemma3TextConfig(**seven, **capped)
    yield "Gemma 3, rope linear", t.gemma3.Gemma3TextConfig(
        **seven,
        **capped,
        rope_parameters={
            "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
        },
    )


def make(config, seed):
    """A model with every tensor random, such that logits differ from one another by several units."""
    torch.manual_seed(seed)
    kind = AutoModelForMaskedLM if config.model_type in BOTH_WAYS else AutoModelForCausalLM
    model = kind.from_config(config, attn_implementation="eager").eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn_like(parameter)
            if parameter.dim() == 1:
                # Around transformers' own: 1 or 0 of norms, 0 of biases.
                parameter.add_(0.3 * noise)
            else:
                parameter.copy_(1.5 * noise / config.hidden_size**0.5)
    return model


def open_reference(folder, kind):
    """The model as transformers reads it, computing in F32; every tensor must have found its place."""
    model, report = kind.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    for what in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[what], f"{folder}: {what}: {report[what]}"
    return model.eval()


def logits_of(model, rows, seconds):
    with torch.no_grad():
        if seconds:
            kinds = [(torch.arange(len(row)) >= second).long()[None] for row, second in zip(rows, seconds)]
            return [model(torch.tensor([r]), token_type_ids=k).logits[0] for r, k in zip(rows, kinds)]
        return [model(torch.tensor([row])).logits[0] for row in rows]


def largest(ours, theirs):
    assert len(ours) == len(theirs) == len(LENGTHS)
    return max(relative(a, b) for a, b in zip(ours, theirs))


def variants(model, folder):
    """Folders with the same model, saved in every way that is compared."""
    model.save_pretrained(folder / "f32")
    yield "F32", folder / "f32"
    for name, dtype in (("bf16", torch.bfloat16), ("f16", torch.float16)):
        # Each rounds the model as it was made.
        open_reference(folder / "f32", type(model)).to(dtype).save_pretrained(folder / name)
        yield f"{name.upper()} weights", folder / name
    model.save_pretrained(folder / "shards", max_shard_size="60KB")
    assert len(list((folder / "shards").glob("*.safetensors"))) > 2
    yield "shards", folder / "shards"
    older = in_words_of_version_4(json.loads((folder / "f32/config.json").read_text()))
    model.save_pretrained(folder / "older")
    (folder / "older/config.json").write_text(json.dumps(older))
    yield "config.json of transformers 4", folder / "older"
    base = getattr(model, model.base_model_prefix)
    if model.config.model_type in ("gpt2", "bloom", "opt") and base is not model:
        # As these lie on the Hub: without the root of their names.
        base.save_pretrained(folder / "base")
        yield "saved without a head", folder / "base"
    if model.config.model_type == "bert":
        model.save_pretrained(folder / "renamed")
        file = folder / "renamed/model.safetensors"
        old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
        save_file({rename(name, old): tensor for name, tensor in load_file(file).items()}, file, {"format": "pt"})
        yield "norms named as in TensorFlow", folder / "renamed"


def rename(name, table):
    for new, old in table.items():
        name = name.replace(new, old)
    return name


def in_words_of_version_4(config):
    """The description as most models of the Hub have it: before transformers 5 put RoPE's settings together."""
    together = config.pop("rope_parameters", None)
    for key in ("dtype", "layer_types"):
        config.pop(key, None)
    if together is None:
        return config
    full = together.get("full_attention", together)
    if "sliding_attention" in together:
        config["rope_local_base_freq"] = together["sliding_attention"]["rope_theta"]
        config["sliding_window_pattern"] = 6
    if config["model_type"] == "gpt_neox":
        config["rotary_emb_base"] = full["rope_theta"]
        config["rotary_pct"] = full["partial_rotary_factor"]
    else:
        config["rope_theta"] = full["rope_theta"]
    scaling = {key: value for key, value in full.items() if key not in ("rope_theta", "partial_rotary_factor")}
    if scaling.get("rope_type", "default") != "default":
        config["rope_scaling"] = scaling
    return config


def check_fill(name, path, rows, seconds, theirs):
    """Log-probabilities of some tokens at every third place."""
    asked = [
        (row, second, [(place, (7 * place) % VOCABULARY) for place in range(0, len(row), 3)])
        for row, second in zip(rows, seconds)
    ]
    filled = ask(path, fill=asked)["filled"]
    differences = [
        abs(said - logits.log_softmax(-1)[place, token].item())
        for (_, _, targets), saids, logits in zip(asked, filled, theirs, strict=True)
        for said, (place, token) in zip(saids, targets, strict=True)
    ]
    hold(name, f"log-probabilities at {len(differences)} gaps", max(differences), FILLED, "nats")


def check(name, config, folder, tokenizer):
    model = make(config, seed=sum(name.encode()))
    rows = [torch.randint(len(tokenizer.get_vocab()), (length,)).tolist() for length in LENGTHS]
    # Where the second sentence begins.
    seconds = [len(row) * (i % 4) // 3 for i, row in enumerate(rows)] if config.model_type == "bert" else []
    kind = type(model)
    for what, path in variants(model, folder):
        tokenizer.save(str(path / "tokenizer.json"))
        # These two hold the tensors of `plain` under other names.
        renamed = what in ("saved without a head", "norms named as in TensorFlow")
        reference = plain if renamed else open_reference(path, kind)
        theirs = logits_of(reference, rows, seconds)
        ours = ask(path, VOCABULARY, logits=rows, seconds=seconds)["logits"]
        hold(name, f"logits, {what}, relative L2", largest(ours, theirs), LOGITS)
        if what == "F32":
            plain = reference
            spread = torch.cat(theirs).std().item()
            assert spread > 0.5, f"{name}: logits spread by {spread:.2f} only"
            together = ask(path, VOCABULARY, logits=rows, seconds=seconds, together=True)["logits"]
            hold(name, "logits, one pass against many, relative L2", largest(together, ours), TOGETHER)
            if config.model_type in BOTH_WAYS:
                check_fill(name, path, rows, seconds or [len(row) for row in rows], theirs)
            else:
                check_greedy(name, reference, path, [row[: CONTEXT - GREEDY] for row in rows], GREEDY)


def small_tokenizer(text):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        text.splitlines()[:2000], trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    return tokenizer


def main():
    _, _, folder, text = sys.argv
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    # More would wait for one another: the products are small.
    torch.set_num_threads(1)
    tokenizer = small_tokenizer(Path(text).read_text(encoding="utf-8"))
    for number, (name, config) in enumerate(families()):
        check(name, config, Path(folder) / str(number), tokenizer)
    finish()


if __name__ == "__main__":
    main()
