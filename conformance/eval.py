"""`saltus eval` against lm-evaluation-harness on the same weights: every log-probability, every generated text, every score.

Usage: eval.py SALTUS GGUF EXPANDED FOLDER. Small tasks of every kind are written here, with words of our own. The models are
SmolLM2-135M (EXPANDED is what transformers made of GGUF; Saltus reads GGUF itself), and a small random Pythia whose context
many of the texts do not fit. lm-eval runs with batches of 1 as it comes, and with batches of 8 and its option
`softmax_dtype=float64`: PyTorch's softmax in F32 over 49,152 tokens is off by 7e-6 nats a token, always to the same side,
which is more than LOGPROB for texts of 135 tokens and more.
"""

import json
import math
import random
import subprocess
import sys
import time
from pathlib import Path

import pandas
from models import make
from saltus import MARGIN, finish, hold, wrong

from peer import END, evaluate, expand, open_model, save, small_tokenizer, torch, transformers, with_batch

LOGPROB = 1e-3  # nats, of a whole continuation
SCORE = 1e-9  # of counts
SHOTS = [0, 3]
CONTEXT = 96  # of the small model
# Metrics whose standard error has a closed form.
MEANS = {"acc", "acc_norm", "acc_bytes", "acc_mutual_info", "exact_match"}
# Scores made of log-probabilities: as near as those are, relative.
CONTINUOUS = ("perplexity", "bits_per_byte", "brier_score")

THINGS = [
    ("a lemon", "yellow", "sour"), ("a tomato", "red", "juicy"), ("snow", "white", "cold"), ("coal", "black", "hard"),
    ("honey", "golden brown", "sweet"), ("grass", "green", "soft"), ("the sea", "dark blue", "salty"),
    ("a carrot", "bright orange", "crunchy"), ("a violet", "purple", "fragrant"), ("fog", "pale grey", "damp"),
    ("a brick", "rusty red", "heavy"), ("milk", "creamy white", "fresh"), ("an olive", "dull green", "bitter"),
    ("a peach", "soft pink", "ripe"), ("a crow", "jet black", "clever"), ("sand", "light brown", "dry"),
]  # fmt: skip
PAGES = [
    "",
    "The ferry left at six. Nobody on deck spoke, and the gulls, which had followed the boat since the harbour, gave up "
    "one after the other. By noon the coast was a thin line; by three o'clock there was none.\n",
    "To make the soup, cut two onions, let them turn soft in butter, and add a litre of water. Salt it late. "
    "It keeps for three days, and it is better on the second.",
    "Numbers: 3, 14, 159, 2653. Words: ein, deux, tre. Signs: {a} <b> [c] \"d\" 'e' \\n — …\n\n\tEnd.",
]


def write_data(folder):
    """Questions and texts, from a few tables and a seed."""
    rng = random.Random(5)

    def lines(name, rows):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")

    def question(i):
        thing, colour, kind = THINGS[i % len(THINGS)]
        about, right, column = ("colour", colour, 1) if i % 2 else ("taste or feel", kind, 2)
        others = rng.sample([row[column] for row in THINGS if row[column] != right], 3)
        options = rng.sample([right, *others], 4)
        return {"thing": thing, "about": about, "options": options, "answer": options.index(right)}

    lines("asked.jsonl", [question(i) for i in range(14)])
    lines("solved.jsonl", [question(rng.randrange(1000)) for _ in range(40)])
    lines("ends.jsonl", [{"start": f"{thing[0].upper()}{thing[1:]} is {colour} and", "end": kind, "thing": thing}
                         for thing, colour, kind in THINGS])
    lines("pages.jsonl", [{"page": page} for page in [" ".join(PAGES), *PAGES]])
    sums = [(rng.randrange(2, 30), rng.randrange(2, 30)) for _ in range(30)]
    lines("sums.jsonl", [{"q": f"{a} + {b}", "n": str(a + b)} for a, b in sums[:10]])
    lines("summed.jsonl", [{"q": f"{a} + {b}", "n": str(a + b)} for a, b in sums[10:]])
    lines("pairs.jsonl", [{"first": a[0], "second": b[0], "end": f"because it is {a[2]}.", "right": rng.randrange(2)}
                          for a, b in zip(THINGS[:8], THINGS[8:])])


def data(folder, **files):
    named = "".join(f"\n    {split}: {folder / name}" for split, name in files.items())
    return f"dataset_path: json\ndataset_kwargs:\n  data_files:{named}\n" + "".join(
        f"{split}_split: {split}\n" for split in files
    )


