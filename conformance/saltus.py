"""Asks a model that Saltus opens: xtask's example `ask`, whose path is the scripts' first argument."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import torch

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


def relative(ours, theirs):
    """Relative L2 distance of two tensors."""
    return ((ours.double() - theirs.double()).norm() / theirs.double().norm()).item()
