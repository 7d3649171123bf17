"""The training regimes of the first paper (Defense-PointNet, section III): what a batch teaches to which part.

* simple: L_cls on the clean batch.
* adversarial: L_cls on the clean batch, then on its adversarial version, made anew from the weights of that moment.
* defense: the same batches with L_cls, L_feat and L_dis, and a discriminator of latents.

and those beyond it:

* pgd: L_cls on adversarial batches alone, made by PGD from a random start (Madry et al. 2018).
* trades: L_cls on the clean batch, and agreement with the verdicts on its PGD version, which is made to disagree (Zhang
  et al. 2019).
* defense-pgd: defense, with batches that PGD makes against L_cls and L_feat together, which is what the model learns.

Where a regime learns from a clean and from an adversarial batch, ``TrainOptions.updates`` says how: alternate (a step
on each), joint (one step on both, each passed through the model by itself) or concatenated (one step on both in one
pass, so that batch norm normalises them together). The paper's "alternatively" and "simultaneously" leave this open.

L_cls = CE(C(E(x)), y) trains extractor E and classifier C. L_feat = CE(D(z), real) trains E alone to pass any latent
z = E(x) for that of a real cloud. L_dis = CE(D(z), t) trains the discriminator D alone to tell real (t = 0) from
adversarial (t = 1). The paper calls D(z) the probability of t = 0, yet the binary cross-entropy it prints drives D(z)
towards the probability of t = 1. A two-way softmax with cross-entropy on the class index t, used here, is the one
reading that agrees with the rest of its text.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.attacks import GradientAttack, ObjectiveFunction, evaluate, random_unit_delta
from core.models import Classifier, Output
from core.models.discriminator import ADVERSARIAL, REAL
from core.models.port import batch_statistics
from core.training.learner import Feed, Learner, divergence
from core.training.options import RegimeName


@dataclass(frozen=True)
class Regime:
    """How one batch is learned."""

    title: str
    learn: Callable[[Learner, Tensor, Tensor], None]
    """Clean clouds (B, N, 3) and labels (B,) -> one or more gradient steps of the learner."""
    robust: bool = False
    """Whether adversarial accuracy counts in the choice of the best epoch."""
    discriminator: bool = False
    feeds: int = 2
    """Clouds that a step learns from for each training cloud."""


def _clean(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    learner.learn(label, Feed(clouds, REAL))


def _clean_and_adversarial(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    _both(learner, clouds, label, lambda: _attacked(learner, clouds, label))


def _pgd(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    learner.learn(label, Feed(_attacked(learner, clouds, label, random_start=True), ADVERSARIAL))


def _trades(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    with _victim(learner.model, learner.options.attack_mode) as victim:
        clean = evaluate(victim, clouds, label, gradient=False).logits
    adversarial = _attacked(
        learner, clouds, label, lambda output, _: divergence(clean, output.logits), random_start=True
    )
    learner.trades_step(label, clouds, adversarial)


def _defense_pgd(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    def learned(output: Output, _: Tensor) -> Tensor:
        loss = F.cross_entropy(output.logits, label, reduction="none")
        return loss + learner.feature_weight * learner.feature_loss(output.latent)

    _both(learner, clouds, label, lambda: _attacked(learner, clouds, label, learned, random_start=True))


def _both(learner: Learner, clouds: Tensor, label: Tensor, attacked: Callable[[], Tensor]) -> None:
    feeds = [Feed(clouds, REAL)]
    if learner.options.updates == "alternate":
        learner.learn(label, feeds.pop())
    learner.learn(label, *feeds, Feed(attacked(), ADVERSARIAL))


REGIMES: Mapping[RegimeName, Regime] = {
    "simple": Regime("simple training", _clean, feeds=1),
    "adversarial": Regime("adversarial training", _clean_and_adversarial, robust=True),
    "defense": Regime("Defense-PointNet training", _clean_and_adversarial, robust=True, discriminator=True),
    "pgd": Regime("PGD adversarial training", _pgd, robust=True, feeds=1),
    "trades": Regime("TRADES training", _trades, robust=True),
    "defense-pgd": Regime("Defense-PointNet training with PGD", _defense_pgd, robust=True, discriminator=True),
}


def perturbed(
    model: nn.Module,
    clouds: Tensor,
    label: Tensor,
    attack: GradientAttack,
    mode: Literal["eval", "train"] = "eval",
    value: ObjectiveFunction | None = None,
    *,
    random_start: bool = False,
) -> Tensor:
    """The last iterate (B, N, 3) of an attack on clouds (B, N, 3), the model being in ``mode``.

    Weights, running statistics and modes stay as they were. A random start takes its seed from PyTorch.
    """
    if attack.epsilon == 0:
        return clouds
    unit_delta = None
    if random_start:
        unit_delta = random_unit_delta(attack.constraint, clouds.shape, int(torch.randint(2**62, ())), clouds)
    with _victim(model, mode) as victim:
        return attack.last_iterate(victim, clouds, label, value, unit_delta)


def _attacked(
    learner: Learner,
    clouds: Tensor,
    label: Tensor,
    value: ObjectiveFunction | None = None,
    *,
    random_start: bool = False,
) -> Tensor:
    mode = learner.options.attack_mode
    return perturbed(learner.model, clouds, label, learner.attack, mode, value, random_start=random_start)


def _victim(model: nn.Module, mode: Literal["eval", "train"]) -> AbstractContextManager[Classifier]:
    return batch_statistics(model) if mode == "train" else nullcontext(model)
