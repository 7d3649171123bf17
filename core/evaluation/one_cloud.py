"""Several attacks on one cloud compared: the prediction, the distances and the cost of each."""

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
"""Columns of the table. Distances are in unit-sphere radii. Zero gradient is the share of the clean cloud's points at
which the gradient is zero; empty for attacks without gradients. A targeted attack has fooled if the target is
predicted."""


@dataclass(frozen=True, eq=False)
class AttackRow:
    """One attack on the cloud, a row of the table."""

    name: str
    """Name of its preset."""
    attack: Attack
    seconds: float
    """Its running time."""
    scene: live.Scene | None
    """Scene at its end; None if it raised ``error``."""
    error: Exception | None = None

    @property
    def fooled(self) -> bool:
        """Whether the attack succeeded: another class than the true one is predicted or, if targeted, the target."""
        if self.scene is None:
            return False
        label = self.scene.state.label
        return bool(self.attack.fooled(label.new_tensor([self.scene.adversarial_confidence[0].argmax()]), label))

    def cells(self) -> dict[str, Cell]:
        """The cells of the row by column; only the first two if the attack raised an error."""
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
class AttackComparison:
    """Attacks on one cloud, in the order in which they were run."""

    setup: live.Setup
    """The cloud, the attacked model as its only model, and the epsilon of all attacks in ``setup.attack``."""
    rows: tuple[AttackRow, ...]
    complete: bool
    """Whether all attacks were run."""

    def table(self) -> Table:
        """A line for each attack."""
        setup = self.setup
        budget = setup.attack.epsilon_scale.text(setup.attack.epsilon)
        title = f"Attacks on {setup.cloud.name} at epsilon {budget}, made on {setup.models[0].name}"
        if live.seed_matters(setup.models[:1], *(row.attack for row in self.rows)):
            title += f", seed {setup.seed}"
        lines = [row.cells() for row in self.rows]
        return Table(title, COLUMNS, [[line.get(name) for name in COLUMNS] for line in lines])

    def provenance(self) -> dict[str, Any]:
        """Provenance of the table."""
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


def compare_attacks(setup: live.Setup, attacks: Mapping[str, Attack], cancel: Cancel | None = None) -> Iterator[Event]:
    """Run several attacks on the cloud of ``setup`` and its primary model, at the epsilon of ``setup.attack``.

    An attack that raises an error has a row with it, and the next ones are still run; one that is cancelled has no row.

    Parameters
    ----------
    attacks : by the names of their presets; their own epsilons are not used.

    Yields
    ------
    ``Progress`` over the steps of all attacks, ``Step`` with each ``AttackRow``, at last ``Done`` with the
    ``AttackComparison``.
    """
    setup = replace(setup, models=(setup.models[setup.primary],), primary=0)
    rows: list[AttackRow] = []
    done, total = 0, sum(attack.total_steps for attack in attacks.values())
    for name, preset_attack in attacks.items():
        attack, seconds, scene, error = preset_attack.at(setup.attack.epsilon), 0.0, None, None
        try:
            start = time.perf_counter()
            for event in live.attack(replace(setup, attack=attack), attack.epsilon, cancel):
                seconds += time.perf_counter() - start
                match event:
                    case Step(index):
                        yield Progress(done + index, total, name)
                    case Done(result, complete=True):
                        scene = result.scene
                start = time.perf_counter()  # the caller's time between two events is not counted
        except Exception as caught:  # of any kind: the other attacks may still run
            error = caught
        if scene is None and error is None:
            break
        done += attack.total_steps
        rows.append(AttackRow(name, attack, seconds, scene, error))
        yield Step(done, total, rows[-1])
    complete = len(rows) == len(attacks)
    yield Done(AttackComparison(setup, tuple(rows), complete), complete)
