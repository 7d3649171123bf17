"""The networks of a training run and one gradient step on them."""

import copy
import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from core.attacks import GradientAttack
from core.models import Output
from core.models.discriminator import ADVERSARIAL, REAL
from core.training.options import TrainOptions

if TYPE_CHECKING:
    from lightning_fabric import Fabric


BATCH_NORM_CLOUDS = 1024
"""Clouds that the batch-norm statistics of averaged weights are measured on after each epoch."""


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
        """Share of the whole run that is done, for the ramps."""
        self._fabric = fabric
        self._networks = [network for network in (model, discriminator) if network is not None]
        self._optimisers = [
            torch.optim.Adam(network.parameters(), weight_decay=options.weight_decay) for network in self._networks
        ]
        pairs = [fabric.setup(*pair) for pair in zip(self._networks, self._optimisers, strict=True)]
        self._forwards, self._steps = zip(*pairs, strict=True)
        self.result = copy.deepcopy(model).requires_grad_(False) if options.averaging else model  # on the device by now
        """The model that is measured and kept: the running average of ``model``, or itself."""
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Training mode, the learning rate of the epoch (counted from 1), and an empty tally."""
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        self._learned_clouds: deque[Tensor] = deque(maxlen=math.ceil(BATCH_NORM_CLOUDS / self.options.batch_size))
        for network, optimiser in zip(self._networks, self._optimisers, strict=True):
            network.train()
            for group in optimiser.param_groups:
                group["lr"] = self.options.learning_rate_at(epoch)

    @property
    def tally(self) -> dict[str, float]:
        """Means over the epoch so far, by name: losses in nats, accuracies in 0..1."""
        return {name: total / self._counts[name] for name, total in self._sums.items()}

    def learn(self, label: Tensor, *feeds: Feed) -> None:
        """One gradient step of each network on the mean of its losses over ``feeds``, all of classes ``label`` (B,).

        With ``updates`` "concatenated" all feeds go through the model in one pass, and the statistics of its batch norm
        are those of all of them; otherwise each has a pass, and statistics, of its own.
        """

        def losses() -> list[Tensor]:
            each = [
                self._losses(label, feed, *output) for feed, output in zip(feeds, self._outputs(feeds), strict=True)
            ]
            return [torch.stack(parts).mean() for parts in zip(*each, strict=True)]

        self._descend(losses)

    def _outputs(self, feeds: Sequence[Feed]) -> Iterator[Output]:
        """The model's output for each of ``feeds``, from one pass for all of them or from one for each."""
        if self.options.updates == "concatenated":
            logits, latent = self._forward(torch.cat([feed.clouds for feed in feeds]))
            yield from map(Output, logits.chunk(len(feeds)), latent.chunk(len(feeds)))
        else:
            for feed in feeds:
                yield self._forward(feed.clouds)

    def _forward(self, clouds: Tensor) -> Output:
        """The model's output for clouds (B, N, 3) that it learns from."""
        if self.result is not self.model:
            self._learned_clouds.append(clouds)
        return self._forwards[0](clouds)  # type: ignore[no-any-return]

    def trades_step(self, label: Tensor, clean: Tensor, adversarial: Tensor) -> None:
        """One gradient step on the loss of TRADES (Zhang et al. 2019): CE(clean) + weight KL(clean || adversarial)."""

        def losses() -> list[Tensor]:
            logits, latent = self._forward(clean)
            [loss] = self._losses(label, Feed(clean, REAL), logits, latent)  # with the penalty of this pass
            moved, _ = self._forward(adversarial)
            gap = divergence(logits, moved).mean()
            self._count("disagreement", gap * len(label), len(label))
            self._count("accuracy_adversarial", (moved.argmax(1) == label).sum(), len(label))
            return [loss + self.options.trades_weight * gap]

        self._descend(losses)

    def _arithmetic(self) -> AbstractContextManager[None]:
        return _products_in_tf32() if self.options.precision == "tf32" else nullcontext()

    def _descend(self, losses: Callable[[], list[Tensor]]) -> None:
        """One step of each network down its loss, the model's the first, and of the average after the model.

        With ``weight_perturbation`` the gradients are those beside the weights (AWP, Wu et al. 2020, algorithm 1), and
        the steps are made from the weights themselves.
        """
        with self._arithmetic():
            found = losses()
            if self.options.weight_perturbation:
                with self._perturbed_weights(found[0]):
                    self._backward(losses())
            else:
                self._backward(found)
        for step in self._steps:
            step.step()
        if self.result is not self.model:
            count = float(next(iter(self._optimisers[0].state.values()))["step"])
            decay = min(self.options.averaging, (1 + count) / (10 + count))  # the first weights are soon forgotten
            for mean, now in zip(self.result.state_dict().values(), self.model.state_dict().values(), strict=True):
                mean.lerp_(now, 1 - decay) if mean.is_floating_point() else mean.copy_(now)

    def _backward(self, losses: Sequence[Tensor]) -> None:
        for step, loss in zip(self._steps, losses, strict=True):
            step.zero_grad()
            self._fabric.backward(loss)

    @contextmanager
    def _perturbed_weights(self, loss: Tensor) -> Iterator[None]:
        """The weights of every layer of the model moved up ``loss`` by ``weight_perturbation`` of their norm.

        As in the authors' code, biases and what batch norm learns stay. Running statistics and tally too, which are of
        the weights themselves.
        """
        weights = [weight for weight in self.model.parameters() if weight.dim() > 1]
        gradients = torch.autograd.grad(loss, weights)
        changed = [*weights, *self.model.buffers()]
        before = [tensor.detach().clone() for tensor in changed]
        kept = self._sums, self._counts, self._learned_clouds
        self._sums, self._counts, self._learned_clouds = defaultdict(float), defaultdict(int), deque(maxlen=0)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                length = self.options.weight_perturbation * weight.norm()
                weight.add_(gradient * (length / gradient.norm().clamp_min(1e-20)))
        try:
            yield
        finally:
            self._sums, self._counts, self._learned_clouds = kept
            with torch.no_grad():
                for tensor, value in zip(changed, before, strict=True):
                    tensor.copy_(value)

    def reestimate_batch_norm(self) -> None:
        """Let the batch norm of the averaged model, if there is one, have statistics of the averaged weights.

        The average of former statistics is not theirs (Izmailov et al. 2018, section 3.2). They are measured on the
        last clouds that were learned from, adversarial ones too: with those of clean clouds, the robust accuracy of a
        model trained on PGD clouds fell from 74 % to 67 % (256 clouds, epsilon 0.08).
        """
        if self.result is not self.model:
            update_bn(self._learned_clouds, self.result)

    def _losses(self, label: Tensor, feed: Feed, logits: Tensor, latent: Tensor) -> list[Tensor]:
        """The model's loss, L_cls (+ weighted L_feat); and L_dis, the discriminator's, where there is one."""
        loss = F.cross_entropy(logits, label, label_smoothing=self.options.label_smoothing)
        kind = "adversarial" if feed.domain == ADVERSARIAL else "clean"
        self._count(f"loss_{kind}", loss * len(label), len(label))
        self._count(f"accuracy_{kind}", (logits.argmax(1) == label).sum(), len(label))
        loss = loss + self.options.transform_penalty * getattr(self.model, "penalty", 0.0)
        if self.discriminator is None:
            return [loss]

        domain = torch.full_like(label, feed.domain)
        feature_loss = self.feature_loss(latent).mean()
        verdict = self._forwards[1](latent.detach())
        discriminator_loss = F.cross_entropy(verdict, domain)
        self._count("feature_loss", feature_loss * len(label), len(label))
        self._count("discriminator_loss", discriminator_loss * len(label), len(label))
        self._count("discriminator_accuracy", (verdict.argmax(1) == domain).sum(), len(label))
        return [loss + self.feature_weight * feature_loss, discriminator_loss]

    def feature_loss(self, latent: Tensor) -> Tensor:
        """L_feat of each latent, (B, D) -> (B,): how far the discriminator is from taking it for real."""
        assert self.discriminator is not None
        with _frozen(self.discriminator):
            verdict = self.discriminator(latent)
        return F.cross_entropy(verdict, verdict.new_full(verdict.shape[:1], REAL, dtype=torch.long), reduction="none")

    @property
    def attack(self) -> GradientAttack:
        """The attack of the options, with its budget at this point of the run."""
        ramp = self.options.epsilon_ramp
        done = min(1.0, self.progress * self.options.epochs / ramp) if ramp else 1.0
        return self.options.attack.at(done * self.options.epsilon)

    @property
    def feature_weight(self) -> float:
        ramp = 2 / (1 + math.exp(-10 * self.progress)) - 1 if self.options.feature_ramp else 1.0
        return self.options.feature_weight * ramp

    def _count(self, name: str, total: Tensor, count: int) -> None:
        self._sums[name] += float(total.detach())
        self._counts[name] += count

    def state(self) -> dict[str, Tensor]:
        """All the next step depends on but the model's weights: their average, the discriminator, Adam's moments."""
        tensors: dict[str, Tensor] = {}
        if self.result is not self.model:
            tensors |= {f"average/{name}": value for name, value in self.result.state_dict().items()}
        if self.discriminator is not None:
            tensors |= {f"discriminator/{name}": value for name, value in self.discriminator.state_dict().items()}
        for number, optimiser in enumerate(self._optimisers):
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"adam/{number}/{index}/{key}": value for key, value in moments.items()}
        return tensors

    def load_state(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Go on from the model's ``weights`` and what ``state()`` gave.

        Raises
        ------
        ValueError
            If a tensor is missing, foreign, of another shape or not finite; says which.
        """
        _check_tensors(weights, {name: value.shape for name, value in self.model.state_dict().items()})
        _check_tensors(state, self._state_shapes())
        self.model.load_state_dict(weights)
        parts: dict[str, dict[str, Tensor]] = defaultdict(dict)
        for name, value in state.items():
            part, _, rest = name.partition("/")
            parts[part][rest] = value
        if self.result is not self.model:
            self.result.load_state_dict(parts["average"])
        if self.discriminator is not None:
            self.discriminator.load_state_dict(parts["discriminator"])
        moments: list[dict[int, dict[str, Tensor]]] = [defaultdict(dict) for _ in self._optimisers]
        for name, value in parts["adam"].items():
            number, index, key = name.split("/")
            moments[int(number)][int(index)][key] = value
        for optimiser, values in zip(self._optimisers, moments, strict=True):
            optimiser.load_state_dict({"state": values, "param_groups": optimiser.state_dict()["param_groups"]})

    def _state_shapes(self) -> dict[str, torch.Size]:
        """Name and shape of every tensor that ``state()`` gives after a gradient step."""
        shapes: dict[str, torch.Size] = {}
        others = {
            "average": self.result if self.result is not self.model else None,
            "discriminator": self.discriminator,
        }
        for part, network in others.items():
            if network is not None:
                shapes |= {f"{part}/{name}": value.shape for name, value in network.state_dict().items()}
        for number, network in enumerate(self._networks):
            for index, weight in enumerate(network.parameters()):
                moments = {"step": torch.Size(), "exp_avg": weight.shape, "exp_avg_sq": weight.shape}
                shapes |= {f"adam/{number}/{index}/{name}": shape for name, shape in moments.items()}
        return shapes


def _check_tensors(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> None:
    for name in sorted(tensors.keys() | shapes):
        if name not in tensors:
            raise ValueError(f"it lacks {name}")
        if name not in shapes or tensors[name].shape != shapes[name]:
            raise ValueError(f"{name} is not a tensor that this run has")
        if not tensors[name].isfinite().all():
            raise ValueError(f"{name} holds numbers that are not finite")


def divergence(clean: Tensor, adversarial: Tensor) -> Tensor:
    """KL(softmax(clean) || softmax(adversarial)) of two batches of logits (B, K), in nats, (B,)."""
    logs = F.log_softmax(adversarial, dim=1), F.log_softmax(clean, dim=1)
    return F.kl_div(*logs, reduction="none", log_target=True).sum(dim=1)


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
