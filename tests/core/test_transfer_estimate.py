"""The time of a transfer experiment is estimated before its start."""

from pathlib import Path

import pytest

from core.events import Cancel, Done, Progress, result
from core.studies.transferability import estimate
from core.studies.transferability.estimate import estimate_before_start
from core.studies.transferability.sweep import run_transfer
from tests.core.transfer_lab import OPTIONS, Lab, make_lab

pytestmark = pytest.mark.long

PREDICTION, GRADIENT, DISTANCES = 1.0, 10.0, 100.0
SAMPLES, HELD_OUT = OPTIONS["samples"], OPTIONS["held_out"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return make_lab(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every model takes the same."""
    monkeypatch.setattr(estimate, "_timed", lambda *_: (PREDICTION, GRADIENT, DISTANCES))


@pytest.mark.usefixtures("timed")
@pytest.mark.parametrize(
    ("protocol", "calibrating", "steps"),
    [
        # GD has so many steps, and so many to find out the loss
        ("equal-loss", 100, 100),
        ("equal-rmse", 100, 100),
        ("steps", 0, 1 + 3 + 10 + 30 + 100),
    ],
)
def test_it_is_the_sum_of_all_steps(lab: Lab, tmp_path: Path, protocol: str, calibrating: int, steps: int) -> None:
    experiment = lab.experiment(
        tmp_path / "new", protocol, surrogates=("one",), attacks=("gd",), victims=("two", "three")
    )
    measuring = 3 * SAMPLES * (PREDICTION + 3 * GRADIENT + DISTANCES)
    attacks = 5 if protocol == "steps" else 1
    attacking = SAMPLES * (steps * GRADIENT + attacks * DISTANCES)
    judging = attacks * 2 * SAMPLES * PREDICTION
    expected = measuring + HELD_OUT * calibrating * GRADIENT + attacking + judging
    assert result(estimate_before_start(experiment)) == pytest.approx(expected)
    assert not (tmp_path / "new").exists()


@pytest.mark.usefixtures("timed")
def test_an_attack_that_looks_ahead_predicts_too(lab: Lab, tmp_path: Path) -> None:
    gd, ahead = (
        lab.experiment(tmp_path / "new", "steps", surrogates=("one",), attacks=(name,), victims=("two",))
        for name in ("gd", "na-gd")
    )
    more = result(estimate_before_start(ahead)) - result(estimate_before_start(gd))
    assert more == pytest.approx(SAMPLES * (1 + 3 + 10 + 30 + 100) * PREDICTION)


def test_models_are_really_timed_and_nothing_is_left_at_the_end(lab: Lab, tmp_path: Path) -> None:
    experiment = lab.experiment(tmp_path / "out", surrogates=("one",), attacks=("adam", "fgsm"), victims=("two",))
    events = list(estimate_before_start(experiment))
    assert [event.text for event in events if isinstance(event, Progress)] == ["timing one", "timing two"]
    assert result(events) > 0
    assert result(run_transfer(experiment)) is not None
    assert result(estimate_before_start(experiment)) == 0


def test_it_can_be_cancelled(lab: Lab, tmp_path: Path) -> None:
    cancel = Cancel()
    cancel.request()
    *_, last = estimate_before_start(lab.experiment(tmp_path / "new"), cancel)
    assert last == Done(None, complete=False)
