"""Holds contexts, continuations and scores of task files against lm-evaluation-harness itself, on small data made here.

`lm_eval.py PROGRAM FOLDER`: PROGRAM is the example `lm_eval` of saltus-eval. For every task in 0, 1 and 5 shots all requests
that `task.build_all_requests` makes must be ours, string for string; for random answers all numbers of `evaluate` must be
ours to 1e-9, and their standard errors where those have a closed form.
"""

import json
import math
import os
import random
import subprocess
import sys
from pathlib import Path

# This file is called as the package is: its folder must not be searched first.
sys.path = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).parent.resolve()]
FOLDER = Path(sys.argv[2]).resolve()
os.environ |= {"HF_HOME": str(FOLDER / "cache"), "HF_DATASETS_OFFLINE": "1", "DISABLE_MULTIPROC": "1", "TQDM_DISABLE": "1"}
os.environ["LMEVAL_LOG_LEVEL"] = "ERROR"

import pandas  # noqa: E402
from lm_eval import evaluator  # noqa: E402
from lm_eval.api.model import LM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402

SHOTS = [0, 1, 5]
SEED = 1234
WORDS = "le chat noir dort, the cat's \"house\" 日本語 naïve 3.14 x_y \\n {{ }} émigré a\u00a0b".split(" ")
# Metrics whose standard error has a closed form.
MEANS = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"}


def text(rng, least, most):
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(least, most)))


