"""The networks of a training run, and a gradient step on them."""

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
from core.models.fast.together import sums_of_all
from core.models.port import without_weight_gradients
from core.training.batches import Batch
from core.training.options import TrainOptions
from core.training.shares import Share, set_share, share_of, spread, totals
from core.training.state import check_tensors, load_tensors, state_shapes, state_tensors

if TYPE_CHECKING:
    from lightning_fabric import Fabric


BATCH_NORM_CLOUDS = 1024
"""Clouds from which the batch-norm statistics of averaged weights are computed after each epoch."""


class DomainBatch(NamedTuple):
    """Clouds (B, N, 3), all of one domain, ``REAL`` or ``ADVERSARIAL``."""

    clouds: Tensor
    domain: int


class Learner:
    """The networks of a run, an Adam for each, and the metrics of the current epoch.

    Parameters
    ----------
    fabric : sets device and precision of forward and backward passes.
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
        """Share of the run that is done, 0..1, for the ramps of ``epsilon`` and ``feature_weight``."""
        self._fabric = fabric
        self.share = share_of(fabric, 1)
        """The clouds of the present batch that this process computes."""
        if fabric.world_size > 1:
            spread(model)
        self._networks = [network for network in (model, discriminator) if network is not None]
        self._optimisers = [
            torch.optim.Adam(network.parameters(), weight_decay=options.weight_decay) for network in self._networks
        ]
        pairs = [fabric.setup(*pair) for pair in zip(self._networks, self._optimisers, strict=True)]
        self._fabric_networks, self._fabric_optimisers = zip(*pairs, strict=True)
        # after the setup, so that it is copied on the device
        self.evaluated_model = copy.deepcopy(model).requires_grad_(False) if options.averaging else model
        """The model that is evaluated and saved: the running average of ``model``'s weights, or ``model``."""
        self.begin_epoch(1)

    def begin_epoch(self, epoch: int) -> None:
        """Set training mode and the learning rate of the epoch (counted from 1), and forget the metrics."""
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)
        recent = math.ceil(BATCH_NORM_CLOUDS / self.options.batch_size)
        self._recent_clouds: deque[tuple[Tensor, Share]] = deque(maxlen=recent)
        for network, optimiser in zip(self._networks, self._optimisers, strict=True):
            network.train()
            for group in optimiser.param_groups:
                group["lr"] = self.options.learning_rate_at(epoch)

    @property
    def metrics(self) -> dict[str, float]:
        """Means over the epoch so far, by name: losses in nats, accuracies in 0..1. All processes have to ask."""
        numbers = totals(self._fabric, *self._sums.values(), *self._counts.values())
        sums, counts = numbers[: len(self._sums)], numbers[len(self._sums) :]
        return {name: total / count for name, total, count in zip(self._sums, sums, counts, strict=True)}

    def take(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """This process's share of the clouds (B, N, 3) and labels (B,) of the next batch, on its device."""
        self.share = share_of(self._fabric, len(batch.label))
        set_share(self.model, self.share)
        rows, device = self.share.rows, self._fabric.device
        return batch.clouds[rows].to(device), batch.label[rows].to(device)

    def learn(self, label: Tensor, *batches: DomainBatch) -> None:
        """One gradient step of each network on the mean of its losses over ``batches``, all of classes ``label`` (B,).

        With ``updates`` "concatenated" all batches go through the model in one pass, and batch norm uses the statistics
        of all of them; otherwise there is a pass, with its own statistics, for each batch.
        """

        def losses() -> list[Tensor]:
            of_batches = [
                self._losses(label, batch, *output)
                for batch, output in zip(batches, self._outputs(batches), strict=True)
            ]
            return [torch.stack(of_network).mean() for of_network in zip(*of_batches, strict=True)]

        self._gradient_step(losses)

    def _outputs(self, batches: Sequence[DomainBatch]) -> Iterator[Output]:
        """The model's output for each of ``batches``, from one pass for all of them or a pass for each."""
        if self.options.updates == "concatenated":
            logits, latent = self._forward(torch.cat([batch.clouds for batch in batches]))
            yield from map(Output, logits.chunk(len(batches)), latent.chunk(len(batches)))
        else:
            for batch in batches:
                yield self._forward(batch.clouds)

    def _forward(self, clouds: Tensor) -> Output:
        """The model's output for clouds (B, N, 3) in a gradient step."""
        if self.evaluated_model is not self.model:
            self._recent_clouds.append((clouds, self.share))
        return self._fabric_networks[0](clouds)  # type: ignore[no-any-return]

    def trades_step(self, label: Tensor, clean: Tensor, adversarial: Tensor) -> None:
        """One gradient step on the loss of TRADES (Zhang et al. 2019): CE(clean) + weight KL(clean || adversarial)."""

        def losses() -> list[Tensor]:
            logits, latent = self._forward(clean)
            [loss] = self._losses(label, DomainBatch(clean, REAL), logits, latent)  # has the penalty of this pass
            adversarial_logits, _ = self._forward(adversarial)
            kl = divergence(logits, adversarial_logits).mean()
            self._add_to_metric("disagreement", kl * len(label), len(label))
            self._add_to_metric("accuracy_adversarial", (adversarial_logits.argmax(1) == label).sum(), len(label))
            return [loss + self.options.trades_weight * kl]

        self._gradient_step(losses)

    def _matrix_precision(self) -> AbstractContextManager[None]:
        """A context with matrix products in TF32, if the options say so."""
        return _tf32_products() if self.options.precision == "tf32" else nullcontext()

    def _gradient_step(self, losses: Callable[[], list[Tensor]]) -> None:
        """One gradient step of each network on its loss (the model's is the first), and an update of the average.

        With ``weight_perturbation`` the gradients are those at perturbed weights, and the steps are applied to the
        unperturbed ones (AWP, Wu et al. 2020, algorithm 1).
        """
        with self._matrix_precision():
            unperturbed = losses()
            if self.options.weight_perturbation:
                with self._perturbed_weights(unperturbed[0]):
                    self._backward(losses())
            else:
                self._backward(unperturbed)
        for optimiser in self._fabric_optimisers:
            optimiser.step()
        if self.evaluated_model is not self.model:
            count = float(next(iter(self._optimisers[0].state.values()))["step"])
            # smaller at first, so that the initial weights lose their influence
            decay = min(self.options.averaging, (1 + count) / (10 + count))
            averages, weights = self.evaluated_model.state_dict(), self.model.state_dict()
            for average, current in zip(averages.values(), weights.values(), strict=True):
                average.lerp_(current, 1 - decay) if average.is_floating_point() else average.copy_(current)

    def _backward(self, losses: Sequence[Tensor]) -> None:
        weight = self._fabric.world_size * self.share.part  # of a mean over processes, which is then one over clouds
        for optimiser, loss in zip(self._fabric_optimisers, losses, strict=True):
            optimiser.zero_grad()
            self._fabric.backward(loss * weight)

    @contextmanager
    def _perturbed_weights(self, loss: Tensor) -> Iterator[None]:
        """A context in which each layer's weights are moved along the gradient of ``loss``, the model's.

        The length of the move is ``weight_perturbation`` times the norm of the weights. As in the authors' code, biases
        and the parameters of batch norm are not moved. Running statistics and metrics remain those of the unperturbed
        weights.
        """
        weights = [weight for weight in self.model.parameters() if weight.dim() > 1]
        gradients = sums_of_all(*torch.autograd.grad(loss * self.share.part, weights))
        changed = [*weights, *self.model.buffers()]
        before = [tensor.detach().clone() for tensor in changed]
        kept = self._sums, self._counts, self._recent_clouds
        self._sums, self._counts, self._recent_clouds = defaultdict(float), defaultdict(int), deque(maxlen=0)
        with torch.no_grad():
            for weight, gradient in zip(weights, gradients, strict=True):
                length = self.options.weight_perturbation * weight.norm()
                weight.add_(gradient * (length / gradient.norm().clamp_min(1e-20)))
        try:
            yield
        finally:
            self._sums, self._counts, self._recent_clouds = kept
            with torch.no_grad():
                for tensor, value in zip(changed, before, strict=True):
                    tensor.copy_(value)

    def reestimate_batch_norm(self) -> None:
        """Compute the batch-norm statistics of the averaged model, if there is one, on the last clouds of the training.

        The average of the statistics of earlier weights is not that of the averaged weights (Izmailov et al. 2018,
        section 3.2). The clouds are those that were trained on, also adversarial ones: with statistics of clean clouds,
        the robust accuracy of a model trained on PGD clouds fell from 74 % to 67 % (256 clouds, epsilon 0.08).
        """
        if self.evaluated_model is not self.model:
            update_bn(self._recent(), self.evaluated_model)

    def _recent(self) -> Iterator[Tensor]:
        for clouds, share in self._recent_clouds:
            set_share(self.evaluated_model, share)
            yield clouds

    def _losses(self, label: Tensor, batch: DomainBatch, logits: Tensor, latent: Tensor) -> list[Tensor]:
        """The loss of each network: [L_cls] or, with a discriminator, [L_cls + weighted L_feat, L_dis]."""
        loss = F.cross_entropy(logits, label, label_smoothing=self.options.label_smoothing)
        kind = "adversarial" if batch.domain == ADVERSARIAL else "clean"
        self._add_to_metric(f"loss_{kind}", loss * len(label), len(label))
        self._add_to_metric(f"accuracy_{kind}", (logits.argmax(1) == label).sum(), len(label))
        loss = loss + self.options.transform_penalty * getattr(self.model, "penalty", 0.0)
        if self.discriminator is None:
            return [loss]

        domain = torch.full_like(label, batch.domain)
        feature_loss = self.feature_loss(latent).mean()
        domain_logits = self._fabric_networks[1](latent.detach())
        discriminator_loss = F.cross_entropy(domain_logits, domain)
        self._add_to_metric("feature_loss", feature_loss * len(label), len(label))
        self._add_to_metric("discriminator_loss", discriminator_loss * len(label), len(label))
        self._add_to_metric("discriminator_accuracy", (domain_logits.argmax(1) == domain).sum(), len(label))
        return [loss + self.feature_weight * feature_loss, discriminator_loss]

    def feature_loss(self, latent: Tensor) -> Tensor:
        """L_feat of latents (B, D), (B,): the discriminator's cross-entropy to the domain ``REAL``, in nats."""
        assert self.discriminator is not None
        with without_weight_gradients(self.discriminator):
            domain_logits = self.discriminator(latent)
        real = torch.full(domain_logits.shape[:1], REAL, device=domain_logits.device)
        return F.cross_entropy(domain_logits, real, reduction="none")

    @property
    def attack(self) -> GradientAttack:
        """The attack of the options, with the budget of the ramp at ``progress``."""
        epochs = self.options.epsilon_ramp
        ramp = min(1.0, self.progress * self.options.epochs / epochs) if epochs else 1.0
        return self.options.attack.at(ramp * self.options.epsilon)

    @property
    def feature_weight(self) -> float:
        """The weight of L_feat at ``progress``."""
        ramp = 2 / (1 + math.exp(-10 * self.progress)) - 1 if self.options.feature_ramp else 1.0
        return self.options.feature_weight * ramp

    def _add_to_metric(self, name: str, total: Tensor, count: int) -> None:
        """Add a sum over ``count`` clouds to a metric."""
        self._sums[name] += float(total.detach())
        self._counts[name] += count

    @property
    def _other_networks(self) -> dict[str, nn.Module]:
        """The networks that are stored beside the model, by name."""
        networks: dict[str, nn.Module] = {}
        if self.evaluated_model is not self.model:
            networks["average"] = self.evaluated_model
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        return networks

    def state(self) -> dict[str, Tensor]:
        """All that the next step depends on except the model's weights: their average, the discriminator and Adam."""
        return state_tensors(self._other_networks, self._optimisers)

    def load_state(self, weights: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> None:
        """Restore the model's ``weights`` and a ``state()``.

        Raises
        ------
        ValueError
            If a tensor is missing, unknown, of another shape or not finite; says which.
        """
        check_tensors(weights, {name: value.shape for name, value in self.model.state_dict().items()})
        check_tensors(state, state_shapes(self._other_networks, self._networks))
        self.model.load_state_dict(weights)
        load_tensors(state, self._other_networks, self._optimisers)


def divergence(clean: Tensor, adversarial: Tensor) -> Tensor:
    """KL(softmax(clean) || softmax(adversarial)) of two batches of logits (B, K), in nats, (B,)."""
    logs = F.log_softmax(adversarial, dim=1), F.log_softmax(clean, dim=1)
    return F.kl_div(*logs, reduction="none", log_target=True).sum(dim=1)


@contextmanager
def _tf32_products() -> Iterator[None]:
    """A context with matrix products in TF32, on GPUs; for all threads, because PyTorch's setting is of the process."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
