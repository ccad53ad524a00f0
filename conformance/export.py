"""Exports, read by the programs whose files they are.

Usage: export.py SALTUS GGUF ARCHIVE FOLDER. Tasks of every kind are asked of SmolLM2-135M and exported. lm-evaluation-harness
asks the same tasks of its own model `dummy`, whose answers are drawn, and writes its files: ours have the same fields of the
same types, and whatever does not depend on answers is equal; its tables and its card of a data set are made of our files.
The package bigbench loads our score files, and makes the same scores of tasks from those of leaves.
"""

import contextlib
import dataclasses
import importlib
import io
import json
import math
import subprocess
import sys
import tarfile
import types
from pathlib import Path

from saltus import finish, wrong

from peer import SEED, TaskManager, evaluator

import datasets  # noqa: I001
import huggingface_hub
from lm_eval import utils
from lm_eval.loggers import EvaluationTracker
from lm_eval.result_schema import EvalResults, SampleResult

SALTUS, GGUF, ARCHIVE = map(Path, sys.argv[1:4])
FOLDER = Path(sys.argv[4])
LIMIT = 3
SHOTS = 1
# What records do not keep, or keep in another form.
OTHER = {"doc", "doc_hash", "prompt_hash"}
WORDS = [("snow", "white", "black"), ("coal", "black", "white"), ("grass", "green", "blue"), ("sea", "blue", "green")]


def hold(what, ours, theirs):
    if ours != theirs:
        wrong.append(f"{what}: {ours!r}, not {theirs!r}"[:600])


