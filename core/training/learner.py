"""The networks of a training run and one gradient step on them."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.models import evaluating
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from lightning_fabric import Fabric

REAL, ADVERSARIAL = 0, 1


class Feed(NamedTuple):
    """Clouds (B, N, 3) for the model, and their domain, ``REAL`` or ``ADVERSARIAL``."""

    clouds: Tensor
    domain: int


class Learner:
    """The networks of a run, an Adam for each, and the tally of the current epoch.

    Parameters
    ----------
    fabric : where, and in what precision, forward and backward passes run.
    model : nn.Module
        A ``Classifier``; it is moved to the device.
    discriminator : nn.Module, optional
        Latents (B, D) -> logits (B, 2) of ``REAL`` and ``ADVERSARIAL``.
    """

    def __init__(self, fabric: "Fabric", model: nn.Module, discriminator: nn.Module | None, options: TrainOptions):
        self.options = options
        self.model = model
        self.discriminator = discriminator
        self.progress = 0.0
        """Share of the whole run that is done, for ``feature_ramp``."""
        self._fabric = fabric
        self._networks = [network for network in (model, discriminator) if network is not None]
        self._optimisers = [
            torch.optim.Adam(network.parameters(), weight_decay=options.weight_decay) for network in self._networks
        ]
        pairs = [fabric.setup(*pair) for pair in zip(self._networks, self._optimisers, strict=True)]
        self._forwards, self._steps = zip(*pairs, strict=True)
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Training mode, the learning rate of the epoch (counted from 1), and an empty tally."""
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        for network, optimiser in zip(self._networks, self._optimisers, strict=True):
            network.train()
            for group in optimiser.param_groups:
                group["lr"] = self.options.learning_rate_at(epoch)

    @property
    def tally(self) -> dict[str, float]:
        """Means over the epoch so far, by name: losses in nats, accuracies in 0..1."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}

    def learn(self, label: Tensor, *feeds: Feed) -> None:
        """One gradient step of each network on the mean of its losses over ``feeds``, all of classes ``label`` (B,)."""
        with _products_in_tf32() if self.options.precision == "tf32" else nullcontext():
            losses = [self._losses(label, feed) for feed in feeds]
            for step, parts in zip(self._steps, zip(*losses, strict=True), strict=True):
                step.zero_grad()
                self._fabric.backward(torch.stack(parts).mean())
                step.step()

    def _losses(self, label: Tensor, feed: Feed) -> list[Tensor]:
        """The model's loss, L_cls (+ weighted L_feat); and L_dis, the discriminator's, where there is one."""
        logits, latent = self._forwards[0](feed.clouds)
        loss = F.cross_entropy(logits, label, label_smoothing=self.options.label_smoothing)
        kind = "adversarial" if feed.domain == ADVERSARIAL else "clean"
        self._count(f"loss_{kind}", loss * len(label), len(label))
        self._count(f"accuracy_{kind}", (logits.argmax(1) == label).sum(), len(label))
        loss = loss + self.options.transform_penalty * getattr(self.model, "penalty", 0.0)
        if self.discriminator is None:
            return [loss]

        real, domain = torch.full_like(label, REAL), torch.full_like(label, feed.domain)
        with _frozen(self.discriminator):
            feature_loss = F.cross_entropy(self.discriminator(latent), real)
        verdict = self._forwards[1](latent.detach())
        discriminator_loss = F.cross_entropy(verdict, domain)
        self._count("feature_loss", feature_loss * len(label), len(label))
        self._count("discriminator_loss", discriminator_loss * len(label), len(label))
        self._count("discriminator_accuracy", (verdict.argmax(1) == domain).sum(), len(label))
        return [loss + self.feature_weight * feature_loss, discriminator_loss]

    @property
    def feature_weight(self) -> float:
        ramp = 2 / (1 + math.exp(-10 * self.progress)) - 1 if self.options.feature_ramp else 1.0
        return self.options.feature_weight * ramp

    def _count(self, name: str, total: Tensor, count: int) -> None:
        self._sums[name] += float(total.detach())
        self._counts[name] += count

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on, but for the model's weights: the discriminator and Adam's moments."""
        tensors: dict[str, Tensor] = {}
        if self.discriminator is not None:
            tensors |= {f"discriminator/{name}": value for name, value in self.discriminator.state_dict().items()}
        for number, optimiser in enumerate(self._optimisers):
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"adam/{number}/{index}/{key}": value for key, value in moments.items()}
        return tensors

    def load_state(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Go on from the model's ``weights`` and what ``state()`` gave."""
        self.model.load_state_dict(weights)
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in state.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        if self.discriminator is not None:
            self.discriminator.load_state_dict(parts["discriminator"])
        moments: list[dict[int, dict[str, Tensor]]] = [defaultdict(dict) for _ in self._optimisers]
        for name, value in parts["adam"].items():
            number, index, key = name.split("/")
            moments[int(number)][int(index)][key] = value
        for optimiser, values in zip(self._optimisers, moments, strict=True):
            optimiser.load_state_dict({"state": values, "param_groups": optimiser.state_dict()["param_groups"]})


def build_discriminator(model: nn.Module, width: int) -> nn.Module:
    """Two linear layers from the latents of ``model`` to logits (B, 2) of ``REAL`` and ``ADVERSARIAL``.

    The first paper gives neither their hidden width nor the activation; LeakyReLU(0.2) is usual in discriminators.
    """
    with evaluating(model), torch.no_grad():
        latent = model(torch.zeros(1, 1, 3)).latent
    return nn.Sequential(nn.Linear(latent.shape[1], width), nn.LeakyReLU(0.2), nn.Linear(width, 2))


@contextmanager
def _products_in_tf32() -> Iterator[None]:
    """PyTorch's switch is the whole process's: what another thread computes on a GPU in this instant is tf32 too."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _frozen(network: nn.Module) -> Iterator[None]:
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
