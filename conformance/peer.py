"""lm-evaluation-harness on the CPU, without a network, and the models both sides read: what eval.py and bench_eval.py share.

Import this after the other files of this folder: one of them has the package's name, so that the folder is not searched
from here on.
"""

import logging as plain_logging
import os
import sys
from pathlib import Path

sys.path = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).parent.resolve()]
os.environ |= {"HF_DATASETS_OFFLINE": "1", "DISABLE_MULTIPROC": "1", "LMEVAL_LOG_LEVEL": "ERROR"}
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch  # noqa: E402
import transformers  # noqa: E402
from lm_eval import evaluator  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers  # noqa: E402

transformers.utils.logging.disable_progress_bar()
transformers.utils.logging.set_verbosity_error()
plain_logging.getLogger("lm_eval").setLevel(plain_logging.ERROR)

SEED = 1234  # lm-eval's own of the shots
END = "<|endoftext|>"


def expand(file, folder):
    """The weights and the tokenizer of a GGUF file as transformers reads them, in F32, so that they are read once: it takes
    transformers a minute."""
    done = folder / "made.txt"
    made = f"{file.name} by transformers {transformers.__version__}"
    if not done.exists() or done.read_text() != made:
        print(f"transformers expands {file.name} (once, a minute)", file=sys.stderr)
        named = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name}
        transformers.AutoTokenizer.from_pretrained(**named).save_pretrained(folder)
        model = transformers.AutoModelForCausalLM.from_pretrained(**named, dtype=torch.float32)
        # Its weights are expanded; transformers still thinks of it as quantised, and would not save it.
        model.hf_quantizer = None
        del model.config.quantization_config
        model.save_pretrained(folder)
        done.write_text(made)
    return folder


def save(model, tokenizer, folder):
    """A folder that both sides can open."""
    model.save_pretrained(folder)
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END, bos_token=END).save_pretrained(folder)
    return folder


def small_tokenizer(lines, size):
    """A byte-level BPE as Pythia's, its END the token 0."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer.train_from_iterator(
        lines,
        trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, special_tokens=[END], show_progress=False),
    )
    return tokenizer


def open_model(folder, batch):
    """lm-eval's HF backend in F32."""
    return HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=batch)


def with_batch(model, batch, softmax=None):
    """The same model with another batch size, and another type for the softmax over the vocabulary."""
    return HFLM(
        pretrained=model.model, tokenizer=model.tokenizer, device="cpu", batch_size=batch, softmax_dtype=softmax
    )


def evaluate(model, folder, names, shots, limit=None):
    """What lm-eval says of task files in `folder`: `results`, `samples`."""
    manager = TaskManager(include_path=str(folder), include_defaults=False)
    return evaluator.simple_evaluate(
        model=model, tasks=names, num_fewshot=shots, limit=limit, bootstrap_iters=2, log_samples=True,
        task_manager=manager, fewshot_random_seed=SEED,
    )  # fmt: skip
