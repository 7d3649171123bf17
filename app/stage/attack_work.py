"""Computations that the attack controller requests from the worker thread."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.events import Cancel, result

if TYPE_CHECKING:
    from core.attacks import State
    from core.live import AttackResult, Setup


def run_attack(setup: Setup, states: tuple[State, ...], cancel: Cancel) -> AttackResult:
    """Compute the attack's steps after ``states``, and the scene at the last one."""
    from core import live

    attack_result: AttackResult = result(live.attack(setup, setup.attack.epsilon, cancel, states))
    return attack_result


def show_last_state(setup: Setup, states: tuple[State, ...] = ()) -> AttackResult:
    """Compute no further step, only the scene at the last of ``states``, or at the clean cloud without any."""
    cancel = Cancel()
    cancel.request()
    return run_attack(setup, states, cancel)
