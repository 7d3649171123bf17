"""The state of an attack on a batch, as a frozen value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import torch
from torch import Tensor

from core.attacks.constraint import rmse
from core.attacks.evaluation import Evaluation
from core.attacks.samples import for_each


class Stop(IntEnum):
    """Why an attack on a cloud ended. More steps can be made after ``STEPS``, and none after the later ones."""

    RUNNING = 0
    STEPS = 1
    SUCCESS = 2
    LOSS = 3
    RMSE = 4
    PATIENCE = 5
    FOUND = 6
    """Its search is over: more steps would find nothing nearer."""


@dataclass(frozen=True, eq=False)
class State:
    """The state of an attack on a batch after some steps. History, undo and scrubbing are lists of these."""

    clean: Tensor
    """(B, N, 3), the clean clouds, about which the budget is always measured."""
    label: Tensor
    """(B,), the true class, or the wanted one of a targeted attack."""
    epsilon: float
    """Budget in unit-sphere radii, or in the attack's own unit."""
    unit_delta: Tensor
    """(B, N, 3), the current iterate's perturbation in units of epsilon."""
    evaluation: Evaluation | None
    """The attacked model at the current iterate; None after ``refit``, which evaluates no model."""
    best_unit_delta: Tensor
    """(B, N, 3), the best iterate after the first step: fooled before not fooled, then the larger objective."""
    best: Evaluation | None
    """The attacked model at the best iterate."""
    at_clean: Evaluation | None
    """The attacked model at the clean clouds; None in adversarial training, which does not evaluate it."""
    seed: Tensor
    """(B,), a seed for the random numbers of each cloud, so that they do not depend on the rest of the batch."""
    forwards: Tensor
    """(B,), forward passes so far."""
    backwards: Tensor
    """(B,), backward passes so far."""
    stop: Tensor
    """(B,), why the attack on each cloud ended, a ``Stop``; 0 while it goes on."""
    iterations: Tensor
    """(B,), steps made on each cloud."""
    slots: Mapping[str, Tensor] = field(default_factory=dict)
    """What the attack keeps from step to step, by name; the first dimension of each is that of the batch."""
    geometry: Mapping[str, Tensor] = field(default_factory=dict)
    """Geometry of the clean clouds that the attack uses, such as normals, by name, in the same way; computed once."""
    step: int = 0
    """Steps made, over all starts."""
    class_latents: Tensor | None = None
    """(K, D), mean latents of the training clouds of each class; None if the model's file does not contain them."""

    value_range: tuple[float, float] | None = None
    """Least and largest value that samples may have, as images do; None for clouds, which have no such range."""

    def moved(self, unit_delta: Tensor) -> Tensor:
        """(B, N, 3), the clean clouds with a perturbation, which may be of a higher precision than they are."""
        return self.moved_by(self.epsilon * unit_delta)

    def moved_by(self, delta: Tensor) -> Tensor:
        """The same with a perturbation that is not in units of epsilon."""
        moved = (self.clean + delta).to(self.clean.dtype)
        return moved if self.value_range is None else moved.clamp(*self.value_range)

    @property
    def ended(self) -> bool:
        """Whether a rule has stopped the attack on every cloud, before its last step."""
        return bool((self.stop > Stop.STEPS).all())

    @property
    def current(self) -> Tensor:
        """(B, N, 3), the current iterate."""
        return self.moved(self.unit_delta)

    @property
    def loss(self) -> Tensor:
        """(B,), cross-entropy to the label at the current iterate, in nats; NaN after ``refit``."""
        return self.clean.new_full(self.label.shape, torch.nan) if self.evaluation is None else self.evaluation.loss

    @property
    def rmse(self) -> Tensor:
        """(B,), RMSE of the current iterate's perturbation, in unit-sphere radii."""
        return self.epsilon * rmse(self.unit_delta)

    @property
    def adversarial(self) -> Tensor:
        """(B, N, 3), the result: the best iterate."""
        return self.moved(self.best_unit_delta)

    def of(self, rows: Tensor) -> "State":
        """The same state of some of the clouds: an index (M,) or a mask (B,)."""
        names = ("clean", "label", "unit_delta", "best_unit_delta", "forwards", "backwards", "stop", "iterations")
        parts: dict[str, Any] = {name: getattr(self, name)[rows] for name in names}
        for name in ("evaluation", "best", "at_clean"):
            parts[name] = getattr(self, name) and getattr(self, name).of(rows)
        for name in ("slots", "geometry"):
            parts[name] = {key: value[rows] for key, value in getattr(self, name).items()}
        return replace(self, **parts, seed=self.seed[rows.to(self.seed.device)])

    def where(self, mask: Tensor, other: "State") -> "State":
        """This state of the clouds of a mask (B,), the other of the rest; both of one attack at one step."""
        names = ("unit_delta", "best_unit_delta", "forwards", "backwards", "stop", "iterations")
        parts: dict[str, Any] = {name: _where(mask, getattr(self, name), getattr(other, name)) for name in names}
        for name in ("evaluation", "best"):
            mine, its = getattr(self, name), getattr(other, name)
            parts[name] = mine.where(mask, its) if mine is not None and its is not None else None
        slots = {name: _where(mask, value, other.slots.get(name, value)) for name, value in self.slots.items()}
        return replace(self, **parts, slots=slots)


@dataclass(frozen=True, eq=False)
class Proposal:
    """The next iterate that an attack proposes."""

    unit_delta: Tensor
    """(B, N, 3)"""
    slots: dict[str, Tensor]
    """What the attack keeps after this step, see ``State.slots``."""
    forwards: Tensor | int = 0
    """Forward passes used to find it, for all clouds or for each (B,)."""
    backwards: Tensor | int = 0
    evaluation: Evaluation | None = None
    """The model at it, if that was computed already; otherwise the loop evaluates it."""


@dataclass(frozen=True, eq=False)
class Ended:
    """Clouds whose attacks ended together."""

    rows: Tensor
    """(M,), their rows in the batch."""
    state: State
    """Their last state."""
    loss: Tensor
    """(M, T + 1), the loss before the first and after each of T steps, in nats."""
    rmse: Tensor
    """(M, T + 1), the RMSE of the iterates, in unit-sphere radii."""


def _where(mask: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(for_each(mask, one), one, other)