def write_tasks():
    rows = [{"thing": t, "right": r, "options": [w, r], "page": f"{t} is {r}, not {w}."} for t, r, w in WORDS]
    (FOLDER / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    data = f"""dataset_path: json
dataset_kwargs: {{data_files: {{test: {FOLDER / "rows.jsonl"}}}}}
test_split: test
fewshot_split: test
"""
    kinds = {
        "pick": """output_type: multiple_choice
doc_to_text: "{{thing}} is"
doc_to_choice: options
doc_to_target: 1
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_mutual_info}]
""",
        "end": """output_type: loglikelihood
doc_to_text: "{{thing}} is"
doc_to_target: "{{right}}"
metric_list: [{metric: acc}, {metric: perplexity}]
""",
        "page": """output_type: loglikelihood_rolling
num_fewshot: 0
doc_to_text: ""
doc_to_target: "{{page}}"
metric_list: [{metric: word_perplexity}, {metric: bits_per_byte}]
""",
        "say": """output_type: generate_until
doc_to_text: "{{thing}} is"
doc_to_target: "{{right}}"
generation_kwargs: {until: ["."], max_gen_toks: 4}
metric_list: [{metric: exact_match}]
filter_list:
  - {name: word, filter: [{function: regex, regex_pattern: "(\\\\w+)"}, {function: take_first}]}
  - {name: as-it-is, filter: [{function: take_first}]}
""",
    }
    for name, body in kinds.items():
        (FOLDER / f"{name}.yaml").write_text(f"task: {name}\n{data}{body}")
    return list(kinds)


def leaf(name, metrics, preferred):
    examples = [{"input": t, "target": r, "target_scores": {r: 1, w: 0}} for t, r, w in WORDS]
    return {"canary": "", "name": name, "description": "d", "keywords": [], "metrics": metrics,
            "preferred_score": preferred, "examples": examples}  # fmt: skip


def write_leaves():
    """A task that is its own leaf, one of leaves with one metric, one of leaves with two; in BIG-bench's layout."""
    grade, match = (["multiple_choice_grade"], "multiple_choice_grade"), (["exact_str_match"], "exact_str_match")
    both = (["exact_str_match", "multiple_choice_grade"], "exact_str_match")
    tasks = {"single_words": both, "graded_words": [grade, grade], "mixed_words": [grade, match]}
    tree = FOLDER / "bigbench/benchmark_tasks"
    for name, kinds in tasks.items():
        if isinstance(kinds, list):
            (tree / name).mkdir(parents=True)
            parent = leaf(name, *kinds[0])
            del parent["examples"]
            (tree / name / "task.json").write_text(json.dumps(parent))
        parts = {f"{name}/part{i}": kind for i, kind in enumerate(kinds)} if isinstance(kinds, list) else {name: kinds}
        for path, kind in parts.items():
            (tree / path).mkdir(parents=True)
            (tree / path / "task.json").write_text(json.dumps(leaf(Path(path).name, *kind)))
    return tree.parent.parent, list(tasks)


def saltus(*words):
    done = subprocess.run([SALTUS, *map(str, words)], capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(f"saltus {words[0]} ended with {done.returncode}:\n{done.stderr}{done.stdout}")
    return done.stdout


def ours(tasks, how, out, shots, *more):
    words = [word for task in tasks for word in ("--task", task)]
    records = FOLDER / f"records-{out}"
    asked = ["--model", GGUF, "--limit", LIMIT, "--shots", shots, "--out", records, "--quiet"]
    saltus("eval", *words, *asked, *more)
    return [Path(f) for f in json.loads(saltus("export", records, "--to", how, "--out", FOLDER / out, "--json"))["files"]]


def theirs(names):
    """The files that lm-evaluation-harness writes for its model `dummy`."""
    tracker = EvaluationTracker(output_path=str(FOLDER / "theirs"))
    told = evaluator.simple_evaluate(
        "dummy", tasks=names, num_fewshot=SHOTS, limit=LIMIT, fewshot_random_seed=SEED, bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(FOLDER), include_defaults=False), log_samples=True,
    )  # fmt: skip
    samples = told.pop("samples")
    tracker.general_config_tracker.model_source = "dummy"
    tracker.general_config_tracker.model_name_sanitized = "dummy"
    tracker.save_results_aggregated(told, samples)
    for name, of_task in samples.items():
        tracker.save_results_samples(name, of_task)
    return sorted((FOLDER / "theirs/dummy").iterdir())


def kind(value):
    """The type as JSON has it; of lists and objects what is in them."""
    if isinstance(value, dict):
        return {key: kind(each) for key, each in value.items()}
    if isinstance(value, list):
        return [kind(each) for each in value]
    return type(value).__name__


def results_of(files):
    names = utils.get_results_filenames([str(file) for file in files])
    return [json.loads(Path(name).read_text()) for name in names]


def samples_of(files):
    names = utils.get_sample_results_filenames([str(file) for file in files])
    return {
        utils.get_file_task_name(Path(name).name): [json.loads(line) for line in Path(name).read_text().splitlines()]
        for name in names
    }


def compare_results(mine, other):
    for results in mine:
        hold("fields of results", sorted(set(results) - set(EvalResults.__annotations__)), [])
        table = utils.make_table(results)
        for task, numbers in results["results"].items():
            hold(f"{task}: kinds of numbers", set(numbers), set(other["results"][task]))
            for key, value in numbers.items():
                if "_stderr," not in key and "," in key and f"{value:.4f}" not in table:
                    wrong.append(f"{task}: {key} {value} is not in lm-eval's table:\n{table}")
            for field in ("n-shot", "higher_is_better", "group_subtasks"):
                hold(f"{task}: {field}", results[field].get(task), other[field].get(task))
            hold(f"{task}: effective", results["n-samples"][task]["effective"], other["n-samples"][task]["effective"])
            mine_of, theirs_of = results["configs"][task], other["configs"][task]
            for field in ("task", "output_type", "num_fewshot"):
                hold(f"{task}: {field}", mine_of[field], theirs_of[field])
            used = [entry["metric"] for entry in mine_of["metric_list"]]
            hold(f"{task}: metrics", used, [entry["metric"] for entry in theirs_of["metric_list"]])
    hold("tasks", sorted(t for r in mine for t in r["results"]), sorted(other["results"]))


def compare_samples(mine, other):
    fields = SampleResult.__required_keys__
    for task, lines in other.items():
        hold(f"{task}: samples", len(mine.get(task, [])), len(lines))
        for one, line in zip(mine.get(task, []), lines):
            where = f"{task}, document {line['doc_id']}"
            hold(f"{where}: missing fields", sorted(fields - set(one)), [])
            for field in fields - OTHER - {"metrics", "arguments"}:
                if field in ("resps", "filtered_resps"):
                    hold(f"{where}: type of {field}", kind(one[field]), kind(line[field]))
                else:
                    hold(f"{where}: {field}", one[field], line[field])
            hold(f"{where}: metrics", sorted(one["metrics"]), [m for m in sorted(line["metrics"]) if is_number(line[m])])
            hold(f"{where}: requests", sorted(one["arguments"]), sorted(line["arguments"]))
            for name, arguments in line["arguments"].items():
                for number, argument in arguments.items():
                    said = one["arguments"].get(name, {}).get(number, "missing")
                    if said is not None:
                        hold(f"{where}: {name}, {number}", said, argument)


def is_number(value):
    return isinstance(value, (int, float))


def make_card(files):
    """lm-evaluation-harness's card of a data set, from our files as they would lie on the Hub."""
    root = FOLDER / "ours"
    tracker = EvaluationTracker()
    names = [str(file.relative_to(root)) for file in files]
    tracker.api = types.SimpleNamespace(list_repo_files=lambda **_: names)
    tracker.general_config_tracker.model_name = "saltus"
    card = {}
    huggingface_hub.hf_hub_url = lambda filename, **_: str(root / filename)
    huggingface_hub.DatasetCard.push_to_hub = lambda self, *_, **__: card.update(text=str(self))
    datasets.disable_progress_bars()
    tracker.recreate_metadata_card()
    for task in samples_of(files):
        if f"__{task}" not in card["text"]:
            wrong.append(f"lm-eval's card of a data set does not name the samples of {task}")
    for name in utils.get_sample_results_filenames([str(file) for file in files]):
        read = datasets.load_dataset("json", data_files=name, split="train", cache_dir=str(FOLDER / "cache"))
        hold(f"{Path(name).name} as a data set", len(read), len(Path(name).read_text().splitlines()))


def reference():
    """bigbench.api.results, from the package's own sources; it imports nothing but its neighbours."""
    with tarfile.open(ARCHIVE) as archive:
        wanted = {f"bigbench/api/{name}.py" for name in ("results", "task", "model")}
        for member in archive:
            path = member.name.partition("/")[2]
            if path in wanted:
                (FOLDER / "package" / path).parent.mkdir(parents=True, exist_ok=True)
                (FOLDER / "package" / path).write_bytes(archive.extractfile(member).read())
                wanted.remove(path)
            if not wanted:
                break
    sys.path.insert(0, str(FOLDER / "package"))
    return importlib.import_module("bigbench.api.results")


def compare_scores(results, files, tasks):
    read = results.load_results(FOLDER / "ours-bigbench")
    hold("tasks that bigbench loads", sorted(read), sorted(tasks))
    aggregates = 0
    for file in files:
        data = results.ResultsFileData.fromdict(json.loads(file.read_text()), normalize=False)
        hold("name of the file", file.name, results.score_result_filename(data.model))
        task = data.task.task_name
        again = results.add_aggregate_scores(task_name=task, scores=[dataclasses.replace(s) for s in data.scores])
        hold(f"{task}: entries", [(s.subtask_description, s.number_of_shots) for s in data.scores],
             [(s.subtask_description, s.number_of_shots) for s in again])  # fmt: skip
        for one, other in zip(data.scores, again):
            aggregates += one.subtask_description == task
            where = f"{task}: {one.subtask_description}, {one.number_of_shots} shots"
            for field in ("preferred_score", "low_score", "high_score"):
                hold(f"{where}: {field}", getattr(one, field), getattr(other, field))
            hold(f"{where}: scores", set(one.score_dict), set(other.score_dict))
            for metric, value in one.score_dict.items():
                if not math.isclose(value, other.score_dict.get(metric, math.nan), rel_tol=1e-12, abs_tol=1e-12):
                    wrong.append(f"{where}: {metric} {value}, not {other.score_dict.get(metric)}")
            sizes = read[task].scores(one.subtask_description, one.preferred_score, one.number_of_shots,
                                      data.model.model_family)  # fmt: skip
            hold(f"{where}: sizes that bigbench plots", [s.params for s in sizes], [data.model.non_embedding_params])
    return aggregates


def main():
    names = write_tasks()
    mine = ours([FOLDER / f"{name}.yaml" for name in names], "lm-eval", "ours", SHOTS, "--unconditional")
    with contextlib.redirect_stdout(io.StringIO()):
        other = theirs(names)
    compare_results(results_of(mine), *results_of(other))
    compare_samples(samples_of(mine), samples_of(other))
    make_card(mine)
    lines = sum(map(len, samples_of(mine).values()))
    print(f"lm-eval: {len(results_of(mine))} results files, {lines} samples of {len(names)} tasks")
    tree, tasks = write_leaves()
    files = ours(tasks, "bigbench", "ours-bigbench", "0,1", "--bigbench", tree)
    aggregates = compare_scores(reference(), files, tasks)
    print(f"bigbench: {len(files)} score files, {aggregates} scores of whole tasks")
    finish()


main()
