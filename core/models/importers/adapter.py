"""Any module that answers for clouds, behind the port of this program."""

import threading
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from core.models.cards import Answer, Layout, ModelError
from core.models.port import Output
from core.runtime.devices import out_of_memory
from core.runtime.text import printable, shortened

_seen = threading.local()  # what the hook of the call in this thread saw


@dataclass(frozen=True)
class Way:
    """How a model is asked, and where its answer is."""

    layout: Layout
    place: int | str | None = None
    """Index or name of the logits among several outputs; None for a single one."""
    answer: Answer = "logits"
    singly: bool = False
    """Whether it takes one cloud at a time, as a graph does that was made with one."""


class UnansweredError(ModelError):
    """A foreign model can't answer for some clouds."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"The model can't answer for these clouds: {reason}.")
        self.reason = reason


class Adapter(nn.Module):
    """Clouds (B, N, 3) -> ``Output`` of a foreign model in eval mode.

    Probabilities become their logarithms; log-probabilities are logits up to a constant and stay as they are. The
    latent is the input of the layer ``latent`` of the model, where that is given, else it has no columns.

    Parameters
    ----------
    model
        As it was made to be used: its modes are left alone, for exported graphs have none.
    """

    def __init__(self, model: nn.Module, way: Way, latent: nn.Module | None = None) -> None:
        super().__init__()
        self.model, self.way = model, way
        self.has_latent = latent is not None
        if latent is not None:
            latent.register_forward_pre_hook(_see)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        self.training = False
        return self

    def forward(self, clouds: Tensor) -> Output:
        parts = clouds.split(1) if self.way.singly else (clouds,)
        answers = [self._answer(part) for part in parts]
        logits, latent = (torch.cat(column) for column in zip(*answers, strict=True))
        if torch.is_grad_enabled() and clouds.requires_grad and not logits.requires_grad:
            raise ModelError(
                "No gradient of this model reaches the points, so it can't be attacked itself: attack another model, "
                "or import it from its Python code."
            )
        return Output(logits, latent)

    def _answer(self, clouds: Tensor) -> tuple[Tensor, Tensor]:
        answer = called(self.model, arranged(clouds, self.way.layout))
        logits = tables(answer, len(clouds)).get(self.way.place)
        if logits is None:
            raise ModelError(f"The model gives no logits (B, K) for clouds of {clouds.shape[1]:,} points.")
        logits = logits.float()
        if self.way.answer == "probabilities":
            logits = logits.clamp_min(torch.finfo(logits.dtype).tiny).log()
        if not self.has_latent:
            return logits, logits.new_empty(len(clouds), 0)
        latent: Tensor = _seen.latent
        del _seen.latent
        return logits, latent


def _see(_: nn.Module, inputs: tuple[Any, ...]) -> None:
    _seen.latent = inputs[0]


def called(model: nn.Module, clouds: Any) -> Any:
    """What a foreign model answers; whatever goes wrong in it is a sentence.

    Raises
    ------
    UnansweredError
        If it can't answer for these clouds.
    """
    # a script is compiled anew for each number of points and mode of gradients, which takes longer than it saves
    slowly = torch.jit.optimized_execution  # type: ignore[attr-defined]
    quickly = slowly(False) if isinstance(model, torch.jit.ScriptModule) else nullcontext()
    try:
        with quickly:
            return model(clouds)
    except Exception as error:
        if out_of_memory(error) is not None:
            raise
        raise UnansweredError(why(error)) from None


def why(error: BaseException) -> str:
    """What a stranger's code or graph says, in one line: a graph says it last."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = shortened(printable(lines[-1]), 120).rstrip(".") if lines else ""
    return type(error).__name__ if not text or "pickle" in text else f"{type(error).__name__}: {text}"


def arranged(clouds: Tensor, layout: Layout) -> Tensor | dict[str, Tensor]:
    """Clouds (B, N, 3) as a model of this layout takes them."""
    turned = clouds.transpose(1, 2).contiguous()
    return {"B3N": turned, "BN3": clouds, "dict": {"pos": clouds, "x": turned}}[layout]  # type: ignore[return-value]


def tables(answer: Any, count: int) -> dict[int | str | None, Tensor]:
    """What of a model's answer to ``count`` clouds may be logits, by its place: tables (count, K) of K >= 2 numbers.

    What is called ``logits`` is that alone.
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
