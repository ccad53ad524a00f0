"""Holds dumps of Saltus (saltus-train's example gradient_dump, xtask's example agreement) against transformers and PyTorch.

For each case in FOLDER: transformers opens the model; log-probabilities of every token, gradients (also of sparsely
scored rows), ten AdamW losses and the weights after them agree.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoConfig, EuroBertForMaskedLM, LlamaForCausalLM
from transformers.utils import logging

LOGPROB = 1e-4  # largest absolute difference, nats
GRADIENT = {24: 1e-5, 16: 4e-5}  # relative L2 of each tensor, by the bits of each factor that count in products
LOSS = 1e-5  # largest relative difference over ten steps
TRAINED = 1e-4  # relative L2 of each tensor after ten steps


def open_model(folder):
    """The model as transformers reads it; every tensor of the file must have found its place, and no other be missing."""
    both_ways = AutoConfig.from_pretrained(folder).model_type == "eurobert"
    architecture = EuroBertForMaskedLM if both_ways else LlamaForCausalLM
    model, report = architecture.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        assert not report[kind], f"{folder}: {kind}: {report[kind]}"
    return model


def relative(ours, theirs):
    return ((ours - theirs).norm() / theirs.norm()).item()


def mean_loss(model, batch):
    logits = model(batch["tokens"]).logits
    return F.cross_entropy(logits.flatten(0, 1), batch["targets"].flatten(), ignore_index=-100)


def read_batch(path):
    batch = json.loads(path.read_text())
    targets = [[-100 if target is None else target for target in row] for row in batch["targets"]]
    return batch | {"tokens": torch.tensor(batch["tokens"]), "targets": torch.tensor(targets)}


def logprob_difference(case, model, batch):
    with torch.no_grad():
        theirs = model(batch["tokens"]).logits.log_softmax(-1)[:, :-1]
    ours = torch.tensor(json.loads((case / "logprobs.json").read_text()))
    assert ours.shape == theirs.shape, f"{ours.shape} log-probabilities, expected {theirs.shape}"
    return (ours - theirs).abs().max().item()


def tensor_differences(folder, tensors):
    """Largest relative L2 over the tensors that Saltus saved in `folder`, all of which must be the model's."""
    saved = load_file(folder / "model.safetensors")
    assert saved.keys() <= tensors.keys(), f"{folder}: {saved.keys() - tensors.keys()}"
    assert tensors.keys() - saved.keys() <= {"lm_head.weight"}, f"{folder}: {tensors.keys() - saved.keys()}"
    return max(relative(saved[name], tensors[name]) for name in saved)


def gradient_difference(folder, model, batch):
    model.zero_grad()
    mean_loss(model, batch).backward()
    return tensor_differences(folder, {name: p.grad for name, p in model.named_parameters()})


def adamw(model, training):
    """Weight decay on matrices, not on norms nor on the embedding."""
    decayed = [p for name, p in model.named_parameters() if p.dim() == 2 and "embed_tokens" not in name]
    plain = [p for name, p in model.named_parameters() if p.dim() == 1 or "embed_tokens" in name]
    groups = [
        {"params": decayed, "weight_decay": training["weight_decay"]},
        {"params": plain, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=tuple(training["betas"]), eps=training["eps"])


def train(model, batch, training):
    """Losses and gradient norms (before clipping) of the steps."""
    optimizer = adamw(model, training)
    losses, norms = [], []
    for rate in training["learning_rates"]:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = mean_loss(model, batch)
        loss.backward()
        norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), training["clip"]).item())
        losses.append(loss.item())
        optimizer.step()
    return losses, norms


def largest(ours, theirs):
    assert len(ours) == len(theirs) == 10
    return max(abs(a - b) / abs(b) for a, b in zip(ours, theirs))


def check(case):
    model, batch = open_model(case / "model"), read_batch(case / "batch.json")
    sparse = read_batch(case / "sparse.json")
    found = {
        "log-probabilities": (logprob_difference(case, model, batch), LOGPROB),
        "sparse gradients": (gradient_difference(case / "sparse", model, sparse), GRADIENT[batch["factor_bits"]]),
    }
    if (case / "training.json").exists():
        found |= check_training(case, model, batch)
    for what, (difference, most) in found.items():
        print(f"{case.name:<14} {what:<18} {difference:9.1e}  (at most {most:.0e})")
    return [f"{case.name}: {what} {value:.2e}" for what, (value, most) in found.items() if not value <= most]


def check_training(case, model, batch):
    training = json.loads((case / "training.json").read_text())
    found = {"gradients": (gradient_difference(case / "gradient", model, batch), GRADIENT[batch["factor_bits"]])}
    losses, norms = train(model, batch, training)
    found["losses"] = (largest(training["losses"], losses), LOSS)
    found["gradient norms"] = (largest(training["gradient_norms"], norms), LOSS)
    trained = {name: p.detach() for name, p in model.named_parameters()}
    found["trained weights"] = (tensor_differences(case / "trained", trained), TRAINED)
    assert losses[-1] < losses[0], f"the loss did not fall: {losses}"
    return found


def main():
    cases = sorted(path.parent for path in Path(sys.argv[1]).glob("*/batch.json"))
    assert len(cases) == 6, f"{len(cases)} cases in {sys.argv[1]}"
    logging.disable_progress_bar()
    wrong = [line for case in cases for line in check(case)]
    if wrong:
        sys.exit("disagree: " + "; ".join(wrong))


if __name__ == "__main__":
    main()
