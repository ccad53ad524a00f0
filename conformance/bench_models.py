"""Speed of transformers and llama.cpp on one model: prints {"tokens_per_s", "seconds", "peer"} as JSON.

`make FOLDER`: a random model of the shape of SmolLM2-135M, saved in F32. Otherwise MODEL WORK THREADS: `load`, `score`
(log-probabilities of every token of 8 x 512), `generate` (64 tokens for each of 32 prompts of 32), `single` (64 tokens for
one prompt, a GGUF file in llama.cpp). Nothing here knows about Saltus.
"""

import json
import sys
import time


def make(folder):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=49152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        rope_theta=100000.0,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def with_transformers(path, work, threads):
    """Seconds of the work, and tokens; once to warm up and once to count."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def load():
        return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)

    model = load()
    rows = torch.randint(49152, (8, 512))
    prompts = torch.randint(49152, (32, 32))

    def score():
        logits = model(rows).logits[:, :-1]
        logits.log_softmax(-1).gather(-1, rows[:, 1:, None])
        return rows.numel()

    def generate():
        said = model.generate(prompts, max_new_tokens=64, min_new_tokens=64, do_sample=False, pad_token_id=0)
        return said.shape[0] * 64

    calls = {"load": lambda: load() and 1, "score": score, "generate": generate}
    with torch.inference_mode():
        calls[work]()
        begun = time.perf_counter()
        tokens = calls[work]()
        return tokens, time.perf_counter() - begun, f"transformers on torch {torch.__version__}"


def with_llama_cpp(path, threads):
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = 512
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    server = xllamacpp.Server(params)
    request = {"prompt": "Once upon a time", "n_predict": 64, "temperature": 0, "ignore_eos": True, "cache_prompt": False}
    server.handle_completions(request)
    begun = time.perf_counter()
    answer = server.handle_completions(request)
    seconds = time.perf_counter() - begun
    timings = answer.get("timings", {})
    return 64, timings.get("predicted_ms", seconds * 1e3) / 1e3, "llama.cpp (xllamacpp)"


def main():
    if sys.argv[1] == "make":
        make(sys.argv[2])
        return
    path, work, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    tokens, seconds, peer = with_llama_cpp(path, threads) if work == "single" else with_transformers(path, work, threads)
    print(json.dumps({"tokens_per_s": tokens / seconds, "seconds": seconds, "peer": peer}))


main()
