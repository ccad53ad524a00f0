"""Asks a model that Saltus opens: xtask's example `ask`, whose path is the scripts' first argument."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch

MARGIN = 1e-3  # logits nearer to each other than this may be ranked either way
NEAR = 0.1  # share of greedy tokens that may come after such a place

wrong = []


def hold(name, what, value, most, unit=""):
    """One line of the report: a figure and what it may be at most."""
    print(f"{name:<26} {what:<46} {value:10.3g} {unit} (at most {most:g})", flush=True)
    if not value <= most:
        wrong.append(f"{name}: {what}: {value:.3g}, at most {most:g}")


def finish():
    """Fails if anything was wrong."""
    if wrong:
        sys.exit("disagree:\n  " + "\n  ".join(wrong))


def ask(model, vocabulary=None, **requests):
    """The answers as a dictionary; `logits`: for each of the rows asked for a tensor (positions, vocabulary)."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "logits"
        done = subprocess.run(
            [sys.argv[1], model, file], input=json.dumps(requests), capture_output=True, encoding="utf-8"
        )
        if done.returncode != 0:
            raise RuntimeError(f"{model}: {done.stderr}")
        answers = json.loads(done.stdout)
        rows = requests.get("logits", [])
        if rows:
            numbers = torch.from_numpy(numpy.fromfile(file, "<f4").reshape(-1, vocabulary))
            answers["logits"] = numbers.split([len(row) for row in rows])
    return answers


def equal_tokens(name, ours, theirs, logits):
    """How many tokens of a greedy continuation are alike, up to where two of `logits` are too near to call."""
    assert len(ours) == len(theirs) == len(logits)
    for at, (a, b, logits) in enumerate(zip(ours, theirs, logits)):
        if a != b:
            first, second = logits[0].topk(2).values.tolist()
            if first - second >= MARGIN:
                wrong.append(f"{name}: greedy token {a}, not {b}, by a margin of {first - second:.3g}")
            return at
    return len(ours)


def continue_greedily(model, context, count):
    """What transformers' generate() says: tokens, and the logits of each."""
    # No token ends the text: Saltus was told of none. (`min_new_tokens` would forbid those tokens instead.)
    model.generation_config.eos_token_id = None
    told = model.generate(
        torch.tensor([context]), attention_mask=torch.ones(1, len(context)), do_sample=False, max_new_tokens=count,
        pad_token_id=0, output_logits=True, return_dict_in_generate=True,
    )  # fmt: skip
    return told.sequences[0, len(context) :].tolist(), told.logits


def check_greedy(name, model, path, contexts, count):
    """Saltus continues all contexts side by side, transformers one after the other."""
    answers = ask(path, greedy=[{"context": context, "max_tokens": count} for context in contexts])["greedy"]
    assert len(answers) == len(contexts)
    theirs = [continue_greedily(model, context, count) for context in contexts]
    equal = [equal_tokens(name, ours, *told) for ours, told in zip(answers, theirs)]
    share = 1 - sum(equal) / (count * len(contexts))
    hold(name, f"share of {len(contexts)} x {count} greedy tokens not alike", share, NEAR)


def relative(ours, theirs):
    """Relative L2 distance of two tensors."""
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()
