"""Refits of the Chinchilla law with SciPy, as people do it. Usage: fit_scipy.py RUNS REFITS; prints seconds and estimates.

The objective is that of arXiv 2203.15556, approach 3, as a sum; each refit of resampled runs starts at the best fit of all
runs. `numerical` leaves the gradient to SciPy, `analytic` is given it.
"""

import csv
import json
import sys
import time

import numpy as np
from scipy.optimize import minimize
from scipy.special import logsumexp

DELTA = 1e-3


def objective(theta, n, d, y):
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * n, b - beta * d, np.full_like(n, e)])
    residual = logsumexp(terms, axis=0) - y
    clipped = np.clip(residual, -DELTA, DELTA)
    return np.sum(clipped * (residual - 0.5 * clipped))


def with_gradient(theta, n, d, y):
    a, b, e, alpha, beta = theta
    terms = np.stack([a - alpha * n, b - beta * d, np.full_like(n, e)])
    total = logsumexp(terms, axis=0)
    residual = total - y
    clipped = np.clip(residual, -DELTA, DELTA)
    shares = np.exp(terms - total) * clipped
    size, data, rest = shares
    gradient = np.array([size.sum(), data.sum(), rest.sum(), -(size * n).sum(), -(data * d).sum()])
    return np.sum(clipped * (residual - 0.5 * clipped)), gradient


def main():
    with open(sys.argv[1], newline="") as file:
        rows = [[float(row[key]) for key in ("params", "tokens", "loss")] for row in csv.DictReader(file)]
    # The five highest losses are left out (arXiv 2404.10102).
    rows = np.array(sorted(rows, key=lambda row: -row[2])[5:])
    n, d, y = np.log(rows).T
    best = min(
        (minimize(with_gradient, [a, b, e, alpha, beta], (n, d, y), "BFGS", jac=True, options={"gtol": 1e-9})
         for a in (5, 10) for b in (5, 10) for e in (0, 0.5) for alpha in (0.2, 0.5) for beta in (0.2, 0.5)),
        key=lambda found: found.fun,
    )  # fmt: skip
    told = {"objective": best.fun, "alpha": best.x[3], "beta": best.x[4]}
    generator = np.random.default_rng(0)
    draws = [generator.integers(0, len(n), len(n)) for _ in range(int(sys.argv[2]))]
    for name, function, jacobian in (("numerical", objective, None), ("analytic", with_gradient, True)):
        begun = time.perf_counter()
        found = [minimize(function, best.x, (n[i], d[i], y[i]), "BFGS", jac=jacobian).x for i in draws]
        told[name] = time.perf_counter() - begun
        told[f"beta by {name}"] = list(np.quantile([x[4] for x in found], [0.025, 0.975]))
    print(json.dumps(told))


main()
