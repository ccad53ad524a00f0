"""Time of lm-evaluation-harness's HF backend on tasks that `make` writes: prints {"seconds", "requests", "scores"} as JSON.

`make MODEL.gguf FOLDER QUESTIONS [SHOWN.json]`: the model in F32 with its tokenizer, and the tasks; SHOWN.json is what
`saltus tasks show bigbench-lite --json` prints, of which the multiple-choice questions become a task.
`ask FOLDER TASK BATCH`: the model is loaded before the clock starts. Nothing here runs Saltus.
"""

import json
import os
import random
import sys
import time
from pathlib import Path

import peer

# Common words, one token each after a space.
WORDS = (
    "time year people way day man thing woman life child world school state family student group country problem hand part "
    "place case week company system program question work government number night point home water room mother area money "
    "story fact month lot right study book eye job word business issue side kind head house service friend father power "
    "hour game line end member law car city community name president team minute idea body information back parent face "
    "others level office door health person art war history party result change morning reason research girl guy moment "
    "air teacher force education"
).split()

TASK = """task: {name}
dataset_path: json
dataset_kwargs: {{data_files: {{test: questions.jsonl, shots: solved.jsonl}}}}
test_split: test
fewshot_split: shots
num_fewshot: {shots}
output_type: multiple_choice
doc_to_text: "{{{{question}}}}\\nAnswer:"
doc_to_choice: {choices}
doc_to_target: "{{{{right}}}}"
metric_list: [{{metric: acc}}, {{metric: acc_norm}}]
{more}"""

LITE = """task: lite
dataset_path: json
dataset_kwargs: {data_files: {test: lite.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: prompt
doc_to_choice: choices
doc_to_target: "{{right}}"
target_delimiter: ""
metric_list: [{metric: acc}]
"""


def document(draw, length):
    """A question of so many tokens with four answers of five."""
    words = lambda n: " ".join(draw.choices(WORDS, k=n))  # noqa: E731
    return {"question": words(length), "answers": [words(5) for _ in range(4)], "right": draw.randrange(4)}


def tiny(folder, like):
    """A random model of 2 layers of 64 with the tokenizer of another."""
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    peer.torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(like)
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=192, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=4, tie_word_embeddings=True,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make(file, folder, questions, shown):
    folder.mkdir(parents=True, exist_ok=True)
    peer.expand(Path(file), folder / "model")
    tiny(folder / "tiny", folder / "model")
    draw = random.Random(0)
    write = lambda name, docs: (folder / name).write_text("".join(json.dumps(doc) + "\n" for doc in docs))  # noqa: E731
    write("questions.jsonl", [document(draw, 57) for _ in range(questions)])
    # Five of these, each with its answer, are 600 tokens.
    write("solved.jsonl", [document(draw, 111) for _ in range(40)])
    first, letters = "fewshot_config: {sampler: first_n}\n", '["A", "B", "C", "D"]'
    tasks = {"fixed": ("answers", 5, first), "fresh": ("answers", 5, ""), "letters": (letters, 5, first)}
    for name, (choices, shots, more) in tasks.items():
        (folder / f"{name}.yaml").write_text(TASK.format(name=name, choices=choices, shots=shots, more=more))
    for items in (1000, 10_000, 100_000):
        write(f"many-{items}.jsonl", [document(draw, 12) for _ in range(items)])
        task = TASK.format(name="many", choices="answers", shots=0, more="")
        (folder / f"many-{items}.yaml").write_text(task.replace("questions.jsonl", f"many-{items}.jsonl"))
    if shown:
        write("lite.jsonl", list(lite(json.loads(Path(shown).read_text()))))
        (folder / "lite.yaml").write_text(LITE)


def lite(sheets):
    """The multiple-choice questions among what `saltus tasks show` prints, prompts as they are."""
    for sheet in sheets:
        for question in sheet["questions"]:
            choices = [c for c in question["candidates"] if c["role"] == "choice" and c["text"]]
            if len(choices) > 1 and not question["prompt"][-1:].isspace():
                right = max(range(len(choices)), key=lambda i: choices[i]["score"])
                yield {"prompt": question["prompt"], "choices": [c["text"] for c in choices], "right": right}
            elif len(choices) > 1:
                # lm-eval moves white space over to the answer: the same in both, but other tokens than BIG-bench's.
                space = question["prompt"][len(question["prompt"].rstrip()) :]
                right = max(range(len(choices)), key=lambda i: choices[i]["score"])
                texts = [space + c["text"] for c in choices]
                yield {"prompt": question["prompt"].rstrip(), "choices": texts, "right": right}


def ask(folder, task, batch):
    # Data files are looked for from here.
    os.chdir(folder)
    folder = Path.cwd()
    model = peer.open_model(folder / "model", batch)
    begun = time.perf_counter()
    said = peer.evaluate(model, folder, [task], None)
    seconds = time.perf_counter() - begun
    scores = {name: value for name, value in said["results"][task].items() if isinstance(value, float)}
    requests = sum(len(sample["arguments"]) for sample in said["samples"][task])
    print(json.dumps({"seconds": seconds, "requests": requests, "scores": scores}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]), *(sys.argv[5:] or [None]))
    else:
        ask(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
