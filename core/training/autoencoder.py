"""Training an autoencoder on the shapes of a dataset, by the Chamfer distance of its reconstructions.

Everything random is a function of (seed, epoch, batch), and the state after each epoch is one file, written whole: a
training that was killed goes on after its last epoch with the same numbers.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from core.datasets import Dataset
from core.events import Cancel, Done, Epoch, Event, Progress
from core.models.autoencoder import Autoencoder, AutoencoderOptions, chamfer_loss
from core.models.port import evaluating
from core.options import Options, option
from core.runtime.devices import seeded
from core.runtime.files import FormatError, atomic_path

STATE = "autoencoder.safetensors"
"""Weights, Adam's moments and the options of a training, in its folder."""


class AutoencoderTraining(Options):
    """How an autoencoder is trained."""

    epochs: int = option(40, "Passes over the training clouds.", low=1, high=100_000)
    batch_size: int = option(32, "Clouds of a batch.", low=1, high=4096)
    learning_rate: float = option(1e-3, "Adam's first; it falls to 0 along a cosine.", low=0.0, high=1.0)
    points: int = option(512, "Points of a cloud that are encoded, and others that it is compared with.", low=1)
    validation: float = option(0.1, "Share of the train split that is held out to measure.", low=0.01, high=0.5)
    seed: int = option(0, "Source of initial weights, batches and points.", low=0)
    model: AutoencoderOptions = AutoencoderOptions()


def train_autoencoder(
    dataset: Dataset, options: AutoencoderTraining, folder: Path, cancel: Cancel | None = None
) -> Iterator[Event]:
    """Train on the train split, or go on with the training in ``folder``; the test split is never read.

    Yields
    ------
    Progress of each epoch, Epoch with the Chamfer distances (square unit-sphere radii) of training and validation
    clouds, then Done with the ``Autoencoder`` in eval mode.

    Raises
    ------
    FormatError
        If the folder holds the state of a training with other options or another dataset, or a damaged one.
    """
    text = options.model_dump_json() + dataset.card.fingerprint
    with seeded(options.seed, torch.device("cpu")):
        model = Autoencoder(options.model)
    optimiser = torch.optim.Adam(model.parameters(), lr=options.learning_rate)
    path = folder / STATE
    begun = _restore(path, text, model, optimiser) if path.is_file() else 0
    rows, held = dataset.validation(options.validation, options.seed)
    points = dataset.split("train").points
    steps = math.ceil(len(rows) / options.batch_size)
    for epoch in range(begun, options.epochs):
        model.train()
        total = 0.0
        random = _generator(options.seed, epoch)
        order = rows[torch.randperm(len(rows), generator=random).numpy()]
        for step, chosen in enumerate(np.array_split(order, steps)):
            if cancel and cancel.requested:
                yield Done(model.eval(), complete=False)
                return
            done = (epoch * steps + step) / (options.epochs * steps)
            for group in optimiser.param_groups:
                group["lr"] = options.learning_rate * (1 + math.cos(math.pi * done)) / 2
            encoded, compared = _two_samples(points[chosen], options.points, random)
            loss = chamfer_loss(model(encoded), compared).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += float(loss.detach()) * len(chosen)
            yield Progress(step + 1, steps, f"epoch {epoch + 1} of {options.epochs}")
        measured = chamfer_of(model, points, held, options.points)
        folder.mkdir(parents=True, exist_ok=True)
        _keep(path, text, epoch + 1, model, optimiser)
        yield Epoch(epoch + 1, options.epochs, {"chamfer": total / len(rows), "validation_chamfer": measured})
    yield Done(model.eval())


def chamfer_of(model: Autoencoder, points: NDArray[np.float32], rows: NDArray[np.int64], encoded: int) -> float:
    """Mean Chamfer loss of the reconstructions of clouds ``points[rows]`` (n, P, 3) from their first points.

    It is measured against all P points, in square unit-sphere radii.
    """
    total = 0.0
    with evaluating(model), torch.no_grad():
        for part in np.array_split(rows, math.ceil(len(rows) / 64)):
            clouds = torch.from_numpy(np.array(points[part]))
            total += float(chamfer_loss(model(clouds[:, :encoded]), clouds).sum())
    return total / len(rows)


def _two_samples(points: NDArray[np.float32], count: int, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two random samples (B, count, 3) of the points of each cloud (B, P, 3), apart where there are enough points."""
    clouds = torch.from_numpy(np.array(points))
    order = torch.rand(clouds.shape[:2], generator=random).argsort(1)
    first, last = order[:, :count], order[:, -count:]
    return tuple(clouds.gather(1, part[..., None].expand(-1, -1, 3)) for part in (first, last))  # type: ignore[return-value]


def _generator(*place: int) -> torch.Generator:
    return torch.Generator().manual_seed(int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0]) >> 1)


def _keep(path: Path, text: str, epochs: int, model: Autoencoder, optimiser: torch.optim.Adam) -> None:
    tensors = {f"model/{name}": value.detach().contiguous() for name, value in model.state_dict().items()}
    for place, values in optimiser.state_dict()["state"].items():
        tensors |= {f"adam/{place}/{name}": value.contiguous() for name, value in values.items()}
    with atomic_path(path) as part:
        part.write_bytes(save(tensors, {"training": text, "epochs": str(epochs)}))


def _restore(path: Path, text: str, model: Autoencoder, optimiser: torch.optim.Adam) -> int:
    """Load a state that was kept; returns the epochs that are done."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception:
        raise FormatError(path, "it is damaged", "remove it, and train anew") from None
    if metadata.get("training") != text:
        raise FormatError(path, "it is of a training with other options or data", "choose another folder")
    model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model/")})
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("adam/"):
            _, place, kind = name.split("/")
            state.setdefault(int(place), {})[kind] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
    return int(metadata["epochs"])
