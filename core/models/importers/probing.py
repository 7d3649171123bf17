"""Finds out how an unknown module has to be called, by calling it with a few clouds or images."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from core.images import ImageFormat
from core.models.cards import Answer, CloudLayout, Layout, ModelError
from core.models.importers.adapter import Adapter, Call, UnansweredError, call_model, in_layout, logit_tables
from core.models.importers.needs import NeededError
from core.runtime.devices import seeded
from core.runtime.memory import out_of_memory
from core.runtime.text import shortened

_NEAR = 1e-4
"""Tolerance for rounding: of sums of probabilities, and of two outputs for the same clouds."""


@dataclass(frozen=True, eq=False)
class Probed:
    """A foreign model behind the port, and what was found out about it."""

    adapter: Adapter
    classes: int
    deterministic: bool
    """Whether it gives the same output for the same clouds."""
    differentiable: bool
    """Whether a gradient reaches the points."""


def probe_samples(points: int, image: ImageFormat | None) -> Tensor:
    """Two clouds (2, points, 3) on a sphere or, of a format, two images (2, C, H, W) of noise."""
    if image is None:
        return nn.functional.normalize(torch.randn(2, points, 3), dim=2)
    low, high = image.value_range
    return low + (high - low) * torch.rand(2, *image.shape)


def probed(
    model: nn.Module,
    points: int,
    layout: Layout | None = None,
    classes: int | None = None,
    image: ImageFormat | None = None,
) -> Probed:
    """Call a model with clouds of ``points`` points, or with images, and find out how it works.

    Parameters
    ----------
    layout
        How it takes clouds; None tries all layouts.
    image
        The images that it takes; None if it takes clouds.
    classes
        Number of its classes, if that is known: tells logits from other outputs.

    Raises
    ------
    ModelError
        If it takes no such clouds, or its logits are missing, not finite, or depend on the other clouds of the batch.
    NeededError
        If it takes several layouts, or gives several outputs that may be logits.
    """
    with seeded(0, torch.device("cpu")), torch.no_grad():
        clouds = probe_samples(points, image)
        call = _find_call(model, clouds, layout if image is None else "BCHW", classes)
        first, second = (Adapter(model, call)(clouds).logits for _ in range(2))
        if not (first.isfinite().all() and second.isfinite().all()):
            raise ModelError(
                f"It gives logits that are not finite numbers for {_described(clouds)}, so it is of no use."
            )
        call = Call(call.layout, call.place, _kind_of_answer(first), call.one_by_one)
        count = first.shape[1]
        adapter = Adapter(model, call, _last_linear(model, call, clouds, count))
        near = _NEAR * max(float(first.abs().max()), 1)
        same = bool(((first - second).abs() <= near).all())
        if same and ((adapter(clouds[:1]).logits - adapter(clouds).logits[:1]).abs() > near).any():
            raise ModelError(
                "Its answer for one depends on the others in the batch, as in training mode: make it in eval mode."
            )
        return Probed(adapter, count, same, _differentiable(adapter, clouds))


def _find_call(model: nn.Module, clouds: Tensor, layout: Layout | None, classes: int | None) -> Call:
    """How the model is called: the one layout that it takes, with all clouds at once or else one by one."""
    answers: dict[Layout, tuple[bool, dict[Any, Tensor]]] = {}
    problems: dict[Layout, str] = {}
    tableless = False
    layouts: Iterable[Layout] = (layout,) if layout else get_args(CloudLayout)
    for each in layouts:
        for asked in (clouds, clouds[:1]):
            try:
                found = logit_tables(call_model(model, in_layout(asked, each)), len(asked))
            except UnansweredError as error:
                problems.setdefault(each, error.reason)
                continue
            if found:
                answers[each] = len(asked) == 1, found
                break
            tableless = True
    if not answers and tableless:
        raise ModelError("It gives no table (B, K) of numbers for K classes, so it is no classifier.")
    if not answers:
        reasons = "; ".join(f"{each}: {shortened(reason, 90)}" for each, reason in list(problems.items())[:2])
        raise ModelError(f"It takes no {_described(clouds)} ({reasons}).")
    if len(answers) > 1:
        raise NeededError(
            "layout", f"It takes clouds as {' and as '.join(answers)}: say which with --layout.", (*answers,)
        )
    [(only, (one_by_one, found))] = answers.items()
    if len(found) > 1 and classes is not None:
        found = {place: table for place, table in found.items() if table.shape[1] == classes}
    if len(found) != 1:
        raise NeededError("classes", "It gives several tables of numbers: name its --classes, so that one is known.")
    return Call(only, next(iter(found)), one_by_one=one_by_one)


def _described(samples: Tensor) -> str:
    """The samples of a trial in words."""
    if samples.dim() == 3:
        return f"clouds of {samples.shape[1]:,} points"
    return f"images of {' x '.join(map(str, samples.shape[1:]))} values"


def _kind_of_answer(values: Tensor) -> Answer:
    """Whether outputs (B, K) are logits, probabilities or their logarithms."""
    if (values >= 0).all() and ((values.sum(1) - 1).abs() < _NEAR).all():
        return "probabilities"
    return "log-probabilities" if (values.logsumexp(1).abs() < _NEAR).all() else "logits"


def _last_linear(model: nn.Module, call: Call, clouds: Tensor, classes: int) -> nn.Module | None:
    """The linear layer that is called last, if it gives the logits; None for a graph, whose layers can't be seen."""
    calls: list[nn.Linear] = []

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Linear) and inputs[0].dim() == 2:
            calls.append(layer)

    with ExitStack() as hooks:
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                hooks.callback(layer.register_forward_pre_hook(note).remove)
        Adapter(model, call)(clouds)
    return calls[-1] if calls and calls[-1].out_features == classes else None


@torch.enable_grad()
def _differentiable(adapter: Adapter, clouds: Tensor) -> bool:
    try:
        points = clouds.clone().requires_grad_()
        [gradient] = torch.autograd.grad(adapter(points).logits.square().sum(), points)
    except (ModelError, RuntimeError) as error:
        if out_of_memory(error):
            raise
        return False
    return bool(gradient.isfinite().all() and gradient.any())
