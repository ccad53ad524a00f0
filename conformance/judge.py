"""Known findings on published measurements, which `saltus judge` must make unprompted: tables are made from the
measurements as they were published, judged by the program, and the verdicts are held against what is known.

    judge.py SALTUS SHARED FOLDER
"""

import csv
import json
import subprocess
import sys
from pathlib import Path

saltus, shared, folder = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
evals = shared / "data/evals"
wrong = []


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def table(name, header, lines):
    with open(folder / name, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(lines)
    return str(folder / name)


def judge(*arguments, command="judge"):
    run = subprocess.run([saltus, command, *arguments, "--json"], capture_output=True, text=True)
    if run.returncode not in (0, 3):
        sys.exit(f"saltus {command} {' '.join(arguments)}: exit {run.returncode}\n{run.stderr}")
    return json.loads(run.stdout)


def one(found, family, task, metric=None, by=""):
    for a in found:
        if a["family"] == family and a["task"] == task and by in a["by"] and metric in (None, a["metric"]):
            return a
    sys.exit(f"no verdict on {family} {task} {metric}")


def hold(what, held, a):
    points = " ".join(f"{p['value']:.3f}" for p in a["points"])
    weights = ", ".join(f"{k} {v:.2f}" for k, v in a["weights"].items() if v >= 0.05)
    ruling = a["artefact"]["ruling"] if a["artefact"] else "none"
    print(f"{'ok   ' if held else 'WRONG'} {what}: {a['shape']} ({weights}), ruling {ruling}; {points}")
    if not held:
        wrong.append(what)


# Emergent abilities of base models (ObsScaling). Items as the scores' steps tell them.
size = {r["Model"]: r for r in rows(evals / "obs_scaling/base_llm_benchmark_eval.csv")}
items = {"parsinlu_qa": 1050, "word_unscrambling": 1000, "ipa_transliterate": 1003}
lines = []
for r in rows(evals / "obs_scaling/base_llm_emergent_capability_eval.csv"):
    if r["Model"] not in size:
        continue
    known = size[r["Model"]]
    for column, value in r.items():
        if column != "Model" and value:
            task, metric = column.rsplit("_2_", 1)
            chance = 0.25 if task == "parsinlu_qa" else 0
            params = float(known["Model Size (B)"]) * 1e9
            lines.append([known["Model Family"], r["Model"], params, task, metric, value, items.get(task, 2000), chance])
header = ["family", "model", "params", "task", "metric", "score", "n", "chance"]
found = judge(table("obs.csv", header, lines))
a = one(found, "GPT-Neo/J", "arithmetic_2da")
hold("GPT-Neo/J, two-digit addition emerges at 6B", a["shape"] == "emergent" and abs(a["threshold"]["scale"] / 6.05e9 - 1) < 0.01, a)
a = one(found, "Pythia", "arithmetic_2da")
hold("Pythia, two-digit addition jumps and falls again: no growth law", a["shape"] in ("emergent", "undetermined", "inverted-u"), a)
for family in ("Pythia", "OPT", "GPT-Neo/J"):
    a = one(found, family, "ipa_transliterate", "exact_match")
    hold(f"{family}, IPA transliteration stays on the floor of exact match", a["shape"] == "flat", a)
    if family != "Pythia":  # BLEU is .006 at its largest.
        hold(f"{family}, the metric hides how IPA transliteration grows", a["artefact"] and a["artefact"]["ruling"] == "metric", a)

# BIG-bench Lite, published scores.
about = {r["task"]: r for r in rows(evals / "bigbench_lite/tasks.csv")}
lines = [
    [r["family"], r["params_nominal"], r["task"], about[r["task"]]["preferred_score"], r["score"],
     min(int(about[r["task"]]["n_examples_in_bigbench_1.0.0"]), 1024), about[r["task"]]["uniform_choice_baseline"]]
    for r in rows(evals / "bigbench_lite/bigbench_lite_scores.csv") if r["params_nominal"]
]
header = ["family", "params", "task", "metric", "score", "n", "chance"]
found = judge(table("lite.csv", header, lines))
a = one(found, "BIG-G T=0", "emoji_movie")
hold("BIG-G, emoji_movie is U-shaped", a["shape"] == "u-shaped", a)
for task in ("hindu_knowledge", "repeat_copy_logic"):
    a = one(found, "BIG-G T=0", task)
    growth = a["weights"]["smooth"] + a["weights"]["emergent"]
    hold(f"BIG-G, {task} appears late: growth, how suddenly is open", growth > 0.95 and a["shape"] != "flat", a)
a = one(found, "BIG-G T=0", "auto_debugging")
hold("BIG-G, auto_debugging is nowhere", a["shape"] == "flat", a)

# Pythia, lm-evaluation-harness.
pythia = str(evals / "pythia/pythia_evals.csv")
found = judge(pythia, "--map", "acc=score,acc_stderr=stderr", "--by", "shots")
for shots in (0, 5):
    a = one(found, "pythia", "lambada_openai", by=f"shots={shots}")
    hold(f"Pythia, LAMBADA is smooth with {shots} shots", a["shape"] == "smooth", a)
    a = one(found, "pythia", "hendrycksTest (mean of 57)", by=f"shots={shots}")
    hold(f"Pythia, MMLU is flat with {shots} shots", a["shape"] == "flat", a)
a = one(found, "pythia", "wsc", by="shots=5")
hold("Pythia, WSC with 5 shots is one class", bool(a["artefact"]) and a["artefact"]["ruling"] == "label bias", a)
found = judge(str(evals / "pythia/raw"))
a = one(found, "EleutherAI/pythia-v1.1", "lambada_openai", "acc", "shots=0")
hold("Pythia, LAMBADA from the harness's own files", a["shape"] == "smooth" and len(a["points"]) == 8, a)

# Inverse scaling prize tasks.
found = judge(str(evals / "inverse_scaling/aggregate.csv"), "--map", "params_nominal=params,n_items=n,accuracy=score",
              "--by", "shots", "--chance", "0.5")
for family in ("gpt2", "gpt3"):
    a = one(found, family, "syllogism")
    hold(f"{family}, syllogism is label bias", bool(a["artefact"]) and a["artefact"]["ruling"] == "label bias", a)
found = judge(str(evals / "inverse_scaling/aggregate.csv"), "--map", "params_nominal=params,mean=score,measure=metric",
              "--by", "shots")
a = one(found, "gpt3", "lambada", "loss")
hold("GPT-3, LAMBADA's loss is smooth", a["shape"] == "smooth", a)

# The OLMo ladder: of 1.3B parameters and 256B tokens, from 190M to 760M, in two steps (the loss, then the score).
sizes = {"190M": 190354176, "370M": 371262464, "760M": 758220288, "1B": 1279395840}
lines, published = [], {}
for path in sorted((evals / "olmo_ladder").glob("*.csv")):
    size, length = path.stem.split("-")
    for r in rows(path):
        for column, value in r.items():
            name = column.removeprefix("eval/downstream/").removesuffix("_len_norm").removesuffix("_acc")
            loss, tokens = r.get(f"eval/downstream_bpb/{name}_bpb"), r["throughput/total_tokens"]
            if column.startswith("eval/downstream/") and value and loss and tokens:
                # A loss in bits per byte of the right answers, and the score beside it.
                lines.append(["olmo", path.stem, sizes[size], tokens, r["_step"], name, "acc_norm", value, loss])
                if path.stem == "1B-10xC":
                    published[name] = float(value)
header = ["family", "model", "params", "tokens", "step", "task", "metric", "score", "loss"]
small = table("olmo.csv", header, [line for line in lines if line[2] < 1e9])
foretold = judge(small, "--scale", "params", "--to-params", "1279395840", "--to-tokens", "255.8955e9", "--method", "two-step",
                 command="forecast")
given = [f for f in foretold if f["value"] is not None]
held = [f for f in given if f["low"] <= published[f["task"]] <= f["high"]]
errors = [abs(f["value"] - published[f["task"]]) / published[f["task"]] for f in given]
for f in given:
    print(f"      {f['task']}: {published[f['task']]:.3f}, foretold {f['value']:.3f} ({f['low']:.3f} to {f['high']:.3f})")
what = f"OLMo ladder, 190M-760M to 1B: {len(held)} of {len(given)} intervals hold, mean relative error {sum(errors) / len(errors):.3f}"
print(f"{'ok   ' if len(given) >= 12 and len(held) >= 0.85 * len(given) else 'WRONG'} {what}")
if len(given) < 12 or len(held) < 0.85 * len(given):
    wrong.append(what)

if wrong:
    sys.exit("not found: " + "; ".join(wrong))