def tasks(folder):
    """Name and text of each task file."""
    questions = data(folder, test="asked.jsonl", training="solved.jsonl") + "fewshot_split: training\n"
    yield "fresh", questions + """
output_type: multiple_choice
doc_to_text: "What is the {{about}} of {{thing}}?\\nAnswer:"
doc_to_choice: options
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_norm}, {metric: acc_bytes}, {metric: brier_score}]
"""
    yield "letters", questions + """
output_type: multiple_choice
description: "Choose.\\n\\n"
doc_to_text: "{{about}} of {{thing}}\\n{% for o in options %}{{ 'ABCD'[loop.index0] }}. {{o}}\\n{% endfor %}Answer:"
doc_to_choice: [A, B, C, D]
doc_to_target: answer
fewshot_config: {sampler: first_n}
metric_list: [{metric: acc}, {metric: acc_norm}]
"""
    # The space at the end of the context goes over to the continuation.
    yield "mutual", questions + """
output_type: multiple_choice
doc_to_text: "The {{about}} of {{thing}}: "
doc_to_choice: options
doc_to_target: answer
target_delimiter: ""
metric_list: [{metric: acc}, {metric: acc_mutual_info}]
"""
    yield "contexts", data(folder, test="pairs.jsonl") + """
output_type: multiple_choice
doc_to_text: "{{right}}"
doc_to_choice: "{{['They chose ' + first, 'They chose ' + second]}}"
doc_to_target: "{{end}}"
num_fewshot: 0
metric_list: [{metric: acc}]
"""
    yield "ends", data(folder, test="ends.jsonl") + """
output_type: loglikelihood
doc_to_text: "{{start}}"
doc_to_target: "{{' ' + end}}"
fewshot_split: test
fewshot_config: {target_delimiter: ""}
metric_list: [{metric: perplexity}, {metric: acc}]
"""
    yield "pages", data(folder, test="pages.jsonl") + """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{page}}"
num_fewshot: 0
metric_list: [{metric: word_perplexity}, {metric: byte_perplexity}, {metric: bits_per_byte}]
"""
    yield "sums", data(folder, test="sums.jsonl", training="summed.jsonl") + r"""
output_type: generate_until
doc_to_text: "Q: {{q}} = ?\nA:"
doc_to_target: "{{n}}"
fewshot_split: training
fewshot_config: {sampler: first_n}
generation_kwargs: {until: ["\n\n", "Q:"], do_sample: false, max_gen_toks: 10}
metric_list: [{metric: exact_match}]
filter_list:
  - name: number
    filter:
      - {function: regex, regex_pattern: '(-?[0-9]+)'}
      - function: take_first
  - name: trimmed
    filter: [{function: remove_whitespace}, {function: take_first}]
"""


def write_tasks(folder):
    names = []
    for name, body in tasks(folder):
        (folder / f"{name}.yaml").write_text(f"task: {name}\n{body}", "utf-8")
        names.append(name)
    (folder / "both.yaml").write_text(
        "group: both\ntask: [fresh, letters]\naggregate_metric_list: [{metric: acc, weight_by_size: true}]\n"
    )
    # The group brings two of the tasks.
    return ["both", *(name for name in names if name not in ("fresh", "letters"))]


def write_pythia(folder):
    lines = [f"{thing} is {colour}, {kind}, {n} + {n}\nAnswer: {n * n}\n" for n, (thing, colour, kind) in enumerate(THINGS)]
    tokenizer = small_tokenizer([*lines, *PAGES], 400)
    config = transformers.GPTNeoXConfig(
        hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=256, vocab_size=400,
        max_position_embeddings=CONTEXT, bos_token_id=0, eos_token_id=0, pad_token_id=None,
    )  # fmt: skip
    return save(make(config, seed=3), tokenizer, folder)


