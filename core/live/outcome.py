"""The outcome of an attack over epsilon: the predictions of every model at each epsilon of a grid."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from core.events import Cancel, Done, Event, Step
from core.live.predictions import Array, clean_batch, predict_batch
from core.live.scene import Scene
from core.live.steps import started, stepped

BATCH = 4
"""Epsilons in one forward pass: few, so that a cancelled computation ends soon."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """The predictions of M models for an attack at each of E epsilons."""

    scene: Scene
    """The attack at one epsilon."""
    exact: bool
    """Whether it is that of the attack itself at every epsilon, not of one perturbation that was rescaled."""
    epsilons: Array
    """(E,)"""
    confidence: Array
    """(M, E) confidence in the class that each model should predict, see ``Scene.expected``."""
    wrong: NDArray[np.bool_]
    """(M, E) whether another class is predicted."""

    def holds_for(self, scene: Scene) -> bool:
        """Whether ``scene`` has the same outcome: the same attack and cloud and, if rescaled, the same perturbation."""
        same_states = self.exact and not self.scene.setup.made_elsewhere
        return self.has_same_attack(scene) and (same_states or self.has_same_perturbation(scene))

    def has_same_attack(self, scene: Scene) -> bool:
        """Whether ``scene`` is of the same attack on the same cloud."""
        return self.scene.attack_key == scene.attack_key and np.array_equal(
            self.scene.setup.cloud.points, scene.setup.cloud.points
        )

    def has_same_perturbation(self, scene: Scene) -> bool:
        return torch.equal(self.scene.state.best_unit_delta, scene.state.best_unit_delta)


def rescaled_outcome(scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None) -> Iterator[Event]:
    """Rescale the scene's perturbation to each of ``epsilons``.

    Yields
    ------
    A ``Step`` after each batch, then ``Done`` with the ``Outcome``; None if it was cancelled.
    """
    grid = np.asarray(epsilons, np.float32)
    state, refit = scene.state, scene.setup.attack.refit
    confidences: list[list[Array]] = [[] for _ in scene.setup.models]
    done, total = 0, len(grid) * len(scene.setup.models)
    for model, parts in zip(scene.setup.models, confidences, strict=True):
        for start in range(0, len(grid), BATCH):
            batch = grid[start : start + BATCH].tolist()
            clouds = torch.cat([refit(state, epsilon).adversarial for epsilon in batch])
            parts.append(predict_batch(model, clouds, scene.setup.seed)[0])
            done += len(batch)
            yield Step(done, total)
            if cancel and cancel.requested:
                yield Done(None, complete=False)
                return
    stacked = np.stack([np.concatenate(parts) for parts in confidences])
    yield Done(_outcome(scene, scene.setup.attack.linear_in_epsilon, grid, stacked))


def attacked_outcome(
    scene: Scene, epsilons: Sequence[float], cancel: Cancel | None = None, confidences: list[Array] | None = None
) -> Iterator[Event]:
    """Run the scene's attack at each of ``epsilons``.

    Parameters
    ----------
    confidences : list to which those of the models, (M, K), are added for each epsilon; with the list of a cancelled
        call, the computation continues where that call ended.

    Yields
    ------
    A ``Step`` after each epsilon, then ``Done`` with the ``Outcome``; None if it was cancelled.
    """
    setup, grid = scene.setup, np.asarray(epsilons, np.float32)
    confidences = [] if confidences is None else confidences
    for epsilon in map(float, grid[len(confidences) :]):
        clouds = _attacked_at(scene, epsilon, cancel)
        if clouds is None:
            yield Done(None, complete=False)
            return
        confidences.append(np.stack([predict_batch(model, clouds, setup.seed)[0][0] for model in setup.models]))
        yield Step(len(confidences), len(grid))
    yield Done(_outcome(scene, True, grid, np.stack(confidences, axis=1)))


def _attacked_at(scene: Scene, epsilon: float, cancel: Cancel | None) -> torch.Tensor | None:
    """The adversarial cloud (1, N, 3) of the scene's attack at another epsilon; None if it was cancelled."""
    if epsilon == 0:
        return clean_batch(scene.setup)
    setup = replace(scene.setup, attack=scene.setup.attack.at(epsilon))
    state = started(setup, scene.state.label)
    while not setup.attack.over(state):
        if cancel and cancel.requested:
            return None
        state = stepped(setup, state)
    return state.adversarial


def _outcome(scene: Scene, exact: bool, epsilons: Array, confidences: Array) -> Outcome:
    """The outcome for M models with confidences (M, E, K) at E epsilons."""
    expected = np.array(scene.expected)
    of_expected = np.take_along_axis(confidences, expected[:, None, None], 2)[:, :, 0]
    return Outcome(scene, exact, epsilons, of_expected, confidences.argmax(2) != expected[:, None])
