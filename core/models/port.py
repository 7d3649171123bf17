"""What every model is to the rest of the program: a module that maps clouds to logits and a latent."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple, Protocol, TypeGuard, runtime_checkable

import torch
from torch import Tensor, nn

_NAME = "name_for_messages"  # of the attribute


class Output(NamedTuple):
    """What a classifier says of a batch of clouds."""

    logits: Tensor
    """(B, K), up to a constant for each cloud: log-probabilities of foreign models are taken as they are."""
    latent: Tensor
    """(B, D), the global descriptor that the classifier's fully connected layers read.

    D is 0 for a foreign model whose latent can't be seen; everything works without one but a map of latents.
    """


@runtime_checkable
class Classifier(Protocol):
    """A callable from clouds (B, N, 3) in the unit sphere to ``Output``; attacks ask for no more than this."""

    def __call__(self, clouds: Tensor, /) -> Output: ...


class RandomClassifier(Classifier, Protocol):
    """A classifier that draws at every call, and answers otherwise at each."""

    @property
    def deterministic(self) -> bool:
        """False."""

    def reseeded(self, seed: int, /) -> Classifier:
        """The same with a sequence of draws of its own, which this seed begins."""

    def drawn(self, seed: int, /) -> Classifier:
        """The same with one draw, always that of this seed."""


def draws_anew(model: Classifier) -> TypeGuard[RandomClassifier]:
    """Whether a model draws at every call; one that does not say so does not."""
    return not getattr(model, "deterministic", True)


def reseeded(model: Classifier, seed: int) -> Classifier:
    """The model with a sequence of draws of its own, if it draws: what is measured with it can be repeated."""
    return model.reseeded(seed) if draws_anew(model) else model


def drawn(model: Classifier, seed: int) -> Classifier:
    """The model with the draw of this seed at every call, if it draws."""
    return model.drawn(seed) if draws_anew(model) else model


class NonFiniteError(ValueError):
    """What a model computes is not a number: its weights are finite, but it overflows."""


def give_name(model: nn.Module, name: str) -> None:
    """Let errors that a model causes name it, however deep in an attack it is asked."""
    setattr(model, _NAME, name)


def require_finite(model: Classifier, values: Tensor, kind: str = "logits") -> Tensor:
    """What ``model`` gave for each cloud, (B, ...), where all of it is finite.

    Raises
    ------
    NonFiniteError
        If some is infinite or NaN: a prediction read off such logits, or a step along such gradients, is meaningless.
    """
    low, high = values.aminmax()  # in a tenth of the time of asking each
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
    """Every sub-module in eval mode inside, each one's own mode restored after, also after an error."""
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


@contextmanager
def batch_statistics(model: nn.Module) -> Iterator[Classifier]:
    """The model in training mode, as a bare callable that no caller puts into eval mode: batch norm normalises a batch
    by its own statistics. Modes and running statistics are restored after.
    """
    modes = [(module, module.training) for module in model.modules()]
    before = [buffer.clone() for buffer in model.buffers()]
    model.train()
    try:
        yield lambda clouds: model(clouds)
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