class Theirs:
    """What lm-eval said in one number of shots."""

    def __init__(self, model, told):
        self.model, self.told = model, told

    def documents(self, task):
        """Of each document the sample: the first, where there is one for each filter."""
        documents = {}
        for sample in self.told["samples"][task]:
            documents.setdefault(sample["doc_id"], sample)
        return documents

    def scores(self):
        for task, numbers in self.told["results"].items():
            for key, value in numbers.items():
                if "," in key and "_stderr" not in key:
                    metric, name = key.split(",")
                    yield task, metric, name, value, numbers.get(f"{metric}_stderr,{name}")

    def behind(self, context, continuation):
        """By how much each token of the continuation is likelier (positive) or less likely than the best of the others."""
        start, rest = self.model._encode_pair(context, continuation)
        row = ((start or [self.model.prefix_token_id]) + rest)[-(self.model.max_length + 1) :]
        with torch.no_grad():
            logits = self.model.model(torch.tensor([row[:-1]])).logits[0, -len(rest) :].double()
        tokens = torch.tensor(rest)[:, None]
        return logits.gather(1, tokens)[:, 0] - logits.scatter(1, tokens, -math.inf).max(-1).values

    def margin_of_greedy(self, context, continuation, greedy):
        """How near all tokens were to being the likeliest, or the nearest of them to not being it."""
        lowest = self.behind(context, continuation).min().item()
        return lowest if greedy else -lowest

    def margin_of_text(self, context, text):
        """How near the first token of another greedy text was to being chosen (the text is encoded again for this)."""
        below = [-margin for margin in self.behind(context, text).tolist() if margin < 0]
        return below[0] if below else 0.0


