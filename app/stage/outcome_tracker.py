"""The outcome over epsilon that is drawn in the slider's groove: which computation it needs next, and its result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from app.store import Store
from core.events import Cancel, Event, result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.live import Outcome, Scene

OUTCOME_PLACES = 31
"""Epsilons at which the outcome is computed, from 0 to the end of the slider."""
MOST_KEPT = 8
"""Outcomes that are kept, each of another attack or cloud, for when that is shown again."""
MOST_STEPS = 100
"""An attack of more steps is not repeated at every epsilon of the grid."""

Work = Callable[[], "Outcome | None"]
"""A computation for the worker thread; its result belongs to ``set_result``."""


class OutcomeTracker:
    """Decides what has to be computed for the store's outcome to match its scene."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cancel = Cancel()
        self._swept_confidences: list[NDArray[np.float32]] = []  # (M, K) for each epsilon done so far
        self._failed_outcome: Outcome | None = None  # of the sweep that failed
        self._kept: list[Outcome] = []  # the last used is last
        store.modelsChanged.connect(self._forget_unloaded_models)

    def rescaled_work(self) -> Work | None:
        """The outcome of the rescaled perturbation; None if the present one or a kept one belongs to the scene."""
        from core import live

        store, scene = self._store, self._store.scene
        if scene is None or (store.outcome is not None and store.outcome.holds_for(scene)):
            return None
        self._swept_confidences = []
        for kept in self._kept:
            # An exact one, too: a cloud of a stored adversarial set may be of another seed.
            if kept.has_same_attack(scene) and kept.has_same_perturbation(scene):
                self.set_result(kept)
                return None
        store.set_outcome(None)
        if scene.step == 0:  # the clean cloud has no perturbation
            return None
        return partial(_run, partial(live.rescaled_outcome, scene, _grid(scene), self._cancel))

    def exact_work(self) -> Work | None:
        """The outcome of the attack repeated at every epsilon, which may take seconds; None if that is not needed."""
        from core import live

        present = self._store.outcome
        if present is None or present.exact or present is self._failed_outcome:
            return None
        setup = present.scene.setup
        if setup.attack.total_steps > MOST_STEPS or setup.made_elsewhere:  # made here, it would be another cloud
            return None
        scene, done = present.scene, self._swept_confidences
        return partial(_run, partial(live.attacked_outcome, scene, _grid(scene), self._cancel, done))

    def set_result(self, outcome: Outcome | None) -> None:
        """Put a computed outcome into the store; None if its computation was cancelled."""
        if outcome is not None:
            self._keep(outcome)
            self._store.set_outcome(outcome)

    def mark_failed(self) -> None:
        """Do not try again a sweep that failed. It runs unasked, so no message is shown; the log has the reason."""
        self._failed_outcome = self._store.outcome

    def cancel(self) -> None:
        """End the running computation. A sweep continues where it was when it is requested again."""
        self._cancel.request()
        self._cancel = Cancel()

    def _keep(self, outcome: Outcome) -> None:
        others = [each for each in self._kept if not each.has_same_attack(outcome.scene)]
        self._kept = [*others, outcome][-MOST_KEPT:]
        self._forget_unloaded_models()  # it may have been computed while a model was unloaded

    def _forget_unloaded_models(self) -> None:
        """Outcomes hold their models, whose memory would not be given back."""
        self._kept = [each for each in self._kept if self._has_loaded_models(each)]
        if self._failed_outcome is not None and not self._has_loaded_models(self._failed_outcome):
            self._failed_outcome = None

    def _has_loaded_models(self, outcome: Outcome) -> bool:
        return all(model in self._store.models for model in outcome.scene.setup.models)


def _grid(scene: Scene) -> tuple[float, ...]:
    return tuple(np.linspace(0, scene.setup.attack.epsilon_scale.highest, OUTCOME_PLACES))


def _run(work: Callable[[], Iterator[Event]]) -> Outcome | None:
    outcome: Outcome | None = result(work())
    return outcome