def write_data():
    rng = random.Random(7)
    lines = lambda name, rows: (FOLDER / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def choice(i):
        options = [f"{text(rng, 1, 3)} {n}" for n in range(4)]
        return {"id": i, "question": text(rng, 3, 9), "options": options, "answer": rng.randrange(4),
                "right": rng.choice(options), "score": rng.choice([1, 2.5, None]), "day": f"2024-0{rng.randint(1, 9)}-11"}

    lines("choice_test.jsonl", [choice(i) for i in range(40)])
    lines("choice_train.jsonl", [choice(i) for i in range(300)])
    # Few documents, some of them twice: questions are often drawn as their own shots.
    few = [choice(0) | {"id": 0} for _ in range(5)]
    (FOLDER / "few.json").write_text(json.dumps({"version": 1, "data": few + few[:4] + few[:2]}))
    lines("pairs.jsonl", [{"before": text(rng, 2, 4), "after": text(rng, 2, 4), "a": text(rng, 1, 2), "b": text(rng, 1, 2),
                           "label": str(rng.randint(1, 2))} for _ in range(30)])
    sums = [{"q": f"{a} + {b}", "n": a + b, "note": rng.choice(["NA", "x, \"y\"", ""]), "yes": rng.random() < 0.5,
             "class": rng.randrange(2)} for a, b in ((rng.randrange(99), rng.randrange(99)) for _ in range(60))]
    pandas.DataFrame(sums[:40]).to_csv(FOLDER / "sums.csv", index=False)
    pandas.DataFrame(sums[40:]).to_csv(FOLDER / "solved.csv", index=False)
    frame = pandas.DataFrame([{"question": text(rng, 4, 9), "answer": f"{text(rng, 2, 5)}\n#### {rng.randrange(2000):,}",
                               "aliases": [text(rng, 1, 2) for _ in range(rng.randint(1, 3))],
                               "meta": {"level": rng.randrange(5), "tags": [text(rng, 1, 1)]}} for _ in range(120)])
    frame.iloc[:50].to_parquet(FOLDER / "open.parquet", index=False)
    frame.iloc[50:].to_parquet(FOLDER / "open_train.parquet", index=False)
    lines("pages.jsonl", [{"page": text(rng, 5, 30) + rng.choice(["\n", "", " \t x"])} for _ in range(20)])


def data(kind, extra="", **files):
    named = "".join(f"\n    {split}: {FOLDER / name}" for split, name in files.items())
    return f"dataset_path: {kind}\ndataset_kwargs:\n  data_files:{named}{extra}\n" + "".join(
        f"{split}_split: {split}\n" for split in files if split != "solved"
    )


def tasks():
    choice = data("json", test="choice_test.jsonl", training="choice_train.jsonl")
    yield "letters", choice + """
output_type: multiple_choice
description: "Questions of {{day}}.\\n\\n"
doc_to_text: "{{question.strip()}}\\n{% for o in options %}{{ 'ABCD'[loop.index0] }}. {{o}}\\n{% endfor %}Answer:"
doc_to_choice: [A, B, C, D]
doc_to_target: answer
fewshot_split: training
"""
    yield "columns", choice + """
output_type: multiple_choice
doc_to_text: question
doc_to_choice: options
doc_to_target: right
target_delimiter: "\\n"
metric_list:
  - {metric: acc}
  - {metric: acc_norm, aggregation: mean, higher_is_better: yes}
  - metric: acc_bytes
  - metric: acc_mutual_info
  - metric: exact_match
  - metric: brier_score
  - metric: mcc
"""
    yield "overlap", data("json", "\n  field: data", test="few.json") + """
output_type: multiple_choice
doc_to_text: "{{id}}/{{score}}/{{options}}: {{question | upper}}"
doc_to_choice: "{{options + ['none of these']}}"
doc_to_target: "{{options.index(right)}}"
fewshot_split: test
"""
    yield "validation", data("json", validation="choice_test.jsonl", training="choice_train.jsonl") + """
output_type: multiple_choice
doc_to_text: "{% set q = question.split(' ') %}{{ q | join('_') }} {{ q[0] ~ '!' }} {{ q | length }}: "
doc_to_choice: {first: eins, second: zwei, third: drei}
doc_to_target: "{{ answer % 3 }}"
target_delimiter: ""
fewshot_delimiter: "\\n---\\n"
gen_prefix: "So it is"
"""
    yield "inputs", data("json", test="pairs.jsonl") + """
output_type: multiple_choice
doc_to_text: "{{ label | int - 1 }}"
doc_to_choice: "{{[before + ' ' + a, before + ' ' + b]}}"
doc_to_target: "{{ after }}"
fewshot_split: test
"""
    yield "table", data("csv", test="sums.csv", solved="solved.csv") + """
output_type: multiple_choice
doc_to_text: "{{q}} ({{note}}, {{yes}}, {% if yes %}ja{% else %}nein{% endif %}):"
doc_to_choice: ["no", "yes"]
doc_to_target: class
fewshot_split: solved
fewshot_config:
  sampler: first_n
  doc_to_text: "{{q}} -> {{n}}:"
  fewshot_delimiter: " | "
metric_list:
  - metric: f1
  - metric: mcc
  - metric: acc
    aggregation: median
"""
    yield "several", data("json", test="choice_test.jsonl") + """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: options
doc_to_target: "{{[answer, 0]}}"
fewshot_config:
  samples:
    - {question: "1, 2?", options: [no, "yes"], answer: 1}
    - {question: "Who's there?\\n", options: [a, b], answer: 0}
    - {question: x, options: [a, b], answer: 0}
    - {question: y, options: [a, b], answer: 0}
    - {question: z, options: [a, b], answer: 1}
    - {question: w, options: [a, b], answer: 1}
  doc_to_choice: ["(0)", "(1)"]
  doc_to_target: "{{answer}}"
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: exact_match}]
"""
    yield "generated", data("parquet", test="open.parquet", training="open_train.parquet") + r"""
output_type: generate_until
doc_to_text: "Q: {{question}}\nLevel {{meta.level}}, {{meta['tags'][0]}}\nA:"
doc_to_target: "{{answer.split('####')[-1] | trim}}"
fewshot_config: {doc_to_target: "{{answer}}"}
fewshot_split: training
generation_kwargs: {until: ["\n\n", "Q:"], do_sample: false, temperature: 0.0, max_gen_toks: 64}
metric_list:
  - metric: exact_match
    ignore_case: true
    ignore_punctuation: false
    regexes_to_ignore: [",", '\$', '(?s).*#### ', '\.$']
filter_list:
  - name: strict-match
    filter:
      - {function: regex, regex_pattern: '#### (\-?[0-9\.\,]+)'}
      - function: take_first
  - name: flexible-extract
    filter:
      - {function: regex, group_select: -1, regex_pattern: '(-?[$0-9.,]{2,})|(-?[0-9]+)', fallback: "?"}
      - function: take_first
  - name: lower
    filter: [{function: remove_whitespace}, {function: lowercase}, {function: take_first}]
"""
    yield "aliases", data("parquet", test="open.parquet", training="open_train.parquet") + """
doc_to_text: "{{question | regex_replace('[0-9]+', 'N')}}?"
doc_to_target: aliases
fewshot_delimiter: "\\n"
num_fewshot: 2
metric_list: [{metric: exact_match, ignore_punctuation: true, ignore_numbers: true}]
"""
    yield "lambada", choice + """
output_type: loglikelihood
doc_to_text: "{{question.split(' ')[:-1] | join(' ')}}"
doc_to_target: "{{' ' + question.split(' ')[-1]}}"
fewshot_split: training
fewshot_config: {target_delimiter: ""}
metric_list: [{metric: perplexity}, {metric: acc}]
"""
    yield "pages", data("json", test="pages.jsonl") + """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{page}}"
num_fewshot: 0
"""


def write_tasks():
    names = []
    for name, body in tasks():
        (FOLDER / f"{name}.yaml").write_text(f"task: {name}\n{body}", "utf-8")
        names.append(name)
    (FOLDER / "base.yml").write_text((FOLDER / "letters.yaml").read_text("utf-8").replace("task: letters\n", ""), "utf-8")
    (FOLDER / "included.yaml").write_text("include: base.yml\ntask: included\ndoc_to_text: 'On {{day}}: {{question}}'\ntag: some\n")
    (FOLDER / "group.yaml").write_text(
        "group: family\ntask:\n  - columns\n  - task: lambada\n    fewshot_delimiter: ' ; '\n  - group: inner\n    task: [some]\n"
        "aggregate_metric_list: [{metric: acc, weight_by_size: false}]\n"
    )
    return names + ["included"], "family"


class Random(LM):
    """Answers at random, now and then rightly; remembers what it said."""

    def __init__(self):
        super().__init__()
        self.rng, self.said = random.Random(11), {}

    def answer(self, requests, make):
        answers = []
        for request in requests:
            answers.append(make(request))
            self.said.setdefault(request.task_name, {}).setdefault(request.doc_id, {})[request.idx] = answers[-1]
        return answers

    def loglikelihood(self, requests):
        return self.answer(requests, lambda _: (-self.rng.choice([self.rng.expovariate(0.1), 3.0]), self.rng.random() < 0.5))

    def loglikelihood_rolling(self, requests):
        return self.answer(requests, lambda _: -self.rng.uniform(1, 500))

    def generate_until(self, requests):
        def make(request):
            doc, pick = request.doc, self.rng.choice
            number = doc["answer"].split("####")[-1].strip()
            return pick([doc["answer"], number, number.replace(",", ""), f"The answer is ${number}.", " ".join(doc["aliases"][:1]),
                         doc["aliases"][-1] + "!7", "", "no #### 12 or 13 #### 1,4 ", text(self.rng, 1, 6)])

        return self.answer(requests, make)


def ours(program, name, *arguments):
    return json.loads(subprocess.run([program, FOLDER / f"{name}.yaml", *arguments], check=True, capture_output=True).stdout)


def requests_of(task, shots):
    task.set_config("num_fewshot", shots if task.get_config("num_fewshot") != 0 else 0)
    task.set_fewshot_seed(SEED)
    task.build_all_requests()
    by_doc = {}
    for instance in task.instances:
        by_doc.setdefault(instance.doc_id, []).append(instance.args)
    return [by_doc[doc] for doc in sorted(by_doc)]


def plain(arguments):
    if len(arguments) == 1:
        return ["", arguments[0]]
    context, continuation = arguments
    if isinstance(continuation, dict):
        continuation = {"until": continuation["until"], "max_gen_toks": continuation.get("max_gen_toks", 256)}
    return [context, continuation]


def check_prompts(program, name, manager_of):
    equal = total = 0
    mine = ours(program, "group" if name == "family" else name, "prompts", *map(str, SHOTS))
    for shots in SHOTS:
        for task_name, task in manager_of().load([name])["tasks"].items():
            theirs = [[plain(a) for a in arguments] for arguments in requests_of(task, shots)]
            found = [item["requests"] for item in mine[task_name][str(shots)]]
            assert len(theirs) == len(found), f"{task_name}: {len(found)} documents, expected {len(theirs)}"
            for doc, (expected, got) in enumerate(zip(theirs, found)):
                total += len(expected)
                same = sum(a == b for a, b in zip(expected, got)) if len(expected) == len(got) else 0
                equal += same
                if same != len(expected) and equal + 5 > total:
                    print(f"{task_name}, {shots} shots, document {doc}:\n  {got}\n  {expected}")
    return equal, total


def check_scores(program, name, manager_of):
    model, loaded = Random(), manager_of().load([name])
    for task in loaded["tasks"].values():
        task.set_config("num_fewshot", 0)
        task.set_fewshot_seed(SEED)
    results = evaluator.evaluate(model, loaded, bootstrap_iters=2, log_samples=True)["results"]
    said = {task: [[docs[doc][idx] for idx in sorted(docs[doc])] for doc in sorted(docs)] for task, docs in model.said.items()}
    (FOLDER / "answers.json").write_text(json.dumps(said))
    mine = ours(program, name, "scores", str(FOLDER / "answers.json"))
    equal = total = 0
    for task, numbers in mine.items():
        theirs = results[task]
        expected = {key for key in theirs if "," in key and "_stderr" not in key}
        assert expected == set(numbers), f"{task}: {sorted(numbers)}, expected {sorted(expected)}"
        for key, (value, error) in numbers.items():
            pairs = [(value, theirs[key])]
            metric, name = key.split(",")
            if metric in MEANS and task != "table":
                pairs.append((error, theirs[f"{metric}_stderr,{name}"]))
            for got, wanted in pairs:
                total += 1
                equal += (same := math.isclose(got, wanted, rel_tol=1e-9, abs_tol=1e-12))
                if not same:
                    print(f"{task}, {key}: {got}, expected {wanted}")
    return equal, total


def main():
    program = sys.argv[1]
    write_data()
    names, group = write_tasks()
    manager = TaskManager(include_path=str(FOLDER), include_defaults=False)
    failed = False
    for what, check, wanted in [("requests", check_prompts, names + [group]), ("scores", check_scores, names)]:
        sums = [0, 0]
        for name in wanted:
            equal, total = check(program, name, lambda: manager)
            print(f"{name:<12} {equal:>6} of {total:>6} {what} equal")
            sums = [sums[0] + equal, sums[1] + total]
        print(f"all          {sums[0]:>6} of {sums[1]:>6} {what} equal")
        failed |= sums[0] != sums[1]
    sys.exit(failed)


if __name__ == "__main__":
    main()
