"""A fresh discriminator fitted on the latents of a finished model: can clean and adversarial still be told apart?

The discriminator that trained along ends near 50 % both where the latents agree and where it has died; a new one that
has nothing to do but this tells the two cases apart.

What it finds depends on how batch norm normalises the latents, so it is measured in each of ``MODES``. In training a
model is in train mode, and what the discriminator of the training saw were the latents of "separate" batches, or of
"concatenated" ones where the training's updates were; a model that is used is in eval mode.
"""

import math
from collections.abc import Iterator, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.attacks import Attack
from core.datasets import Dataset, Split
from core.evaluation.accuracy import EvaluationOptions, Rate, chosen_clouds
from core.events import Cancel, Done, Event, Progress, forward, result
from core.models import eval_view
from core.models.discriminator import ADVERSARIAL, REAL, discriminator_of
from core.models.port import batch_statistics
from core.models.predict import device_of
from core.runtime.devices import seeded

MODES: Mapping[str, str] = {
    "eval": "eval mode",
    "separate": "train mode, clean and adversarial batches apart",
    "concatenated": "train mode, clean and adversarial in one batch",
}
"""Of a model while its latents are taken, and their names for people. eval: batch norm uses its running statistics.
separate and concatenated: it uses those of the batch, which holds clouds of one kind, or clean clouds and their
adversarial versions."""

STEPS, LEARNING_RATE = 400, 1e-3
PROBED = 2000
"""Training clouds that it is fitted on, at most."""

Pair = tuple[Tensor, Tensor]
"""Latents (n, D) of clean clouds and of their adversarial versions."""


def probe(
    model: nn.Module,
    dataset: Dataset,
    attack: Attack,
    options: EvaluationOptions,
    width: int,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack training clouds and the test clouds of ``options``, fit a discriminator on the former, try the latter.

    The attack is made on the model in eval mode; batches are drawn at random from all classes, as in training.

    Parameters
    ----------
    width : hidden units of the discriminator.

    Yields
    ------
    Progress, then Done with the accuracy (``Rate``) on the test clouds in each of ``MODES``; None if it was stopped.
    """
    fit = options.model_copy(update={"clouds": min(PROBED, options.clouds or PROBED), "without_copies": False})
    chosen = {"train": fit, "test": options}
    sizes = {name: len(chosen_clouds(dataset.split(name), each)) for name, each in chosen.items()}
    found: list[dict[str, Pair]] = []
    for name, each in chosen.items():
        latents = yield from forward(
            _latents(model, dataset.split(name), attack, each, cancel),
            before=sizes["train"] if found else 0,
            weight=sizes[name],
            total=sum(sizes.values()),
            text=f"latents of {name} clouds",
        )
        if not latents.complete:
            yield Done(None, complete=False)
            return
        found.append(latents.value)
    fitted, test = found
    yield Done({mode: fresh_discriminator(fitted[mode], test[mode], width) for mode in MODES})


def _latents(
    model: nn.Module, split: Split, attack: Attack, options: EvaluationOptions, cancel: Cancel | None
) -> Iterator[Event]:
    """Latents of the chosen clouds, clean and adversarial, in each of ``MODES``; None if it was stopped."""
    rows = np.random.default_rng(options.seed).permutation(chosen_clouds(split, options))
    device, generator = device_of(model), torch.Generator().manual_seed(options.seed)
    parts: dict[str, list[Pair]] = {mode: [] for mode in MODES}
    done = 0
    # of nearly equal size: the statistics of a last batch of two clouds would be those of no training
    for chosen in np.array_split(rows, math.ceil(len(rows) / options.batch_size)):
        points = torch.from_numpy(np.array(split.points[chosen, : options.points])).to(device)
        label = torch.from_numpy(split.labels[chosen]).to(device)
        moved = result(attack.run(model, points, label, generator, cancel)).adversarial
        for mode, pair in latents_in_modes(model, points, moved).items():
            parts[mode].append(pair)
        done += len(chosen)
        yield Progress(done, len(rows))
        if cancel and cancel.requested:
            yield Done(None, complete=False)
            return
    yield Done({mode: tuple(map(torch.cat, zip(*pairs, strict=True))) for mode, pairs in parts.items()})


def latents_in_modes(model: nn.Module, clean: Tensor, adversarial: Tensor) -> dict[str, Pair]:
    """Latents of one batch of clouds (B, N, 3) and of their adversarial versions in each of ``MODES``, on the CPU.

    The model is left in its own mode, with its own running statistics.
    """
    with torch.no_grad(), seeded(0, clean.device):  # dropout draws random numbers, though latents come before it
        with eval_view(model) as ask:
            of_running = ask(clean).latent, ask(adversarial).latent
        with batch_statistics(model) as ask:
            apart = ask(clean).latent, ask(adversarial).latent
            first, second = ask(torch.cat([clean, adversarial])).latent.chunk(2)
    pairs = zip(MODES, (of_running, apart, (first, second)), strict=True)
    return {mode: (one.cpu(), other.cpu()) for mode, (one, other) in pairs}


def fresh_discriminator(fit: Pair, test: Pair, width: int) -> Rate:
    """Accuracy on ``test`` of a discriminator fitted on ``fit``; 50 % is what a coin has.

    Both are latents of one model, of different clouds. The network is that of the training; latents are brought to zero
    mean and unit variance, as ``fit`` has them, and steps take all at once.
    """
    (x, domain), (unseen, truth) = _labelled(fit), _labelled(test)
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)
    with seeded(0, torch.device("cpu")):
        network = discriminator_of(x.shape[1], width)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    with torch.enable_grad():
        for _ in range(STEPS):
            optimiser.zero_grad()
            F.cross_entropy(network((x - mean) / spread), domain).backward()
            optimiser.step()
    with torch.no_grad():
        right = network((unseen - mean) / spread).argmax(1) == truth
    return Rate(int(right.sum()), len(truth))


def _labelled(pair: Pair) -> tuple[Tensor, Tensor]:
    """The latents of both kinds (2n, D) and the kind of each (2n,)."""
    domains = [torch.full((len(latent),), domain) for latent, domain in zip(pair, (REAL, ADVERSARIAL), strict=True)]
    return torch.cat(pair), torch.cat(domains)
