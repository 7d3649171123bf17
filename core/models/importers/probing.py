"""How a module that nothing is known of wants to be asked, found by asking it about a few clouds."""

from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor, nn

from core.models.cards import Answer, Layout, ModelError
from core.models.importers.adapter import Adapter, UnansweredError, Way, arranged, called, tables
from core.models.importers.needs import NeededError
from core.runtime.devices import seeded
from core.runtime.text import shortened

_NEAR = 1e-4
"""By how much sums of probabilities, and two answers to the same clouds, may differ from rounding alone."""


@dataclass(frozen=True, eq=False)
class Probed:
    """A foreign model behind the port, and what was found out about it."""

    adapter: Adapter
    classes: int
    deterministic: bool
    """Whether it gives the same for the same clouds."""
    differentiable: bool
    """Whether a gradient reaches the points."""


def probed(model: nn.Module, points: int, layout: Layout | None = None, classes: int | None = None) -> Probed:
    """Ask a model about clouds of ``points`` points on a sphere.

    Parameters
    ----------
    layout
        How it takes them; None tries all.
    classes
        Number of its classes, if that is known: tells logits from other tables.

    Raises
    ------
    ModelError
        If it takes clouds in no such way, gives no logits, or some that are not finite.
    NeededError
        If it takes them in several ways, or gives several tables that may be logits.
    """
    with seeded(0, torch.device("cpu")), torch.no_grad():
        clouds = nn.functional.normalize(torch.randn(2, points, 3), dim=2)
        way = _way(model, clouds, layout, classes)
        first, second = (Adapter(model, way)(clouds).logits for _ in range(2))
        if not (first.isfinite().all() and second.isfinite().all()):
            raise ModelError("It gives logits that are not finite numbers for points on a sphere, so it is of no use.")
        way = Way(way.layout, way.place, _answer(first), way.singly)
        count = first.shape[1]
        adapter = Adapter(model, way, _last_linear(model, way, clouds, count))
        apart = float((first - second).abs().max())
        same = apart <= _NEAR * max(float(first.abs().max()), 1)
        return Probed(adapter, count, same, _differentiable(adapter, clouds))


def _way(model: nn.Module, clouds: Tensor, layout: Layout | None, classes: int | None) -> Way:
    """How it is asked: in the one layout in which it answers, with all clouds together or else with each by itself."""
    answers: dict[Layout, tuple[bool, dict[Any, Tensor]]] = {}
    problems: dict[Layout, str] = {}
    tableless = False
    layouts: Iterable[Layout] = (layout,) if layout else get_args(Layout)
    for each in layouts:
        for asked in (clouds, clouds[:1]):
            try:
                found = tables(called(model, arranged(asked, each)), len(asked))
            except UnansweredError as error:
                problems.setdefault(each, error.reason)
                continue
            if found:
                answers[each] = len(asked) == 1, found
                break
            tableless = True
    if not answers and tableless:
        raise ModelError("It gives no table (B, K) of numbers for K classes, so it is no classifier of clouds.")
    if not answers:
        reasons = "; ".join(f"{each}: {shortened(reason, 90)}" for each, reason in list(problems.items())[:2])
        raise ModelError(f"It takes no clouds of {clouds.shape[1]:,} points ({reasons}).")
    if len(answers) > 1:
        raise NeededError(
            "layout", f"It takes clouds as {' and as '.join(answers)}: say which with --layout.", (*answers,)
        )
    [(only, (singly, found))] = answers.items()
    if len(found) > 1 and classes is not None:
        found = {place: table for place, table in found.items() if table.shape[1] == classes}
    if len(found) != 1:
        raise NeededError("classes", "It gives several tables of numbers: name its --classes, so that one is known.")
    return Way(only, next(iter(found)), singly=singly)


def _answer(values: Tensor) -> Answer:
    """What values (B, K) are."""
    if (values >= 0).all() and ((values.sum(1) - 1).abs() < _NEAR).all():
        return "probabilities"
    return "log-probabilities" if (values.logsumexp(1).abs() < _NEAR).all() else "logits"


def _last_linear(model: nn.Module, way: Way, clouds: Tensor, classes: int) -> nn.Module | None:
    """The linear layer that is called last, if it gives the logits; those of a graph can't be seen."""
    calls: list[nn.Linear] = []

    def note(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        if isinstance(layer, nn.Linear) and inputs[0].dim() == 2:
            calls.append(layer)

    with ExitStack() as hooks:
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                hooks.callback(layer.register_forward_pre_hook(note).remove)
        Adapter(model, way)(clouds)
    return calls[-1] if calls and calls[-1].out_features == classes else None


@torch.enable_grad()
def _differentiable(adapter: Adapter, clouds: Tensor) -> bool:
    try:
        points = clouds.clone().requires_grad_()
        [gradient] = torch.autograd.grad(adapter(points).logits.square().sum(), points)
    except (ModelError, RuntimeError):
        return False
    return bool(gradient.isfinite().all() and gradient.any())
