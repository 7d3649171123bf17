"""What processes that train together send to each other in a step, and what one computes meanwhile.

``torchrun --standalone --nproc-per-node 2 -m tests.bench.shares`` prints the first, ``python -m tests.bench.shares``
the second, in CPU time, which other work on the machine changes little.
"""

import time
from collections.abc import Callable

import torch
import torch.distributed as dist

from core.models import build
from core.runtime.devices import seeded
from core.training import TrainOptions, leads
from core.training.batches import Batch
from core.training.learner import Learner
from core.training.regimes import REGIMES
from core.training.shares import connect

FABRIC = connect("cpu", "32-true")


def step(model: str, regime: str, clouds: int, points: int) -> tuple[Callable[[], None], int]:
    """A training step with random clouds, and the bytes of its gradients."""
    options = TrainOptions.model_validate({"model": model, "regime": regime, "batch_size": clouds, "points": points})
    learner = Learner(FABRIC, build(model, 40), None, options)
    batch = Batch(torch.randn(clouds, points, 3) / 3, torch.arange(clouds), 0)

    def take() -> None:
        with seeded(0, torch.device("cpu")):
            REGIMES[options.regime].learn(learner, *learner.take(batch))

    return take, sum(weight.nbytes for weight in learner.model.parameters())


def print_exchanges() -> None:
    sizes: list[int] = []
    original = dist.all_reduce

    def counted(tensor: torch.Tensor, *args: object, **kwargs: object) -> object:
        sizes.append(tensor.nbytes)
        return original(tensor, *args, **kwargs)

    dist.all_reduce = counted
    for model in ("pointnet", "dgcnn", "pointnet2-ssg", "curvenet"):
        take, gradients = step(model, "pgd", 8, 256)
        sizes.clear()
        take()
        if leads():
            print(f"{model}: gradients {gradients / 1e6:.1f} MB, sums {sum(sizes) / 1e6:.2f} MB in {len(sizes)}")


def print_times() -> None:
    torch.set_num_threads(1)
    for model, regime in (("pointnet", "simple"), ("pointnet", "pgd"), ("dgcnn", "simple")):
        take, _ = step(model, regime, 32, 1024)
        times = []
        for _ in range(3):
            begun = time.process_time()
            take()
            times.append(time.process_time() - begun)
        print(f"{model}, {regime}: {sorted(times)[1]:.2f} s")


if __name__ == "__main__":
    (print_exchanges if FABRIC.world_size > 1 else print_times)()
