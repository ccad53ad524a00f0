"""BIG-bench: prompts and metrics of Saltus against the package bigbench 1.0.0 itself, whose heavy imports are stubs.

Usage: bigbench.py EXAMPLE ARCHIVE PACKAGES FOLDER [all]. EXAMPLE is saltus-eval's example `bigbench`, PACKAGES a folder
with scipy, scikit-learn, sacrebleu, rouge_score and t5, FOLDER one to work in. Without `all`: every task whose files
have at most 1 MB together.
"""

import contextlib
import glob
import hashlib
import importlib.util
import io
import json
import logging
import os
import random
import subprocess
import sys
import tarfile
import types
import warnings
from pathlib import Path

EXAMPLE, ARCHIVE, PACKAGES, FOLDER = sys.argv[1:5]
ALL = sys.argv[5:] == ["all"]
SMALL = 1 << 20  # bytes of a task that is always compared
APART = 60 << 20  # bytes above which leaves are loaded one by one
FIRST = 50  # questions with shots for each leaf; each depends on all draws before it
NEAR = 1e-9
sys.path.insert(0, PACKAGES)

wrong = []


def hold(what, ok, detail=""):
    if not ok:
        wrong.append(f"{what}: {detail}"[:2000])


def module(name, **members):
    sys.modules[name] = made = types.ModuleType(name)
    made.__dict__.update(members)
    return made


def reference(tree):
    """The reference's modules, from its own sources."""
    gfile = types.SimpleNamespace(GFile=open, isdir=os.path.isdir, glob=glob.glob)
    tensorflow = module("tensorflow", io=types.SimpleNamespace(gfile=gfile))
    tensorflow.__path__ = []
    module("tensorflow.compat").__path__ = []
    for version in ("v1", "v2"):
        module(f"tensorflow.compat.{version}", io=tensorflow.io, logging=logging)
    module("datasets", load_metric=None)
    module("editdistance")
    module("bigbench.benchmark_tasks", __path__=[])
    sys.path.insert(0, str(tree))
    for name in ("t5", "t5.evaluation"):
        module(name).__path__ = [str(Path(PACKAGES) / name.replace(".", "/"))]
    module("t5.evaluation.qa_utils")
    sys.modules["t5.evaluation"].qa_utils = sys.modules["t5.evaluation.qa_utils"]
    import bigbench.api.json_task as json_task
    import bigbench.api.results as results
    import bigbench.api.task as task
    import bigbench.api.task_metrics as metrics
    import bigbench.models.model_utils as model_utils

    return json_task, metrics, results, task, model_utils


def unpack(folder):
    """The package's sources and tasks; gives the tree, and the bytes of each task."""
    tree, sizes, files = folder / "tree", {}, []
    with tarfile.open(ARCHIVE) as archive:
        for member in archive:
            parts = member.name.split("/")[1:]
            code = member.name.endswith(".py") and parts[1:2] in (["api"], ["models"], ["__init__.py"])
            task = parts[:2] == ["bigbench", "benchmark_tasks"] and parts[-1] == "task.json" and len(parts) in (4, 5)
            if not member.isfile() or not (code or task):
                continue
            if task:
                sizes[parts[2]] = sizes.get(parts[2], 0) + member.size
            path = tree.joinpath(*parts)
            files.append(path)
            if not path.exists() or path.stat().st_size != member.size:
                if code or ALL or member.size <= SMALL:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.extractfile(member).read())
    return tree, sizes


def hashed(samples, prefix):
    told = hashlib.sha256()
    for sample in samples:
        for text in [prefix + sample["input"], *sample.get("choice", []), *sample["target"]]:
            data = text.encode()
            told.update(len(data).to_bytes(8, "little") + data)
    return [len(samples), told.hexdigest()]


def leaves(json_task, folder, size):
    """The reference's leaves of a task; large ones one after another."""
    if size <= APART:
        task = json_task.JsonTask(str(folder / "task.json"))
        yield from task.subtasks or [task]
        return
    head = json.loads((folder / "task.json").read_text())
    if "examples" in head:
        yield json_task.JsonTask(str(folder / "task.json"))
        return
    parent = types.SimpleNamespace(name=head["name"].encode("ascii", errors="replace").decode())
    for file in sorted(str(path) for path in folder.glob("*/task.json")):
        yield json_task.JsonTask(json.loads(Path(file).read_text()), parent_task=parent)


