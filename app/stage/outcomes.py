"""The outcome over epsilon that the slider's groove shows: which there is, which is wanted, how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from app.store import Store
from core.events import Cancel, Event, result

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from core.live import Outcome

EPSILON_MAX = 0.3
"""End of the slider, in unit-sphere radii."""
OUTCOME_GRID = tuple(np.linspace(0, EPSILON_MAX, 31))
LONG = 100
"""Steps: a longer attack is not made anew at every epsilon."""


Work = Callable[[], "Outcome | None"]
"""For a worker; what it finds is to be given to ``take``."""


class Outcomes:
    """Keeps the store's outcome in step with its scene."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._cancel = Cancel()
        self._answers: list[NDArray[np.float32]] = []  # those of the sweep so far
        self._failed: Outcome | None = None  # the one whose sweep failed

    def renew(self) -> Work | None:
        """How to find the outcome of the scene, rescaled, if the one there is of something else."""
        from core import live

        store = self._store
        if store.scene is None or (store.outcome is not None and store.outcome.holds_for(store.scene)):
            return None
        store.set_outcome(None)
        if store.scene.step == 0:  # the clean cloud has none
            return None
        self._answers = []
        return partial(_found, partial(live.outcome, store.scene, OUTCOME_GRID, self._cancel))

    def refine(self) -> Work | None:
        """How to attack at every epsilon, where the outcome is a result rescaled; it may take seconds."""
        from core import live

        found = self._store.outcome
        if found is None or found.exact or found is self._failed or found.scene.setup.attack.total_steps > LONG:
            return None
        return partial(_found, partial(live.attacked_outcome, found.scene, OUTCOME_GRID, self._cancel, self._answers))

    def take(self, outcome: Outcome | None) -> None:
        """Show what was found; None if it was cancelled."""
        if outcome is not None:
            self._store.set_outcome(outcome)

    def give_up(self) -> None:
        """The sweep failed, and is not tried again. Nobody asked for it, and the log has the reason."""
        self._failed = self._store.outcome

    def stop(self) -> None:
        """What is under way ends soon. A sweep goes on from there when it is asked for again."""
        self._cancel.request()
        self._cancel = Cancel()


def _found(work: Callable[[], Iterator[Event]]) -> Outcome | None:
    outcome: Outcome | None = result(work())
    return outcome