def run_ours(saltus, model, names, folder, limit):
    files = [word for name in names for word in ("--task", folder / f"{name}.yaml")]
    out = folder / f"out-{Path(model).stem}"
    command = [saltus, "eval", "--model", model, *files, "--shots", ",".join(map(str, SHOTS)), "--truncate"]
    command += ["--limit", str(limit), "--out", out, "--json", "-q"]
    begun = time.perf_counter()
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        sys.exit(f"saltus eval ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout), pandas.read_parquet(out / "records"), time.perf_counter() - begun


def by_document(records):
    """(task, shots, document) to its rows by number of the candidate."""
    frame = records.sort_values(["task", "shots", "item", "candidate"])
    # A task of lm-eval is known by its own name, whatever file or group brought it.
    return {key: rows.to_dict("records") for key, rows in frame.groupby(["task", "shots", "item"])}


def compare_answers(name, theirs, shots, ours, tally):
    for task in theirs.told["samples"]:
        for document, sample in theirs.documents(task).items():
            rows = ours.get((task, theirs_shots(theirs, task, shots), document))
            if rows is None:
                wrong.append(f"{name}: {task}, {shots} shots: document {document} is missing")
                continue
            answers = [answer for (answer,) in sample["resps"]]
            if len(answers) != len(rows):
                wrong.append(f"{name}: {task}, {shots} shots, document {document}: {len(rows)} rows, not {len(answers)}")
                continue
            for number, (answer, row) in enumerate(zip(answers, rows)):
                where = f"{name}: {task}, {shots} shots, document {document}, candidate {number}"
                compare_answer(where, theirs, sample["arguments"][number], answer, row, tally)


def theirs_shots(theirs, task, shots):
    return min(shots, theirs.told["n-shot"].get(task, shots))


def compare_answer(where, theirs, arguments, answer, row, tally):
    """One answer of lm-eval, one row of the records."""
    if row["unscored"] is not None and not isinstance(row["unscored"], float):
        wrong.append(f"{where}: unscored: {row['unscored']}")
    elif isinstance(answer, str):
        tally["texts"] += 1
        if answer == row["generated_text"]:
            tally["equal texts"] += 1
            return
        # Of an empty text there is no margin: it counts as far.
        margin = theirs.margin_of_text(arguments[0], row["generated_text"]) if row["generated_text"] else math.inf
        print(f"{where}: {row['generated_text']!r}, not {answer!r}: margin {margin:.2g}")
        tally["near" if margin < MARGIN else "far"] += 1
    else:
        value, greedy = answer if isinstance(answer, (list, tuple)) else (answer, None)
        tally["log-probabilities"] += 1
        off = abs(value - row["logprob"])
        tally["greatest"] = max(tally["greatest"], off)
        tally["within"] += off <= LOGPROB
        if not off <= LOGPROB:
            print(f"{where}: log-probability {row['logprob']}, not {value}")
        if greedy is not None:
            tally["greedy"] += 1
            if bool(row["is_greedy"]) == greedy:
                tally["equal greedy"] += 1
            else:
                margin = theirs.margin_of_greedy(*arguments, greedy)
                print(f"{where}: greedy {row['is_greedy']}, not {greedy}: margin {margin:.2g}")
                tally["near" if margin < MARGIN else "far"] += 1


def by_score(said):
    """(task or group, shots, metric, filter) to all scores of that name."""
    scores = {}
    for cell in said["cells"]:
        for score in cell["scores"]:
            scores.setdefault((cell["task"], cell["shots"], score["metric"], score["filter"]), []).append(score)
    for score in said["aggregates"]:
        scores.setdefault((score["name"], score["shots"], *score["metric"].split(",")), []).append(score)
    return scores


def compare_scores(name, theirs, shots, ours, tally):
    for task, metric, filtered, value, error in theirs.scores():
        where = f"{name}: {task}, {shots} shots, {metric},{filtered}"
        tally["scores"] += 1
        found = ours.get((task, theirs_shots(theirs, task, shots), metric, filtered), [])
        if len(found) != 1:
            wrong.append(f"{where}: scores {[score['value'] for score in found]}, not {value}")
            continue
        score = found[0]
        tolerance = LOGPROB * abs(value) if metric.endswith(CONTINUOUS) else SCORE
        if abs(score["value"] - value) <= tolerance:
            tally["equal scores"] += 1
        else:
            wrong.append(f"{where}: {score['value']}, not {value}")
        if metric in MEANS:
            tally["errors"] += 1
            tally["equal errors"] += math.isclose(score["standard_error"], error, rel_tol=SCORE, abs_tol=SCORE)


def spread(one, other):
    """The greatest difference of lm-eval from itself."""
    number = lambda answer: answer[0] if isinstance(answer, (list, tuple)) else answer  # noqa: E731
    return max(
        abs(number(a[0]) - number(b[0]))
        for task, first in one.told["samples"].items()
        for x, y in zip(first, other.told["samples"][task], strict=True)
        for a, b in zip(x["resps"], y["resps"], strict=True)
        if not isinstance(a[0], str)
    )


def check(name, saltus, model, folder, expanded, names, limit, shots_of):
    """`shots_of`: the numbers of shots that lm-eval answers as it comes, and those with its better softmax."""
    begun = time.perf_counter()
    single = open_model(expanded, 1)
    better = with_batch(single, 8, "float64")
    plain, exact = (
        [(n, Theirs(single, evaluate(peer, folder, names, n, limit))) for n in shots]
        for peer, shots in zip((single, better), shots_of)
    )
    between = time.perf_counter()
    said, records, seconds = run_ours(saltus, model, names, folder, limit)
    print(f"{name:<26} lm-eval {between - begun:.0f} s, Saltus {seconds:.1f} s for {len(records)} records")
    answers, scores = by_document(records), by_score(said)
    tallies = []
    for told in (plain, exact):
        tally = dict.fromkeys(["log-probabilities", "within", "greedy", "equal greedy", "texts", "equal texts", "near", "far",
                               "scores", "equal scores", "errors", "equal errors", "greatest"], 0)  # fmt: skip
        for shots, theirs in told:
            compare_answers(name, theirs, shots, answers, tally)
            compare_scores(name, theirs, shots, scores, tally)
        tallies.append(tally)
    print_tally(f"{name}, batch 1", tallies[0])
    print_tally(f"{name}, batch 8", tallies[1])
    hold(name, f"{tallies[1]['log-probabilities']} log-probabilities, most", tallies[1]["greatest"], LOGPROB, "nats")
    off = max(spread(one, other) for (_, one), (_, other) in zip(plain, exact))
    print(f"{name:<26} lm-eval from itself in another batch, with another softmax: {off:.2g} nats")


def print_tally(name, tally):
    for what in ("greedy", "texts", "scores", "errors"):
        print(f"{name:<26} {tally[f'equal {what}']} of {tally[what]} {what} equal")
    within = f"{tally['within']} of {tally['log-probabilities']} log-probabilities within {LOGPROB:g} nats"
    print(f"{name:<26} {within}, most {tally['greatest']:.2g}")
    if tally["near"]:
        print(f"{name:<26} {tally['near']} greedy tokens lie within {MARGIN:g} of another: either may be said")
    hold(name, "greedy answers or texts that differ by more", tally["far"], 0)
    hold(name, "standard errors that differ", tally["errors"] - tally["equal errors"], 0)


def main():
    _, saltus, gguf, expanded, folder = sys.argv
    folder, gguf = Path(folder), Path(gguf)
    write_data(folder)
    names = write_tasks(folder)
    pythia = write_pythia(folder / "pythia")
    # Threads would wait for one another: its products are small.
    torch.set_num_threads(1)
    check("random Pythia", saltus, pythia, folder, pythia, names, 16, (SHOTS, SHOTS))
    torch.set_num_threads(2)
    # A batch of 1 is slow in lm-eval.
    check("SmolLM2-135M", saltus, gguf, folder, expand(gguf, Path(expanded)), names, 4, ([0], SHOTS))
    finish()


if __name__ == "__main__":
    main()
