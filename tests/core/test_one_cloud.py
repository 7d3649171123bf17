"""Several attacks on one cloud."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from core import live
from core.attacks import Attack, evaluate, preset
from core.clouds import Cloud
from core.evaluation.one_cloud import COLUMNS, AttackComparison, AttackRow, compare_attacks
from core.events import Cancel, Done, Event, Progress, Step, result
from core.models.checkpoints import builtin_models, load_model
from tests.core.toys import toy_split

NAMES = ("fgsm", "pgd", "square", "random-sign")


@pytest.fixture(scope="module")
def setup() -> live.Setup:
    models = tuple(load_model(builtin_models()[name]) for name in ("pointnet-simple", "pointnet-defense"))
    cloud = Cloud(toy_split(6, 96).points[1], "plate 1", None)
    return live.Setup(models, 1, preset("fgsm", epsilon=0.07), cloud, seed=3)


def chosen(*names: str) -> dict[str, Attack]:
    return {name: preset(name, **({"steps": 4} if name in ("pgd", "square") else {})) for name in names}


@pytest.fixture(scope="module")
def made(setup: live.Setup) -> AttackComparison:
    found: AttackComparison = result(compare_attacks(setup, chosen(*NAMES)))
    return found


def test_each_row_is_the_attack_alone_at_the_epsilon_of_the_setup(setup: live.Setup, made: AttackComparison) -> None:
    assert made.complete
    assert [row.name for row in made.rows] == list(NAMES)
    primary = setup.models[1]
    for row in made.rows:
        alone = live.Setup((primary,), 0, chosen(row.name)[row.name], setup.cloud, seed=3)
        scene = result(live.attack(alone, 0.07)).scene
        assert row.scene is not None
        assert np.array_equal(row.scene.points, scene.points)
        assert row.fooled == scene.fooled()[0]
        cells = row.cells()
        assert cells["L-infinity"] == pytest.approx(0.07, abs=1e-6)
        assert cells["Predicted"] == primary.card.classes[scene.adversarial_confidence[0].argmax()]
        assert cells["Steps"] == scene.step
        assert (cells["Forward passes"], cells["Backward passes"]) == (
            int(scene.state.forwards),
            int(scene.state.backwards),
        )
        assert row.seconds > 0


def test_the_share_of_points_without_a_gradient_is_that_of_the_clean_cloud(
    setup: live.Setup, made: AttackComparison
) -> None:
    cells = {row.name: row.cells() for row in made.rows}
    x = torch.from_numpy(setup.cloud.points)[None]
    scene = live.begin(setup)
    found = evaluate(setup.models[1].module, x, torch.tensor([scene.label]), gradient=True)
    assert found.gradient is not None
    still = float((found.gradient[0] == 0).all(1).float().mean())
    assert 0 < still < 1, "PointNet's maximum leaves points out"
    assert cells["fgsm"]["Zero gradient"] == pytest.approx(still)
    assert cells["square"]["Zero gradient"] is None


def test_progress_counts_the_steps_of_all_and_a_step_brings_each_row(setup: live.Setup) -> None:
    events = list(compare_attacks(setup, chosen("fgsm", "square")))
    kinds = [type(event) for event in events]
    assert kinds == [Progress, Step, *[Progress] * 4, Step, Done]
    counts = [(e.done, e.total) if isinstance(e, Progress) else (e.index, e.total) for e in events[:-1]]  # type: ignore[attr-defined]
    assert counts == [(1, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 5), (5, 5)]
    assert events[0] == Progress(1, 5, "fgsm")


def test_an_attack_that_fails_is_a_row_and_the_others_go_on(setup: live.Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = live.attack

    def broken(given: live.Setup, *rest: object) -> Iterator[Event]:
        if given.attack.total_steps == 4:
            raise RuntimeError("no room")
        return whole(given, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(live, "attack", broken)
    events = list(compare_attacks(setup, chosen("square", "fgsm")))
    failed, good = (event.value for event in events if isinstance(event, Step))
    assert isinstance(failed, AttackRow)
    assert str(failed.error) == "no room"
    assert failed.scene is None
    assert not failed.fooled
    assert failed.cells() == {"Attack": "square", "Bounded": "linf"}
    assert good.error is None
    assert isinstance(events[-1], Done)
    assert events[-1].complete
    assert events[-1].value.table().rows[0][2:] == [None] * (len(COLUMNS) - 2)


def test_a_cancelled_comparison_keeps_the_rows_that_are_whole(setup: live.Setup) -> None:
    cancel = Cancel()
    ended = None
    for event in compare_attacks(setup, chosen("fgsm", "square", "pgd"), cancel):
        if isinstance(event, Progress) and event.text == "square":
            cancel.request()
        ended = event
    assert isinstance(ended, Done)
    assert not ended.complete
    assert [row.name for row in ended.value.rows] == ["fgsm"]
    assert not ended.value.provenance()["complete"]


def test_a_targeted_attack_has_fooled_where_the_prediction_is_the_target(setup: live.Setup) -> None:
    target = setup.models[1].card.classes.index("lamp")
    given = live.Setup(setup.models, 1, preset("fgsm", epsilon=0.0, goal="targeted"), setup.cloud, target)
    rows = result(compare_attacks(given, {"fgsm": preset("fgsm", goal="targeted")})).rows
    assert rows[0].fooled == (rows[0].scene.adversarial_confidence[0].argmax() == target)


def test_the_table_is_written_with_every_digit(made: AttackComparison, tmp_path: Path) -> None:
    made.table().write(tmp_path / "attacks.csv")
    rows = list(csv.DictReader((tmp_path / "attacks.csv").read_text().splitlines()))
    assert tuple(rows[0]) == COLUMNS
    assert made.rows[1].scene is not None
    assert float(rows[1]["RMSE"]) == pytest.approx(made.rows[1].scene.distances.rmse, rel=1e-9)
    provenance = made.provenance()
    assert provenance["options"]["attacks"]["pgd"]["epsilon"] == 0.07
    assert list(provenance["weights"]) == ["pointnet-defense"]