def compare_leaf(json_task, leaf, ours):
    what = f"{ours['task']}[{ours['index']}]"
    equal = 0
    for shots in range(4):
        try:
            count = min(FIRST, len(leaf._ds)) if shots else None
            samples = json_task.make_nshot_dataset(
                leaf._ds, shots, random_seed=42, separator=leaf.few_shot_example_separator, max_examples=count
            )
            theirs = hashed(samples, leaf.task_prefix)
        except ValueError:
            theirs = None
        equal += theirs == ours["hashes"][shots]
        hold(f"prompts of {what}, {shots} shots", theirs == ours["hashes"][shots], f"{theirs}, ours {ours['hashes'][shots]}")
    theirs = {
        "name": leaf.name, "examples": len(leaf._ds), "preferred": leaf.preferred_score, "low": leaf.low_score,
        "high": leaf.high_score, "regex": leaf.output_regex or None, "stop": leaf.stop_string or None,
    }  # fmt: skip
    for key, value in theirs.items():
        same = abs(value - ours[key]) < NEAR if key in ("low", "high") else value == ours[key]
        hold(f"{key} of {what}", same, f"{value}, ours {ours[key]}")
    metrics = set(leaf.generative_metrics + leaf.scoring_metrics + leaf.multiple_choice_metrics)
    hold(f"metrics of {what}", metrics == set(ours["metrics"]), f"{metrics}, ours {ours['metrics']}")
    return equal


def compare_prompts(json_task, tree, sizes):
    tasks = sorted(task for task, size in sizes.items() if ALL or size <= SMALL)
    told = subprocess.Popen(
        [EXAMPLE, "prompts", ARCHIVE, Path(FOLDER) / "cache", str(FIRST), *tasks], stdout=subprocess.PIPE, text=True
    )
    seen, equal, questions, quirks = 0, 0, 0, {}
    ours = {}
    for line in told.stdout:
        leaf = json.loads(line)
        ours.setdefault(leaf["task"], []).append(leaf)
        questions += sum(row[0] for row in leaf["hashes"] if row)
        for name, count in leaf["quirks"]:
            quirks[name] = quirks.get(name, 0) + 1
    hold("our example", told.wait() == 0, f"ended with {told.returncode}")
    for task in tasks:
        with contextlib.redirect_stdout(io.StringIO()):
            for index, leaf in enumerate(leaves(json_task, tree / "bigbench/benchmark_tasks" / task, sizes[task])):
                mine = ours.get(task, [])
                hold(f"leaves of {task}", index < len(mine), f"leaf {index} is missing")
                if index < len(mine):
                    seen += 1
                    equal += compare_leaf(json_task, leaf, mine[index])
                if sizes[task] > APART:
                    leaf.task_data = leaf._ds = None
        hold(f"leaves of {task}", len(ours.get(task, [])) == index + 1, "another number")
    print(f"prompts: {len(tasks)} of {len(sizes)} tasks, {seen} leaves, {questions} questions", flush=True)
    print(f"prompts: {equal} of {4 * seen} sets (0 to 3 shots) equal", flush=True)
    print("quirks, by leaves:", ", ".join(f"{name} {count}" for name, count in sorted(quirks.items())), flush=True)


WORDS = ["the", "cat", "sat", "on", "mat", ".", ",", "3.14", "1,000", "it's", "O", "é", "日本", "€5", "a-b", "(x)", " ", "\n", "!", " . "]
NUMBERS = ["1", "-1", "0", "1.05", " 1_0 ", "nan", "inf", "-inf", "1e999", "٣", "1__0", "", "x", "１２", "+5", "1e-400", "0x1", "\x1c7"]


def text(chance, most=8):
    return chance.choice([" ", "", "  "]).join(chance.choice(WORDS) for _ in range(chance.randint(0, most)))


def choice_questions(chance, single):
    questions = []
    for _ in range(chance.randint(1, 30)):
        n = chance.choice([1, 2, 3, 4, 9, 17, 140])
        labels = [f"choice {i}" for i in range(n)]
        scores = [0.0] * n
        scores[chance.randrange(n)] = 1.0
        if not single:
            scores = chance.choice([scores, [chance.random() for _ in labels], [0.0] * n, [float(i % 2) for i in range(n)]])
        values = [chance.choice([-1.5, -2.0, -2.0, -700.0, chance.uniform(-90, 0)]) for _ in labels]
        values = chance.choice([values, [-3.0] * n, [chance.uniform(-9, 0) for _ in labels]])
        if n > 1 and chance.random() < 0.1:
            values[0] = -1e308
        questions.append((labels, scores, values))
    return questions


def text_questions(chance, metric):
    questions = []
    for _ in range(chance.randint(1, 20)):
        if metric == "numeric_match_with_0_1_relative_error":
            questions.append(([chance.choice(NUMBERS)], chance.choice(NUMBERS)))
            continue
        targets = [text(chance) for _ in range(chance.randint(1, 3))]
        said = chance.choice([text(chance), chance.choice(targets), chance.choice(targets).upper() + " ", text(chance, 40)])
        questions.append((targets, said))
    return questions


def sample_of(labels, scores, values):
    return {"choice": labels, "target_scores": dict(zip(labels, scores)), "log_prob": values, "absolute_log_prob": values}


