"""Wraps a model of another project as a ``Classifier``."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from core.models.cards import Answer, Layout, ModelError, NoGradientError
from core.models.port import Output
from core.runtime.memory import out_of_memory
from core.runtime.text import printable, shortened

_recorded = threading.local()  # the input that the hook recorded in this thread's call


@dataclass(frozen=True)
class Call:
    """How a foreign model is called, and where its logits are in what it returns."""

    layout: Layout
    place: int | str | None = None
    """Index or name of the logits among several outputs; None for a single one."""
    answer: Answer = "logits"
    one_by_one: bool = False
    """Whether it takes one cloud at a time, like a graph that was traced with one."""


class UnansweredError(ModelError):
    """A foreign model raises an error for some clouds or images."""

    def __init__(self, reason: str, what: str = "clouds") -> None:
        super().__init__(f"The model can't answer for these {what}: {reason}.")
        self.reason = reason


class Adapter(nn.Module):
    """Clouds (B, N, 3), or images (B, C, H, W), -> ``Output`` of a foreign model in eval mode.

    Probabilities become their logarithms; log-probabilities are logits up to a constant and stay as they are.

    Parameters
    ----------
    model
        The model in eval mode. Its mode is never changed here, because exported graphs have no modes.
    latent
        Layer of the model whose input is the latent; without one the latent has no columns.
    """

    def __init__(self, model: nn.Module, call: Call, latent: nn.Module | None = None) -> None:
        super().__init__()
        self.model, self.call = model, call
        self.has_latent = latent is not None
        if latent is not None:
            latent.register_forward_pre_hook(_record_input)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        self.training = False
        return self

    def forward(self, clouds: Tensor) -> Output:
        parts = clouds.split(1) if self.call.one_by_one else (clouds,)
        answers = [self._logits_and_latent(part) for part in parts]
        logits, latent = (torch.cat(column) for column in zip(*answers, strict=True))
        if torch.is_grad_enabled() and clouds.requires_grad and not logits.requires_grad:
            what = "values" if self.call.layout == "BCHW" else "points"
            raise NoGradientError(
                f"No gradient of this model reaches the {what}, so it can't be attacked itself: attack another model, "
                "or import it from its Python code."
            )
        return Output(logits, latent)

    def _logits_and_latent(self, clouds: Tensor) -> tuple[Tensor, Tensor]:
        answer = call_model(self.model, in_layout(clouds, self.call.layout))
        logits = logit_tables(answer, len(clouds)).get(self.call.place)
        if logits is None:
            shape = ", ".join(map(str, clouds.shape[1:]))
            raise ModelError(f"The model gives no logits (B, K) for samples (B, {shape}).")
        logits = logits.float()
        if self.call.answer == "probabilities":
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        latent = vars(_recorded).pop("latent", None) if self.has_latent else None
        return logits, logits.new_empty(len(clouds), 0) if latent is None else latent


def _record_input(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    _recorded.latent = inputs[0]


def call_model(model: nn.Module, clouds: Any) -> Any:
    """What a foreign model returns for clouds in its layout.

    Raises
    ------
    UnansweredError
        If it raises any error, except that memory ran out.
    """
    # a script would be optimised for each number of points and gradient mode, which takes longer than it saves
    optimised = torch.jit.optimized_execution  # type: ignore[attr-defined]
    unoptimised = optimised(False) if isinstance(model, torch.jit.ScriptModule) else nullcontext()
    try:
        with unoptimised:
            return model(clouds)
    except Exception as error:
        if out_of_memory(error) is not None:
            raise
        images = isinstance(clouds, Tensor) and clouds.dim() == 4
        raise UnansweredError(error_text(error), "images" if images else "clouds") from None


def error_text(error: BaseException) -> str:
    """The error of foreign code in one line: the last, which holds the message in errors of a graph."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = shortened(printable(lines[-1]), 120).rstrip(".") if lines else ""
    return type(error).__name__ if not text or "pickle" in text else f"{type(error).__name__}: {text}"


def in_layout(clouds: Tensor, layout: Layout) -> Tensor | dict[str, Tensor]:
    """Clouds (B, N, 3) in the layout that a foreign model takes; images (B, C, H, W) as they are."""
    if layout in ("BN3", "BCHW"):
        return clouds
    turned = clouds.transpose(1, 2).contiguous()
    return turned if layout == "B3N" else {"pos": clouds, "x": turned}


def logit_tables(answer: Any, count: int) -> dict[int | str | None, Tensor]:
    """The outputs for ``count`` clouds that can be logits, (count, K) with K >= 2, by their index or name.

    If one is called ``logits``, only that one.
    """
    if isinstance(answer, Tensor):
        places: Mapping[Any, Any] = {None: answer}
    elif hasattr(answer, "_asdict"):
        places = answer._asdict()
    elif isinstance(answer, Mapping):
        places = answer
    else:
        places = dict(enumerate(answer)) if isinstance(answer, tuple | list) else {}
    found = {
        place: value
        for place, value in places.items()
        if isinstance(value, Tensor) and value.is_floating_point() and value.dim() == 2
        if len(value) == count and value.shape[1] > 1
    }
    return {"logits": found["logits"]} if "logits" in found else found
