"""Several attacks on one cloud, one after the other: what each made of it, and what that took."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from core import live
from core.attacks import Attack
from core.evaluation.provenance import measurement_provenance
from core.events import Cancel, Done, Event, Progress, Step
from core.results.tables import Cell, Table

COLUMNS = (
    *("Attack", "Bounded", "Predicted", "Confidence", "Fooled", "L-infinity", "RMSE", "Chamfer", "Steps"),
    *("Forward passes", "Backward passes", "Zero gradient", "Seconds"),
)
"""Of a table of attempts. Distances are in unit-sphere radii; zero gradient is the share of the clean cloud's points at
which the gradient is zero, empty where none was asked for; a targeted attack has fooled if the target is predicted."""


@dataclass(frozen=True, eq=False)
class Attempt:
    """One attack on the cloud."""

    name: str
    """Of its preset."""
    attack: Attack
    seconds: float
    """That it took."""
    scene: live.Scene | None
    """Its end; None if it failed."""
    error: Exception | None = None
    """Why it failed."""

    @property
    def fooled(self) -> bool:
        """Whether the prediction is what the attack wants."""
        if self.scene is None:
            return False
        label = self.scene.state.label
        return bool(self.attack.fooled(label.new_tensor([self.scene.adversarial_confidence[0].argmax()]), label))

    def cells(self) -> dict[str, Cell]:
        """A row of the table by column; of an attack that failed the first two cells alone."""
        row: dict[str, Cell] = {"Attack": self.name, "Bounded": self.attack.constraint}
        if self.scene is None:
            return row
        scene, state, confidences = self.scene, self.scene.state, self.scene.adversarial_confidence[0]
        zero_gradient = state.at_clean.zero_gradient if state.at_clean is not None else None
        return row | {
            "Predicted": scene.setup.classes[confidences.argmax()],
            "Confidence": float(confidences.max()),
            "Fooled": "yes" if self.fooled else "no",
            "L-infinity": scene.distances.linf,
            "RMSE": scene.distances.rmse,
            "Chamfer": scene.distances.chamfer,
            "Steps": state.step,
            "Forward passes": int(state.forwards),
            "Backward passes": int(state.backwards),
            "Zero gradient": None if zero_gradient is None else float(zero_gradient),
            "Seconds": self.seconds,
        }


@dataclass(frozen=True, eq=False)
class Attempts:
    """Attacks on one cloud, in the order in which they were made."""

    setup: live.Setup
    """The cloud, the attacked model alone, and the budget, which is that of its attack."""
    rows: tuple[Attempt, ...]
    complete: bool

    def table(self) -> Table:
        """A line for each attack."""
        setup = self.setup
        budget = setup.attack.epsilon_scale.text(setup.attack.epsilon)
        title = f"Attacks on {setup.cloud.name} at epsilon {budget}, made on {setup.models[0].name}, seed {setup.seed}"
        lines = [row.cells() for row in self.rows]
        return Table(title, COLUMNS, [[line.get(name) for name in COLUMNS] for line in lines])

    def provenance(self) -> dict[str, Any]:
        """What made the table."""
        setup = self.setup
        return measurement_provenance(
            setup.models,
            None,
            None,
            seed=setup.seed,
            complete=self.complete,
            attacks={row.name: row.attack for row in self.rows},
            cloud=setup.cloud.name,
            points=len(setup.cloud.points),
            label=setup.cloud.class_name,
            target=None if setup.target is None else setup.classes[setup.target],
        )


def attempts(setup: live.Setup, attacks: Mapping[str, Attack], cancel: Cancel | None = None) -> Iterator[Event]:
    """Make several attacks on the cloud of ``setup``, through its primary model, at the epsilon of its attack.

    An attack that fails is a row with its error, and the others go on; one that is cancelled is no row.

    Parameters
    ----------
    attacks : by the names of their presets; their own epsilons do not matter.

    Yields
    ------
    ``Progress`` over the steps of all, ``Step`` with each ``Attempt``, at last ``Done`` with the ``Attempts``.
    """
    setup = replace(setup, models=(setup.models[setup.primary],), primary=0)
    rows: list[Attempt] = []
    done, total = 0, sum(each.total_steps for each in attacks.values())
    for name, chosen in attacks.items():
        changed, seconds, scene, error = chosen.at(setup.attack.epsilon), 0.0, None, None
        try:
            since = time.perf_counter()
            for event in live.attack(replace(setup, attack=changed), changed.epsilon, cancel):
                seconds += time.perf_counter() - since
                match event:
                    case Step(index):
                        yield Progress(done + index, total, name)
                    case Done(result, complete=True):
                        scene = result.scene
                since = time.perf_counter()  # what a pause between two events takes is not the attack's
        except Exception as caught:  # whatever it is, it is this attack's alone
            error = caught
        if scene is None and error is None:
            break
        done += chosen.total_steps
        rows.append(Attempt(name, changed, seconds, scene, error))
        yield Step(done, total, rows[-1])
    yield Done(Attempts(setup, tuple(rows), len(rows) == len(attacks)), complete=len(rows) == len(attacks))
