"""Computations that the attack controller requests from the worker thread."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from core.events import Cancel, Done, Step, result

if TYPE_CHECKING:
    from core.attacks import State
    from core.live import AttackResult, Setup

SHORT_SECONDS = 1.0
"""An attack whose remaining steps take longer is long."""
SAMPLE_SECONDS = 0.1
"""Steps of this duration are enough to tell how long all of them will take."""


@dataclass(frozen=True, eq=False)
class LongAttack:
    """An attack that was left because its steps take long."""

    states: tuple[State, ...]
    """The states that were computed until then."""


def run_attack(setup: Setup, states: tuple[State, ...], cancel: Cancel) -> AttackResult | LongAttack:
    """Compute the attack's steps after ``states`` and the scene at the last one; or, if that takes long, a part."""
    from core import live

    stop, started, long = Cancel(), time.perf_counter(), False
    for event in live.attack(setup, setup.attack.epsilon, stop, states):
        match event:
            case Step(index=index, total=total):
                spent = time.perf_counter() - started
                left = spent / (index + 1 - max(1, len(states))) * (total - index)
                long = spent > SAMPLE_SECONDS and left > SHORT_SECONDS
                if long or cancel.requested:
                    stop.request()
            case Done(value=attack_result, complete=complete):
                return LongAttack(attack_result.states) if long and not complete else attack_result
    raise AssertionError("the last event is Done")


def show_last_state(setup: Setup, states: tuple[State, ...] = ()) -> AttackResult:
    """Compute no further step, only the scene at the last of ``states``, or at the clean cloud without any."""
    from core import live

    cancel = Cancel()
    cancel.request()
    attack_result: AttackResult = result(live.attack(setup, setup.attack.epsilon, cancel, states))
    return attack_result


def show_made(setup: Setup, points: NDArray[np.float32]) -> AttackResult:
    """Take ``points`` (N, 3) as what the attack came to, made at another time, with the predictions of all models."""
    import torch

    from core import live
    from core.attacks.evaluation import evaluate
    from core.attacks.state import Stop

    scene, module = live.begin(setup), setup.models[setup.primary].module
    first, epsilon = scene.state, max(setup.attack.epsilon, 1e-9)
    moved = torch.from_numpy(points)[None].to(first.clean.device)
    moves = moved - first.clean if moved.device.type == "mps" else moved.double() - first.clean.double()  # exact
    found = evaluate(module, moved, first.label, gradient=False, objective=setup.attack.maximised(module, first))
    state = replace(
        first,
        unit_delta=moves / epsilon,
        best_unit_delta=moves / epsilon,
        evaluation=found,
        best=found,
        step=setup.attack.total_steps,
        stop=torch.full_like(first.stop, Stop.FOUND),  # so that more steps leave it as it is
    )
    return live.AttackResult((first, state), live.show(scene, state))
