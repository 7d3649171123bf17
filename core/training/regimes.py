"""The training regimes of the first paper (Defense-PointNet, section III): what a batch teaches to which part.

* simple: L_cls on the clean batch.
* adversarial: L_cls on the clean batch, then on its adversarial version, made anew from the weights of that moment.
* defense: the same batches with L_cls, L_feat and L_dis, and a discriminator of latents.

L_cls = CE(C(E(x)), y) trains extractor E and classifier C. L_feat = CE(D(z), real) trains E alone to pass any latent
z = E(x) for that of a real cloud. L_dis = CE(D(z), t) trains the discriminator D alone to tell real (t = 0) from
adversarial (t = 1). The paper calls D(z) the probability of t = 0, yet the binary cross-entropy it prints drives D(z)
towards the probability of t = 1. A two-way softmax with cross-entropy on the class index t, used here, is the one
reading that agrees with the rest of its text.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from core.attacks import evaluate
from core.models import Classifier
from core.training.learner import ADVERSARIAL, REAL, Feed, Learner
from core.training.options import RegimeName, TrainOptions


@dataclass(frozen=True)
class Regime:
    """How one batch is learned."""

    title: str
    learn: Callable[[Learner, Tensor, Tensor], None]
    """Clean clouds (B, N, 3) and labels (B,) -> one or more gradient steps of the learner."""
    robust: bool = False
    """Whether adversarial accuracy counts in the choice of the best epoch."""
    discriminator: bool = False


def _clean(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    learner.learn(label, Feed(clouds, REAL))


def _clean_and_adversarial(learner: Learner, clouds: Tensor, label: Tensor) -> None:
    feeds = [Feed(clouds, REAL)]
    if learner.options.updates == "alternate":
        learner.learn(label, feeds.pop())
    adversarial = perturbed(learner.model, clouds, label, learner.options)
    learner.learn(label, *feeds, Feed(adversarial, ADVERSARIAL))


REGIMES: Mapping[RegimeName, Regime] = {
    "simple": Regime("simple training", _clean),
    "adversarial": Regime("adversarial training", _clean_and_adversarial, robust=True),
    "defense": Regime("Defense-PointNet training", _clean_and_adversarial, robust=True, discriminator=True),
}


def perturbed(model: nn.Module, clouds: Tensor, label: Tensor, options: TrainOptions) -> Tensor:
    """The last iterate (B, N, 3) of the options' attack on clouds (B, N, 3).

    It costs one gradient a step. ``Attack.run`` would also evaluate the last iterate, which the training step is about
    to do. Weights, running statistics and modes stay as they were.
    """
    attack = options.attack
    if attack.epsilon == 0:
        return clouds
    move = torch.zeros_like(clouds)
    with _batch_statistics(model) if options.attack_mode == "train" else nullcontext(model) as victim:
        for _ in range(attack.steps):
            gradient = evaluate(victim, clouds + attack.epsilon * move, label, gradient=True).gradient
            assert gradient is not None
            move = attack.moved(move, gradient, attack.epsilon)
    return clouds + attack.epsilon * move


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[Classifier]:
    """The model as a bare callable, which ``evaluate`` leaves in its training mode; running statistics are restored."""
    before = [buffer.clone() for buffer in model.buffers()]
    try:
        yield lambda clouds: model(clouds)
    finally:
        for buffer, value in zip(model.buffers(), before, strict=True):
            buffer.copy_(value)
