"""A new discriminator fitted on the latents of a trained model: can it tell clean and adversarial clouds apart?

The discriminator of the training ends near an accuracy of 50 % both if the two kinds of latents are alike and if it has
stopped learning. A new one, fitted on the latents of the finished model, distinguishes these cases.

Its accuracy depends on how batch norm normalises the latents, so it is measured in each of ``MODES``. A trained model
is used in eval mode. During training it is in train mode, and its discriminator is trained on latents of "separate"
batches, or of "concatenated" ones if ``TrainOptions.updates`` is "concatenated".
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
from core.models.discriminator import ADVERSARIAL, REAL, new_discriminator
from core.models.port import batch_statistics
from core.models.predict import device_of
from core.runtime.devices import seeded

MODES: Mapping[str, str] = {
    "eval": "eval mode",
    "separate": "train mode, clean and adversarial batches apart",
    "concatenated": "train mode, clean and adversarial in one batch",
}
"""Modes of the model in which latents are computed, and their titles. eval: batch norm uses its running statistics.
separate and concatenated: it uses those of the batch, which has clouds of one kind (separate), or clean clouds and
their adversarial versions (concatenated)."""

STEPS, LEARNING_RATE = 400, 1e-3
"""Of Adam, in the fit of the discriminator."""
MOST_CLOUDS = 2000
"""Most training clouds on which the discriminator is fitted."""

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
    """Attack training and test clouds, fit a new discriminator on the training ones, and test it on the others.

    The model is attacked in eval mode; batches are drawn at random from all classes, as in training.

    Parameters
    ----------
    options : choice of the test clouds; ``clouds`` is also the number of training clouds, up to ``MOST_CLOUDS``.
    width : hidden units of the discriminator.

    Yields
    ------
    Progress, then Done with the accuracy (``Rate``) on the test clouds in each of ``MODES``; None if it was cancelled.
    """
    most = min(MOST_CLOUDS, options.clouds or MOST_CLOUDS)
    options_of = {"train": options.model_copy(update={"clouds": most, "without_copies": False}), "test": options}
    sizes = {name: len(chosen_clouds(dataset.split(name), chosen)) for name, chosen in options_of.items()}
    pairs: list[dict[str, Pair]] = []
    for name, chosen in options_of.items():
        latents = yield from forward(
            _latents(model, dataset.split(name), attack, chosen, cancel),
            before=sizes["train"] if pairs else 0,
            weight=sizes[name],
            total=sum(sizes.values()),
            text=f"latents of {name} clouds",
        )
        if not latents.complete:
            yield Done(None, complete=False)
            return
        pairs.append(latents.value)
    train, test = pairs
    yield Done({mode: fresh_discriminator(train[mode], test[mode], width) for mode in MODES})


def _latents(
    model: nn.Module, split: Split, attack: Attack, options: EvaluationOptions, cancel: Cancel | None
) -> Iterator[Event]:
    """Latents of the chosen clouds, clean and adversarial, in each of ``MODES``; None if it was cancelled."""
    rows = np.random.default_rng(options.seed).permutation(chosen_clouds(split, options))
    device, generator = device_of(model), torch.Generator().manual_seed(options.seed)
    parts: dict[str, list[Pair]] = {mode: [] for mode in MODES}
    done = 0
    # batches of nearly equal size, because the statistics of a small last batch would differ from those in training
    for chosen in np.array_split(rows, math.ceil(len(rows) / options.batch_size)):
        points = torch.from_numpy(np.array(split.samples(chosen, options.points))).to(device)
        label = torch.from_numpy(split.labels[chosen]).to(device)
        adversarial = result(attack.run(model, points, label, generator, cancel)).adversarial
        for mode, pair in latents_in_modes(model, points, adversarial).items():
            parts[mode].append(pair)
        done += len(chosen)
        yield Progress(done, len(rows))
        if cancel and cancel.requested:
            yield Done(None, complete=False)
            return
    yield Done({mode: tuple(map(torch.cat, zip(*pairs, strict=True))) for mode, pairs in parts.items()})


def latents_in_modes(model: nn.Module, clean: Tensor, adversarial: Tensor) -> dict[str, Pair]:
    """Latents of one batch of clouds (B, N, 3) and of their adversarial versions in each of ``MODES``, on the CPU.

    The model keeps its mode and its running statistics.
    """
    with torch.no_grad(), seeded(0, clean.device):  # dropout draws random numbers, if after the latent
        with eval_view(model) as classify:
            in_eval = classify(clean).latent, classify(adversarial).latent
        with batch_statistics(model) as classify:
            separate = classify(clean).latent, classify(adversarial).latent
            first, second = classify(torch.cat([clean, adversarial])).latent.chunk(2)
    pairs = zip(MODES, (in_eval, separate, (first, second)), strict=True)
    return {mode: (of_clean.cpu(), of_adversarial.cpu()) for mode, (of_clean, of_adversarial) in pairs}


def fresh_discriminator(fit: Pair, test: Pair, width: int) -> Rate:
    """Accuracy on ``test`` of a discriminator fitted on ``fit``; 50 % is that of chance.

    Both are latents of one model, of different clouds. The architecture is that of the training's discriminator. The
    latents are standardised with mean and standard deviation of ``fit``, and each step is on all of them.
    """
    (x, domain), (test_x, test_domain) = _with_domain(fit), _with_domain(test)
    mean, spread = x.mean(0), x.std(0).clamp_min(1e-6)
    with seeded(0, torch.device("cpu")):
        network = new_discriminator(x.shape[1], width)
    optimiser = torch.optim.Adam(network.parameters(), LEARNING_RATE)
    x = (x - mean) / spread
    with torch.enable_grad():
        for _ in range(STEPS):
            optimiser.zero_grad()
            F.cross_entropy(network(x), domain).backward()
            optimiser.step()
    with torch.no_grad():
        correct = network((test_x - mean) / spread).argmax(1) == test_domain
    return Rate(int(correct.sum()), len(test_domain))


def _with_domain(pair: Pair) -> tuple[Tensor, Tensor]:
    """The latents of both kinds (2n, D) and the domain of each (2n,), ``REAL`` or ``ADVERSARIAL``."""
    domains = [torch.full((len(latent),), domain) for latent, domain in zip(pair, (REAL, ADVERSARIAL), strict=True)]
    return torch.cat(pair), torch.cat(domains)
