"""Training speed of PyTorch eager on one shape: prints {"tokens_per_s", "steps", "threads", "torch", "precision"}
as JSON.

The decoder is written the way PyTorch users write it for speed in eager mode: fused projections, fused attention,
fused AdamW, no synchronisation inside a step. f32, on the CPU, its matrix products in the precision asked for. Nothing
here knows about Saltus.
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn

#         width, layers, heads, context, vocabulary, hidden, batch
SHAPES = {
    "xs": (64, 2, 2, 64, 64, 176, 64),
    "s": (128, 4, 4, 128, 256, 352, 32),
    "m": (384, 6, 6, 256, 4096, 1024, 8),
}


def rotary_tables(context, head_dim, base=10000.0):
    """cos and sin, each (context, head_dim)."""
    frequency = base ** (-torch.arange(0, head_dim, 2).float() / head_dim)
    angle = torch.outer(torch.arange(context).float(), frequency).repeat(1, 2)
    return angle.cos(), angle.sin()


def rotate(x, cos, sin):
    """Rotary position embedding of x: (batch, heads, context, head_dim)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat((-second, first), dim=-1) * sin


class Block(nn.Module):
    """Pre-norm attention and SwiGLU, each added to the residual stream."""

    def __init__(self, width, heads, hidden):
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.RMSNorm(width, eps=1e-5)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.mlp_norm = nn.RMSNorm(width, eps=1e-5)
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x, cos, sin):
        batch, context, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(batch, context, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, context, width))
        gate, up = self.gate_up(self.mlp_norm(x)).chunk(2, dim=-1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    """Tokens (batch, context) to logits (batch, context, vocabulary); the head is its own matrix."""

    def __init__(self, width, layers, heads, context, vocabulary, hidden):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))
        self.norm = nn.RMSNorm(width, eps=1e-5)
        self.head = nn.Linear(width, vocabulary, bias=False)
        cos, sin = rotary_tables(context, width // heads)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return self.head(self.norm(x))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--shape", choices=SHAPES, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--precision", choices=("highest", "high", "medium"), required=True)
    arguments = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(arguments.threads)
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision(arguments.precision)
    *shape, batch = SHAPES[arguments.shape]
    _, _, _, context, vocabulary, _ = shape
    model = Decoder(*shape)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.98), weight_decay=0.1, fused=True)
    rows = torch.randint(vocabulary, (8, batch, context + 1))

    def step(number):
        row = rows[number % len(rows)]
        logits = model(row[:, :-1])
        loss = F.cross_entropy(logits.flatten(0, 1), row[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    # Warm up for a fifth of the time, at least three steps.
    begin, steps = time.perf_counter(), 0
    while steps < 3 or time.perf_counter() - begin < arguments.seconds / 5:
        step(steps)
        steps += 1

    begin, steps = time.perf_counter(), 0
    while time.perf_counter() - begin < arguments.seconds:
        step(steps)
        steps += 1
    seconds = time.perf_counter() - begin

    print(json.dumps({
        "tokens_per_s": steps * batch * context / seconds,
        "steps": steps,
        "threads": arguments.threads,
        "torch": torch.__version__,
        "precision": arguments.precision,
    }))


if __name__ == "__main__":
    main()
