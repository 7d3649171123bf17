"""The training regimes of the first paper (Defense-PointNet, section III): which losses train which network.

* simple: L_cls on the clean batch.
* adversarial: L_cls on the clean batch and on its adversarial version, which is made with the current weights.
* defense: the same batches with L_cls, L_feat and L_dis, with a discriminator of latents.

Further regimes:

* pgd: L_cls on adversarial batches only, made by PGD from a random start (Madry et al. 2018).
* trades: L_cls on the clean batch, and the KL divergence of the predictions for its PGD version, which maximises that
  divergence (Zhang et al. 2019).
* defense-pgd: defense, with batches for which PGD maximises the model's loss, L_cls + weighted L_feat.

If a regime has a clean and an adversarial batch, ``TrainOptions.updates`` says how they are used: alternate (a step on
each), joint (one step on both, with a separate pass through the model for each) or concatenated (one step on both in
one pass, so that batch norm normalises them together). The paper says "alternatively" and "simultaneously", which does
not decide between them.

L_cls = CE(C(E(x)), y) trains extractor E and classifier C. L_feat = CE(D(z), real) trains only E, so that D classifies
every latent z = E(x) as that of a real cloud. L_dis = CE(D(z), t) trains only the discriminator D, which tells real
(t = 0) from adversarial (t = 1). The paper calls D(z) the probability of t = 0, but its formula of the binary
cross-entropy makes D(z) the probability of t = 1. The softmax over two classes with cross-entropy on the class t, which
is used here, is the only reading that agrees with the rest of its text.
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
from core.training.learner import DomainBatch, Learner, divergence
from core.training.options import RegimeName
from core.training.shares import Share


@dataclass(frozen=True)
class Regime:
    """How a model is trained on one batch."""

    title: str
    learn: Callable[[Learner, Tensor, Tensor], None]
    """Makes one or more gradient steps of a learner, with clean clouds (B, N, 3) and labels (B,)."""
    robust: bool = False
    """Whether the best epoch is chosen by clean and adversarial accuracy, not by clean accuracy alone."""
    discriminator: bool = False
    """Whether there is a discriminator of latents."""
    passes: int = 2
    """Passes through the model in training for each training cloud: for the clean or the adversarial one, or both."""


def _clean(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    learner.learn(label, DomainBatch(clouds, REAL))


def _clean_and_adversarial(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    _learn_both(learner, clouds, label, lambda: _attacked(learner, clouds, label))


def _pgd(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    random_start = learner.options.attack_random_start
    learner.learn(label, DomainBatch(_attacked(learner, clouds, label, random_start=random_start), ADVERSARIAL))


def _trades(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    with _victim(learner.model, learner.options.attack_mode) as victim:
        clean = evaluate(victim, clouds, label, gradient=False).logits
    adversarial = _attacked(
        learner, clouds, label, lambda output, _: divergence(clean, output.logits), random_start=True
    )
    learner.trades_step(label, clouds, adversarial)


def _defense_pgd(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    def model_loss(output: Output, _: Tensor) -> Tensor:
        loss = F.cross_entropy(output.logits, label, reduction="none")
        return loss + learner.feature_weight * learner.feature_loss(output.latent)

    random_start = learner.options.attack_random_start
    _learn_both(
        learner, clouds, label, lambda: _attacked(learner, clouds, label, model_loss, random_start=random_start)
    )


def _learn_both(learner: Learner, clouds: Tensor, label: Tensor, attacked: Callable[[], Tensor]) -> None:
    """Train on clean clouds and on those of ``attacked``, which is called after the step on the clean ones, if any."""
    batches = [DomainBatch(clouds, REAL)]
    if learner.options.updates == "alternate":
        learner.learn(label, batches.pop())
    learner.learn(label, *batches, DomainBatch(attacked(), ADVERSARIAL))


REGIMES: Mapping[RegimeName, Regime] = {
    "simple": Regime("simple training", _clean, passes=1),
    "adversarial": Regime("adversarial training", _clean_and_adversarial, robust=True),
    "defense": Regime("Defense-PointNet training", _clean_and_adversarial, robust=True, discriminator=True),
    "pgd": Regime("PGD adversarial training", _pgd, robust=True, passes=1),
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
    share: Share | None = None,
) -> Tensor:
    """The last iterate (B, N, 3) of an attack on clouds (B, N, 3), with the model in ``mode``.

    The weights, running statistics and mode of the model are unchanged. The seed of a random start is drawn from
    PyTorch's global generator; if the clouds are a ``share`` of a batch, the whole batch is drawn.
    """
    if attack.epsilon == 0:
        return clouds
    unit_delta = None
    if random_start:
        rows, count = share or (slice(None), len(clouds))
        shape = torch.Size((count, *clouds.shape[1:]))
        unit_delta = random_unit_delta(attack.constraint, shape, int(torch.randint(2**62, ())), clouds)[rows]
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
    mode, share = learner.options.attack_mode, learner.share
    return perturbed(learner.model, clouds, label, learner.attack, mode, value, random_start=random_start, share=share)


def _victim(model: nn.Module, mode: Literal["eval", "train"]) -> AbstractContextManager[Classifier]:
    return batch_statistics(model) if mode == "train" else nullcontext(model)