def metric_cases(chance, metrics, json_task):
    """Cases for our example, and what the reference says to each."""
    import numpy
    from scipy.special import logsumexp

    for metric, function in metrics.MULTIPLE_CHOICE_FN.items():
        for _ in range(60):
            questions = choice_questions(chance, metric == "macro_f1")
            samples = [sample_of(*question) for question in questions]
            expect = {metric: float(function(samples))}
            if metric == "multiple_choice_grade":
                for sample in samples:
                    sample["log_prob"] = list(numpy.array(sample["log_prob"]) - logsumexp(sample["log_prob"]))
                expect["normalised"] = float(function(samples))
            yield {"metric": metric, "questions": questions}, expect
    for metric, function in metrics.GENERATIVE_FN.items():
        for _ in range(0 if metric == "bleurt" else 4 if metric == "rouge" else 60):
            questions = text_questions(chance, metric)
            numpy.random.seed(42)
            expect = function([targets for targets, _ in questions], [said for _, said in questions])
            yield {"metric": metric, "questions": questions}, {name: float(x) for name, x in expect.items()}
    for several in (False, True):
        for _ in range(60):
            targets = [[f"some words {i}" for i in range(chance.randint(1, 3) if several else 1)] for _ in range(9)]
            questions = [(row, [chance.uniform(-50, 0) for _ in row]) for row in targets]
            expect = metrics.log_likelihood_fn([row for _, row in questions], targets)
            yield {"metric": "log_likelihood", "questions": questions}, {name: float(x) for name, x in expect.items()}


def extract_cases(chance, model_utils):
    patterns = [None, "", r"[^\.\?\!\;\n]+", "('.*?')", r"(?:[0-9]+\.[0-9]+|[0-9]+)\s[a-zA-Z]+(?:\/[a-zA-Z]+)*",
                "(?i)hydrogen|helium|cat", r"([-+]?\d+)[.]{0,1}$", r"[-+]?\d+", r"[\w]+", r"[^\n]+", "[a-h][1-8]", "[a-z]+",
                r"\[(?:\d+, )*(?:\d+)?\]"]  # fmt: skip
    pieces = [*WORDS, "[1, 2]", "'q'", "12", "-7.", "5 m/s", "e4", "CAT", "\n", "[]"]
    for pattern in patterns:
        for _ in range(60):
            said = "".join(chance.choice(pieces) for _ in range(chance.randint(0, 9)))
            stop, most = chance.choice([None, "", "\n", ".", "#", "the"]), chance.choice([None, 0, 5, 20])
            expect = model_utils.postprocess_output(said, most, stop, pattern)
            yield {"metric": "extract", "text": said, "stop": stop or None, "regex": pattern or None,
                   "max_length": most or None}, expect  # fmt: skip


def aggregate_cases(chance, results, task):
    for _ in range(60):
        grades = chance.random() < 0.4
        names = ["task"] if chance.random() < 0.2 else [f"task:{i}" for i in range(chance.randint(1, 5))]
        rows = []
        for name in names:
            preferred = "multiple_choice_grade" if grades else chance.choice(["bleu", "rougeLsum", "multiple_choice_grade"])
            values = {preferred: chance.random(), chance.choice(["exact_str_match", "rouge1"]): chance.random()}
            rows.append((name, values, preferred, chance.uniform(0, 0.5), chance.choice([1.0, 100.0])))
        scores = [task.ScoreData(dict(v), p, 0, low, high, name) for name, v, p, low, high in rows]
        told = [s for s in results.add_aggregate_scores(task_name="task", scores=scores) if s.subtask_description == "task"]
        told = told[-1]
        expect = {"values": told.score_dict, "preferred": told.preferred_score, "low": told.low_score, "high": told.high_score}
        yield {"metric": "aggregate", "leaves": rows}, expect


def near(a, b):
    if isinstance(a, dict):
        return isinstance(b, dict) and all(near(a[key], b.get(key)) for key in a)
    if isinstance(a, float) and isinstance(b, (int, float)):
        return abs(a - b) <= NEAR * max(1.0, abs(a))
    return a == b


def compare_metrics(json_task, metrics, results, task, model_utils):
    chance = random.Random(5)
    cases = [*metric_cases(chance, metrics, json_task), *extract_cases(chance, model_utils),
             *aggregate_cases(chance, results, task)]  # fmt: skip
    done = subprocess.run(
        [EXAMPLE, "metrics"], input="".join(json.dumps(case) + "\n" for case, _ in cases), capture_output=True, text=True
    )
    hold("our example", done.returncode == 0, done.stderr)
    rows = [json.loads(line) for line in done.stdout.split("\n") if line]
    hold("our example", len(rows) == len(cases), f"{len(rows)} answers to {len(cases)} cases")
    equal = {}
    for (case, expect), told in zip(cases, rows):
        counts = equal.setdefault(case["metric"], [0, 0])
        counts[1] += 1
        counts[0] += near(expect, told)
        hold(case["metric"], near(expect, told), f"{expect}, ours {told}, of {json.dumps(case)}")
    for metric, (good, count) in equal.items():
        print(f"metrics: {metric}: {good} of {count} cases within {NEAR:g}", flush=True)


def main():
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    tree, sizes = unpack(Path(FOLDER))
    json_task, metrics, results, task, model_utils = reference(tree)
    compare_metrics(json_task, metrics, results, task, model_utils)
    compare_prompts(json_task, tree, sizes)
    if wrong:
        sys.exit(f"{len(wrong)} disagree:\n  " + "\n  ".join(wrong[:20]))


if __name__ == "__main__":
    main()
