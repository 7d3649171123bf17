"""A fresh discriminator fitted on the latents of a finished model: can real and adversarial still be told apart?

The discriminator that trained along ends near 50 % both where the latents agree and where it has died; a new one that
has nothing to do but this tells the two cases apart.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F

from core.attacks import Attack
from core.datasets import Dataset
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions, Rate, chosen_clouds, evaluate_accuracy
from core.events import Cancel, Done, Event, forward
from core.models import Classifier
from core.models.discriminator import ADVERSARIAL, REAL, discriminator_of
from core.runtime.devices import seeded

STEPS, LEARNING_RATE = 400, 1e-3
PROBED = 2000
"""Training clouds that it is fitted on, at most."""


def probe(
    model: Classifier,
    dataset: Dataset,
    attack: Attack,
    options: EvaluationOptions,
    width: int,
    cancel: Cancel | None = None,
    *,
    unseen: AccuracyReport | None = None,
) -> Iterator[Event]:
    """Attack training clouds and the test clouds of ``options``, fit a discriminator on the former, try the latter.

    Parameters
    ----------
    width : hidden units of the discriminator.
    unseen : the model under this attack on those test clouds, where that is measured already.

    Yields
    ------
    Progress, then Done with its accuracy (``Rate``) on the test clouds; None if it was stopped.
    """
    reports: list[AccuracyReport] = []
    fit = options.model_copy(update={"clouds": min(PROBED, options.clouds or PROBED)})
    asked = [("train", fit)] if unseen is not None else [("train", fit), ("test", options)]
    sizes = [len(chosen_clouds(dataset.split(split), chosen)) for split, chosen in asked]
    for place, (split, chosen) in enumerate(asked):
        found = yield from forward(
            evaluate_accuracy(model, dataset.split(split), attack, chosen, cancel),
            before=sum(sizes[:place]),
            weight=sizes[place],
            total=sum(sizes),
            text=f"latents of {split}",
        )
        if not found.complete:
            yield Done(None, complete=False)
            return
        reports.append(found.value)
    fitted, test = reports if unseen is None else (*reports, unseen)
    yield Done(fresh_discriminator(fitted, test, width))


def fresh_discriminator(fit: AccuracyReport, test: AccuracyReport, width: int) -> Rate:
    """Accuracy on ``test`` of a discriminator fitted on ``fit``; 50 % is what a coin has.

    Both reports hold clean and adversarial latents of one model, of different clouds. The network is that of the
    training; latents are brought to zero mean and unit variance, as ``fit`` has them, and steps take all at once.
    """
    (x, domain), (unseen, truth) = _pairs(fit), _pairs(test)
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


def _pairs(report: AccuracyReport) -> tuple[torch.Tensor, torch.Tensor]:
    assert report.adversarial is not None
    latents = [torch.from_numpy(verdicts.latent) for verdicts in (report.clean, report.adversarial)]
    domains = [torch.full((len(latent),), domain) for latent, domain in zip(latents, (REAL, ADVERSARIAL), strict=True)]
    return torch.cat(latents), torch.cat(domains)
