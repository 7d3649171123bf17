"""The interface of every model, ``Classifier``: it maps clouds to logits and a latent."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

from core.images import ImageFormat

_NAME = "name_for_messages"  # attribute with a model's name, for error messages
_DISCRIMINATOR, _CLASS_LATENTS = "discriminator", "class_latents"  # attributes with what adaptive attacks read
_TRAINING_DATA = "training_data"  # attribute with the dataset and the classes of a model
_VALUE_RANGE = "value_range"  # attribute with the range of the values of images that a model takes


class Output(NamedTuple):
    """The outputs of a classifier for a batch of clouds."""

    logits: Tensor
    """(B, K), up to a constant for each cloud: log-probabilities of foreign models are taken as they are."""
    latent: Tensor
    """(B, D), the global descriptor that the classifier's fully connected layers read.

    D is 0 for a foreign model whose latent can't be seen; everything works without one but a map of latents.
    """


@runtime_checkable
class Classifier(Protocol):
    """A callable from clouds (B, N, 3) in the unit sphere to ``Output``; attacks ask for no more than this.

    One of images takes them as (B, C, H, W), and names the range of their values with ``give_value_range``.
    """

    def __call__(self, clouds: Tensor, /) -> Output: ...


class RandomClassifier(Classifier, Protocol):
    """A classifier with randomness, such as a random defence: each call draws anew."""

    @property
    def deterministic(self) -> bool:
        """False."""

    def reseeded(self, seed: int, /) -> Classifier:
        """The model with a new sequence of draws, from this seed."""

    def drawn(self, seed: int, /) -> Classifier:
        """The model with the same draw, that of this seed, at every call."""


def draws_anew(model: Classifier) -> TypeGuard[RandomClassifier]:
    """Whether a model draws anew at every call; False for a model without the attribute ``deterministic``."""
    return not getattr(model, "deterministic", True)


def reseeded(model: Classifier, seed: int) -> Classifier:
    """The model with a new sequence of draws from this seed, so that a measurement can be repeated."""
    return model.reseeded(seed) if draws_anew(model) else model


def drawn(model: Classifier, seed: int) -> Classifier:
    """The model with the draw of this seed at every call; a deterministic model as it is."""
    return model.drawn(seed) if draws_anew(model) else model


class NonFiniteError(ValueError):
    """A model computes infinity or NaN: its weights are finite, but a forward or backward pass overflows."""


def give_name(model: nn.Module, name: str) -> None:
    """Set the name by which error messages mention a model, wherever the error occurs."""
    setattr(model, _NAME, name)


def give_discriminator(model: nn.Module, discriminator: nn.Module) -> None:
    """Attach the discriminator that a model was trained with; it becomes no part of the model's own weights."""
    model.__dict__[_DISCRIMINATOR] = discriminator


def discriminator_of(model: object) -> nn.Module | None:
    """The discriminator that a model was trained with: latents (B, D) -> logits (B, 2); None if it is not known."""
    return getattr(model, _DISCRIMINATOR, None)


def give_class_latents(model: nn.Module, latents: Tensor) -> None:
    """Attach the mean latent (K, D) of each class's training clouds to a model of K classes."""
    model.__dict__[_CLASS_LATENTS] = latents


def class_latents_of(model: object) -> Tensor | None:
    """(K, D), the mean latent of each class's training clouds; None if they are not known."""
    return getattr(model, _CLASS_LATENTS, None)


def give_training_data(model: nn.Module, dataset: str | None, classes: Sequence[str]) -> None:
    """Attach the name of a model's training set, if it is known, and the names of its classes."""
    model.__dict__[_TRAINING_DATA] = (dataset, tuple(classes))


def training_data_of(model: object) -> tuple[str | None, tuple[str, ...]]:
    """The name of a model's training set, None if it is not known, and the names of its classes, as far as known."""
    return getattr(model, _TRAINING_DATA, (None, ()))


def give_value_range(model: Classifier, value_range: tuple[float, float] | None) -> None:
    """Attach the least and the largest value of the images that a model takes, which attacks do not leave."""
    model.__dict__[_VALUE_RANGE] = value_range


def value_range_of(model: object) -> tuple[float, float] | None:
    """The least and the largest value of the images that a model takes; None if it takes clouds, or has none."""
    return getattr(model, _VALUE_RANGE, None)


def require_finite(model: Classifier, values: Tensor, kind: str = "logits") -> Tensor:
    """Return ``values`` (B, ...), which ``model`` computed for B clouds, if all are finite.

    Raises
    ------
    NonFiniteError
        If some is infinite or NaN: a prediction read off such logits, or a step along such gradients, is meaningless.
    """
    low, high = values.aminmax()  # ten times as fast as isfinite on each value
    if (high - low).isfinite():
        return values
    finite = values.isfinite()
    if not finite.all():
        wrong, total, name = len(values) - int(finite.flatten(1).all(1).sum()), len(values), getattr(model, _NAME, "")
        raise NonFiniteError(
            f"The model {name + ' ' if name else ''}gives {kind} that are not finite numbers for {wrong} of {total} "
            f"cloud{'s' if total > 1 else ''}, because it overflows: use another model, or train it anew with a lower "
            "learning rate."
        )
    return values


@contextmanager
def evaluating(model: Classifier) -> Iterator[None]:
    """Put every sub-module into eval mode inside the block, and restore each one's mode after it."""
    if not isinstance(model, nn.Module):
        yield
        return
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def latent_size(model: nn.Module, image: ImageFormat | None = None) -> int:
    """D of the latents (B, D) that a model of clouds, or of such images, gives."""
    with evaluating(model), torch.no_grad():
        return model(torch.zeros(1, *((1, 3) if image is None else image.shape))).latent.shape[1]


@contextmanager
def without_weight_gradients(model: Classifier) -> Iterator[None]:
    """Inside the block no weight of the model asks for a gradient, so that one of the clouds costs less."""
    weights = [weight for weight in model.parameters() if weight.requires_grad] if isinstance(model, nn.Module) else []
    for weight in weights:
        weight.requires_grad_(False)
    try:
        yield
    finally:
        for weight in weights:
            weight.requires_grad_(True)


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[Classifier]:
    """The model in training mode, where batch norm normalises a batch by its own statistics, inside the block.

    It is a plain function, which no caller can put into eval mode. Modes and running statistics are restored after.
    """
    modes = [(module, module.training) for module in model.modules()]
    before = [buffer.clone() for buffer in model.buffers()]
    model.train()

    def in_training_mode(clouds: Tensor) -> Output:
        return model(clouds)

    give_value_range(in_training_mode, value_range_of(model))
    try:
        yield in_training_mode
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
