"""Runs a transfer experiment: pieces of work, each after those that it needs, and none that has been done."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby

from core.events import Cancel, Done, Event, Note, forward
from core.runtime.locks import locked_folder
from core.runtime.pieces import Engine, Piece, run_pieces
from core.studies.transferability.attacking import judge, make, make_control
from core.studies.transferability.estimate import Costs, duration_text
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.options import AT_A_LOSS
from core.studies.transferability.preparing import align, calibrate, measure_loss, measure_model
from core.studies.transferability.stored import Stored


class Stage(IntEnum):
    """Pieces of one stage need only those of the stages before it."""

    MEASURE = 0
    SETTLE_LOSS = 1
    CALIBRATE = 2
    MAKE = 3
    MAKE_CONTROLS = 4
    JUDGE = 5


Plan = list[tuple[Stage, Piece]]


@dataclass(frozen=True)
class Workers:
    """Where the pieces run, see ``core.runtime.pieces.run_pieces``."""

    engine: Engine = "here"
    count: int | None = None
    address: str | None = None


HERE = Workers()


def run_transfer(experiment: Experiment, cancel: Cancel | None = None, workers: Workers = HERE) -> Iterator[Event]:
    """Do what is not done yet. Ended early and called again, it goes on, to the same results.

    In this process each attack is judged as soon as it is made, so that the matrix fills cell by cell; workers make all
    before they judge any.

    Yields
    ------
    Progress with the name of the piece that goes on or has ended; a Note of the time that is left, once it is known;
    at last Done with the ``TransferFindings``.

    Raises
    ------
    ValueError
        See ``Experiment.begin`` and ``run_pieces``.
    InUseError
        If another process or job is at the folder.
    """
    with locked_folder(experiment.folder):
        experiment.begin()
        ended = yield from _run(_preparation(experiment), workers, cancel)
        if ended:
            _forget_lost_samples(experiment)
            costs = Costs(experiment)
            if left := costs.left():
                yield Note(f"The attacks and what the victims say of them will take about {duration_text(left)} here.")
            ended = yield from _run(_attacks(experiment, costs), workers, cancel)
        yield Done(Stored(experiment).findings(), complete=ended)


def _run(plan: Plan, workers: Workers, cancel: Cancel | None) -> Generator[Event, None, bool]:
    """Run the pieces, in this process in their order, with workers stage by stage; returns whether all are done."""
    stages = [[piece for _, piece in plan]]
    if workers.engine != "here":
        in_stages = groupby(sorted(plan, key=lambda entry: entry[0]), key=lambda entry: entry[0])
        stages = [[piece for _, piece in group] for _, group in in_stages]
    total, before = sum(piece.weight for _, piece in plan), 0
    for pieces in stages:
        weight = sum(piece.weight for piece in pieces)
        running = run_pieces(pieces, workers.engine, workers=workers.count, address=workers.address, cancel=cancel)
        end = yield from forward(running, before=before, weight=weight, total=total)
        if not end.complete:
            return False
        before += weight
    return True


def _preparation(experiment: Experiment) -> Plan:
    """What is measured of the models, and settled on held-out samples."""
    plan = [
        (Stage.MEASURE, Piece(f"measuring {name}", measure_model, (experiment, name), experiment.clean_file(name)))
        for name in experiment.all_models
    ]
    for name in experiment.surrogates:
        for victim in experiment.victims_of(name):
            result = experiment.alignment_file(name, victim)
            comparing = Piece(f"gradients of {name} and {victim}", align, (experiment, name, victim), result)
            plan.append((Stage.SETTLE_LOSS, comparing))
        if experiment.options.protocol in AT_A_LOSS:
            settling = Piece(f"losses of {name}", measure_loss, (experiment, name), experiment.loss_file(name), 5)
            plan.append((Stage.SETTLE_LOSS, settling))
        calibrating = Piece(f"calibrating {name}", calibrate, (experiment, name), experiment.calibration_file(name))
        plan.append((Stage.CALIBRATE, calibrating))
    return plan


def _forget_lost_samples(experiment: Experiment) -> None:
    """Remove the results of attacks whose samples are gone and needed, so that both are made again."""
    for surrogate in experiment.surrogates:
        for attack in experiment.attacks:
            if not experiment.is_made(surrogate, attack):
                experiment.made_file(surrogate, attack).unlink(missing_ok=True)


def _attacks(experiment: Experiment, costs: Costs) -> Plan:
    """Every attack, and after it what its victims say of it; the weights are seconds."""
    plan: Plan = []
    for surrogate in experiment.surrogates:
        for attack in experiment.attacks:
            control = experiment.of(attack, "control")
            making = Piece(
                f"{attack} on {surrogate}",
                make_control if control else make,
                (experiment, surrogate, attack),
                experiment.made_file(surrogate, attack),
                max(1, round(costs.of_attack(surrogate, attack))),
            )
            plan.append((Stage.MAKE_CONTROLS if control else Stage.MAKE, making))
            for victim in experiment.victims_of(surrogate):
                judging = Piece(
                    f"{attack} on {surrogate}, judged by {victim}",
                    judge,
                    (experiment, surrogate, attack, victim),
                    experiment.predicted_file(surrogate, attack, victim),
                    max(1, round(costs.of_judgement(victim))),
                )
                plan.append((Stage.JUDGE, judging))
    return plan
