"""``python -m tests.bench.threads`` prints how long a gradient takes beside busy processes, by number of threads.

The gradient is that of 32 clouds of 1,024 points through the shipped PointNet, which every attack needs. Each cell is
the median of a few in a process of its own, with so many busy processes beside it. What else runs on the machine is
load too: the load average stands at the end of each line.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter

BUSY = "while True: pass"
WAYS: dict[str, dict[str, str]] = {
    "1 thread": {"POINTWARD_THREADS": "1"},
    "2 threads, as libraries wait by default": {"POINTWARD_THREADS": "2"},
    "2 threads, asleep at once": {"POINTWARD_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    "2 threads, soon asleep": {"POINTWARD_THREADS": "2", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "2000"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--loads", type=int, nargs="+", default=[0, 4, 11], help="Numbers of busy processes.")
    parser.add_argument("--rounds", type=int, default=3, help="Gradients in each process.")
    parser.add_argument("--measure", action="store_true", help="Measure in this process and print milliseconds.")
    options = parser.parse_args()
    if options.measure:
        print(measured(options.rounds))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # or the busy processes would stay
    print("| busy processes |", " | ".join(WAYS), "| load average |")
    print("|---" * (len(WAYS) + 2) + "|")
    for load in options.loads:
        with busy(load):
            cells = [f"{in_its_own_process(way, options.rounds):,.0f} ms" for way in WAYS.values()]
        print(f"| {load} |", " | ".join(cells), f"| {os.getloadavg()[0]:.1f} |", flush=True)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """So many processes that compute without end."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def in_its_own_process(environment: dict[str, str], rounds: int) -> float:
    """Median of a gradient, milliseconds, with these settings and no others."""
    names = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
    others = {name: value for name, value in os.environ.items() if name not in names}
    # by its path, for the package of the benchmarks changes how threads wait
    command = [sys.executable, "-P", __file__, "--measure", "--rounds", str(rounds)]
    environment = others | environment | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return float(done.stdout)


def measured(rounds: int) -> float:
    """Median of a gradient of 32 clouds in this process, milliseconds; the first one is not counted."""
    import torch

    from core.attacks import evaluate
    from core.models.checkpoints import builtin_models, load_model
    from core.runtime.threads import set_threads

    set_threads()
    module = load_model(builtin_models()["pointnet-simple"]).module
    torch.manual_seed(0)
    x, y = torch.rand(32, 1024, 3) * 2 - 1, torch.arange(32) % 16
    times = []
    for _ in range(rounds + 1):
        start = perf_counter()
        evaluate(module, x, y, gradient=True)
        times.append(1000 * (perf_counter() - start))
    return sorted(times[1:])[rounds // 2]


if __name__ == "__main__":
    main()
