"""``python -m tests.bench.maxima`` prints how much faster maxima by products of bytes make a gradient and a verdict.

Of 32 clouds of 1,024 points of the shipped PointNet, by each set of instructions that this processor has and by all
products, in turn in one process.
"""

import argparse
from copy import deepcopy
from statistics import median
from time import perf_counter
from unittest.mock import patch

import torch

from core.attacks import evaluate
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.models.checkpoints import builtin_models, load_model
from core.models.fast import peaks
from core.runtime.threads import set_threads

CLOUDS, POINTS = 32, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    set_threads()
    shapes = [make_shape(CATEGORIES[i % len(CATEGORIES)], [i, True])[:POINTS] for i in range(CLOUDS)]
    x, y = torch.stack([torch.as_tensor(shape).float() for shape in shapes]), torch.arange(CLOUDS) % len(CATEGORIES)
    model = load_model(builtin_models()["pointnet-simple"]).module
    ways = [None, *peaks.instruction_sets()]
    models = {way: deepcopy(model) for way in ways}
    print("| maxima by | gradient | verdict |\n|---|---|---|")
    times = {(way, gradient): [] for way in ways for gradient in (True, False)}
    for _ in range(rounds + 1):  # the first folds the weights, and is not counted
        for (way, gradient), taken in times.items():
            with patch.object(peaks, "int8_instructions", lambda way=way: way):
                start = perf_counter()
                evaluate(models[way], x, y, gradient=gradient)
                taken.append(1000 * (perf_counter() - start))
    for way in ways:
        cells = []
        for gradient in (True, False):
            taken, usual = times[way, gradient][1:], times[None, gradient][1:]
            ratio = median(slow / fast for slow, fast in zip(usual, taken, strict=True))
            cells.append(f"{median(taken):.0f} ms, {ratio:.2f} times as fast")
        print(f"| {way or 'all products'} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
