"""What defences are worth: fresh draws, attacks through them on a shipped model, the claim, and the commands."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from core import live
from core.attacks import preset
from core.clouds import Cloud
from core.commands import run
from core.datasets import Split
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.defenses import Defended
from core.defenses.names import parse, protected
from core.defenses.srs import RandomSampling
from core.evaluation.accuracy import AccuracyReport, EvaluationOptions
from core.evaluation.auto import RANDOM_STAGES, AutoAttack, auto_set
from core.evaluation.claims import claim
from core.evaluation.defended import DefendOptions, DefenseStudy, try_defenses
from core.evaluation.draws import Draws, draw_seeds, judge_draws
from core.evaluation.judge import evaluate_accuracy, judge
from core.evaluation.make import COLUMNS, AdversarialSet, make_set
from core.evaluation.set_folder import SetFolder
from core.events import Cancel, Done, Event, Progress, result
from core.models import Output
from core.models.checkpoints import LoadedModel, builtin_models, load_model
from core.models.port import draws_anew
from core.models.predict import predict
from tests.core.foreign import published_pointnet, save_yanx27
from tests.core.toys import attacked

POINTS = 256
PGD = preset("pgd", epsilon=0.05, steps=8, restarts=0)
MOST = preset("pgd", epsilon=0.03, steps=6, restarts=0)

Array = NDArray[np.float32]


@pytest.fixture(scope="module")
def shapes() -> Split:
    """Two of each class of shapes16, which no shipped model was trained on."""
    made = [(name, k) for name in CATEGORIES for k in range(2)]
    points = np.stack([make_shape(name, [900, k])[:POINTS] for name, k in made]).astype(np.float32)
    labels = np.array([CATEGORIES.index(name) for name, _ in made])
    return Split(points, labels, [f"{name}_{k}" for name, k in made])


@pytest.fixture(scope="module")
def simple() -> LoadedModel:
    return load_model(builtin_models()["pointnet-simple"])


class Coin(nn.Module):
    """Right about class 0 in a share of its draws, whatever the cloud; with a slope, so that it can be attacked."""

    def __init__(self, share: float, seed: int = 0, fixed: bool = False) -> None:
        super().__init__()
        self.share, self.deterministic = share, fixed
        self._source = torch.Generator().manual_seed(seed)

    def reseeded(self, seed: int) -> "Coin":
        return Coin(self.share, seed)

    def drawn(self, seed: int) -> "Coin":
        return Coin(self.share, seed, fixed=True)

    def forward(self, clouds: Tensor) -> Output:
        thrown = torch.rand(len(clouds), generator=self._source) < self.share
        side = torch.where(thrown, 1.0, -1.0)[:, None] * torch.tensor([1.0, -1.0])
        return Output(side + 1e-3 * clouds.mean((1, 2))[:, None], clouds.mean(1))


class TestFreshDraws:
    def test_a_random_model_is_judged_by_draws_that_the_attack_has_not_seen(self) -> None:
        """After 30 tries of a coin that is right in 65 of 100 throws, an attack's own record says 0."""
        rng = np.random.default_rng(0)
        split = Split(rng.normal(size=(200, 8, 3)).astype(np.float32), np.zeros(200, np.int64), ["x"] * 200)
        attack = preset("pgd", epsilon=0.01, steps=30, restarts=0)
        own = attacked(attack, Coin(0.65), torch.from_numpy(split.points), torch.from_numpy(split.labels)).best
        assert own is not None
        assert (own.prediction == 0).float().mean() < 0.01
        for stop in (False, True):
            options = EvaluationOptions(points=8, batch_size=200, fresh_draws=20, stop_on_success=stop)
            report: AccuracyReport = result(evaluate_accuracy(Coin(0.65), split, attack, options))
            for side in report.sides:
                assert side.accuracy.value == pytest.approx(0.65, abs=0.03)
                assert side.draws is not None
                assert side.draws.spread == pytest.approx((0.65 * 0.35 / 200) ** 0.5, rel=0.5)

    def test_the_report_has_the_spread_over_draws_and_each_clouds_share(
        self, simple: LoadedModel, shapes: Split
    ) -> None:
        model, options = (
            Defended(simple.module, RandomSampling()),
            EvaluationOptions(points=POINTS, fresh_draws=4, seed=3),
        )
        attack = preset("fgsm", epsilon=0.05)
        report: AccuracyReport = result(evaluate_accuracy(model, shapes, attack, options))
        summary, records = report.summary(), report.records
        assert len(summary["adversarial_draws"]) == 4
        assert summary["adversarial_accuracy"] == pytest.approx(np.mean(summary["adversarial_draws"]))
        assert summary["adversarial_spread"] == pytest.approx(np.std(summary["adversarial_draws"], ddof=1))
        assert records["adversarial_share_of_draws"].mean() == pytest.approx(summary["adversarial_accuracy"])
        first = report.sides[1]
        assert first.correct.mean() == summary["adversarial_draws"][0], "the predictions are those of the first draw"
        some = report.subset(np.array([1, 5]))
        assert some.sides[1].draws is not None
        assert some.sides[1].draws.correct.shape == (2, 4)
        again: AccuracyReport = result(evaluate_accuracy(model, shapes, attack, options))
        assert again.summary()["adversarial_draws"] == summary["adversarial_draws"]

    def test_a_deterministic_model_has_none_of_it(self, simple: LoadedModel, shapes: Split) -> None:
        model = Defended(simple.module, parse("sor"))
        report: AccuracyReport = result(evaluate_accuracy(model, shapes, None, EvaluationOptions(points=POINTS)))
        assert report.clean.draws is None
        assert not any("draws" in name for name in [*report.summary(), *report.records])

    def test_judging_can_be_repeated_and_does_not_depend_on_the_batch(self, simple: LoadedModel, shapes: Split) -> None:
        model = Defended(simple.module, RandomSampling(share=0.9))
        points, labels = np.asarray(shapes.points), shapes.labels
        draws = judge_draws(model, points, labels, 5, seed=2)
        for batch in (1, 7):
            model(torch.from_numpy(points[:2]))  # its own sequence goes on, which changes nothing
            assert np.array_equal(judge_draws(model, points, labels, 5, 2, batch).correct, draws.correct)
        assert draws.spread > 0
        assert draws.mean == pytest.approx(draws.share_correct.mean()) == pytest.approx(draws.accuracies.mean())
        assert not np.array_equal(judge_draws(model, points, labels, 5, seed=3).correct, draws.correct)

    def test_a_model_that_does_not_draw_gives_one_answer_in_every_draw(
        self, simple: LoadedModel, shapes: Split
    ) -> None:
        draws = judge_draws(simple.module, np.asarray(shapes.points), shapes.labels, 3)
        right = predict(simple.module, np.asarray(shapes.points)).prediction == shapes.labels
        assert np.array_equal(draws.correct, np.stack([right] * 3, axis=1))
        assert draws.spread == 0
        assert Draws(draws.correct[:, :1]).spread == 0

    def test_the_seeds_of_draws_begin_alike_and_differ(self) -> None:
        assert draw_seeds(5, 3) == draw_seeds(5, 8)[:3]
        assert len(set(draw_seeds(5, 100))) == 100

    def test_a_set_keeps_what_the_attack_saw_and_others_judge_it_afresh(
        self, simple: LoadedModel, shapes: Split
    ) -> None:
        model = Defended(simple.module, RandomSampling(share=0.9))
        options = EvaluationOptions(points=POINTS, fresh_draws=6, stop_on_success=True)
        made: AdversarialSet = result(make_set(model, shapes, MOST, options))
        assert (made.iterations == MOST.total_steps).all(), "what fools one draw may not fool the next"
        report: AccuracyReport = result(judge(model, shapes, made, options))
        assert report.sides[1].accuracy.value > made.report().sides[1].accuracy.value
        assert report.sides[1].draws is not None
        whole: AccuracyReport = result(evaluate_accuracy(model, shapes, MOST, options))
        assert whole.summary() == report.summary()
        bare: AccuracyReport = result(judge(simple.module, shapes, made, options))
        assert bare.clean.draws is None

    def test_a_set_of_a_random_model_that_was_stopped_grows_on_to_the_one_of_an_unbroken_run(
        self, simple: LoadedModel, shapes: Split, tmp_path: Path
    ) -> None:
        model, cancel = Defended(simple.module, RandomSampling()), Cancel()
        options, folder = EvaluationOptions(points=64, batch_size=8), SetFolder(tmp_path, COLUMNS)
        for event in make_set(model, shapes, MOST, options, cancel, parts=folder):
            if isinstance(event, Progress):
                cancel.request()
        grown: AdversarialSet = result(make_set(model, shapes, MOST, options, parts=folder))
        unbroken: AdversarialSet = result(make_set(model, shapes, MOST, options))
        assert np.array_equal(grown.clouds, unbroken.clouds)

    def test_stopped_what_was_made_on_a_random_model_is_judged(self, simple: LoadedModel, shapes: Split) -> None:
        model, cancel = Defended(simple.module, RandomSampling()), Cancel()
        options = EvaluationOptions(points=64, batch_size=8, fresh_draws=3)
        events = list(_stopped_at_once(evaluate_accuracy(model, shapes, MOST, options, cancel), cancel))
        assert isinstance(events[-1], Done)
        assert not events[-1].complete
        assert events[-1].value.sides[1].correct_in_draws.shape == (8, 3)
        done = [event.done for event in events if isinstance(event, Progress)]
        assert done == sorted(done)

    def test_auto_takes_a_random_model_for_fooled_only_by_fresh_draws(self, monkeypatch: pytest.MonkeyPatch) -> None:
        few = {name: {**options, "steps": 20} for name, options in RANDOM_STAGES.items()}
        monkeypatch.setattr("core.evaluation.auto.RANDOM_STAGES", few)
        rng = np.random.default_rng(0)
        split = Split(rng.normal(size=(100, 8, 3)).astype(np.float32), np.zeros(100, np.int64), ["x"] * 100)
        options = EvaluationOptions(points=8, batch_size=100, fresh_draws=20)
        made: AdversarialSet = result(auto_set(Coin(0.8), split, AutoAttack(epsilon=0.01), options))
        assert made.success.mean() < 0.1
        assert set(made.by[~made.success]) == {""}
        report: AccuracyReport = result(evaluate_accuracy(Coin(0.8), split, AutoAttack(epsilon=0.01), options))
        assert report.sides[1].accuracy.value == pytest.approx(0.8, abs=0.03)

    def test_auto_takes_all_steps_on_a_random_model_along_the_mean_gradient_of_several_draws(
        self, simple: LoadedModel, shapes: Split, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few = {"apgd-ce": RANDOM_STAGES["apgd-ce"] | {"steps": 4}}
        monkeypatch.setattr("core.evaluation.auto.RANDOM_STAGES", few)
        model, options = Defended(simple.module, RandomSampling()), EvaluationOptions(points=64, clouds=8)
        made: AdversarialSet = result(auto_set(model, shapes, AutoAttack(epsilon=0.3), options))
        attacked = made.by != "clean"
        assert made.success[attacked].any()
        assert set(made.iterations[attacked]) == {4}, "the first draw that is fooled does not end it"
        assert (made.backwards[attacked] >= 4 * RANDOM_STAGES["apgd-ce"]["draws"]).all()

    def test_what_the_studio_shows_is_of_a_fresh_draw(self, simple: LoadedModel, shapes: Split) -> None:
        both = protected(simple, parse("srs:share=0.9"))
        setup = live.Setup((both,), 0, preset("bim", steps=3), Cloud(shapes.points[0], "it", int(shapes.labels[0])))
        scene = result(live.attack(setup, 0.05)).scene
        assert scene.loss == pytest.approx(-np.log(scene.adversarial_confidence[0, shapes.labels[0]]), rel=1e-4)
        assert scene.unlike_training == (None,)


@pytest.fixture(scope="module")
def study(simple: LoadedModel, shapes: Split) -> DefenseStudy:
    defenses = {name: parse(name) for name in ("srs", "sor", "knn", "quantise")}
    options = DefendOptions(points=POINTS, clouds=None, fresh_draws=4, averaged=4)
    *before, last = try_defenses(simple.module, shapes, PGD, defenses, options)
    assert all(isinstance(event, Progress) for event in before)
    assert isinstance(last, Done)
    assert last.complete
    assert (before[-1].done, before[-1].total) == (7 * 32, 7 * 32)  # type: ignore[attr-defined]
    study: DefenseStudy = last.value
    return study


class TestRealAttacks:
    def test_without_knowing_a_defence_an_attack_does_less(self, study: DefenseStudy) -> None:
        for tried in study.results[1:3]:  # SOR and smoothing
            assert tried.oblivious.mean > study.attacked.mean
            assert tried.oblivious.mean > tried.adaptive.mean + 0.1
        assert study.attacked.mean < study.clean.mean - 0.3

    def test_a_straight_attack_on_quantisation_finds_nothing(self, study: DefenseStudy) -> None:
        tried = study.results[3]
        assert tried.straight.mean == tried.clean.mean > tried.adaptive.mean + 0.2

    def test_the_mean_over_draws_attacks_better_than_single_ones(self, study: DefenseStudy) -> None:
        tried = study.results[0]
        assert tried.adaptive.mean < tried.straight.mean
        assert any(draws.spread > 0 for draws in tried.by_attack.values())

    def test_the_table_and_the_records_say_the_same(self, study: DefenseStudy) -> None:
        rows = study.table("it").rows
        assert [row[0] for row in rows] == ["none", "srs", "sor", "knn", "quantise"]
        records = study.records()
        assert len(records["row"]) == 4 * 32
        for row, summary in zip(rows[1:], study.summary(), strict=True):
            mine = records["defense"] == row[0]
            for place, name in enumerate(("clean", "oblivious", "straight", "adaptive"), 1):
                assert row[place] == pytest.approx(100 * records[name][mine].mean())
                assert summary[name] == pytest.approx(records[name][mine].mean())
            assert summary["claim"] in [study.claim(tried) for tried in study.results]

    def test_what_is_there_when_it_is_stopped_is_kept(self, simple: LoadedModel, shapes: Split) -> None:
        options, cancel = DefendOptions(points=64, clouds=8, fresh_draws=2), Cancel()
        defenses = {name: parse(name) for name in ("knn", "sor")}

        def stopped(after: int) -> Done:
            cancel.requested = False
            events: Iterator[Event] = try_defenses(simple.module, shapes, MOST, defenses, options, cancel)
            for _ in range(after):
                next(events)
            cancel.request()
            *_, last = events
            assert isinstance(last, Done)
            return last

        assert stopped(1) == Done(None, complete=False)
        half = stopped(2)
        assert not half.complete
        assert len(half.value.results) == 1

    def test_the_modules_own_state_stays(self, simple: LoadedModel, study: DefenseStudy) -> None:
        assert not any(module.training for module in simple.module.modules())
        assert all(weight.grad is None for weight in simple.module.parameters())


class TestClaim:
    def said(self, **changes: float) -> str:
        shares = {
            "undefended": 0.02, "oblivious": 0.61, "straight": 0.05, "adaptive": 0.04,
            "clean": 0.902, "defended_clean": 0.896,
        }  # fmt: skip
        return claim("SOR", **(shares | changes))

    def test_it_says_what_is_kept_and_what_that_costs(self) -> None:
        assert self.said() == (
            "SOR keeps 61 % against clouds that were made without knowing it, and 4 % against an attacker who does, "
            "where 2 % are kept without it; it costs 0.6 points of clean accuracy."
        )

    def test_of_all_attacks_the_worst_counts(self) -> None:
        for worst in ("oblivious", "straight", "adaptive"):
            assert "and 3 % against an attacker who does" in self.said(**{worst: 0.03})

    def test_a_straight_attack_that_finds_less_is_named(self) -> None:
        assert self.said(straight=0.8).endswith("; a straight attack alone would have shown 80 %.")
        assert "straight" not in self.said(straight=0.08)

    def test_the_price_may_be_none_or_a_gain(self) -> None:
        assert "it costs no clean accuracy" in self.said(defended_clean=0.902)
        assert "it gains 1.0 points of clean accuracy" in self.said(defended_clean=0.912)


def _stopped_at_once(events: Iterator[Event], cancel: Cancel) -> Iterator[Event]:
    for event in events:
        cancel.request()
        yield event


# --- the commands -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def root(shapes: Split, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder dataset of the shapes."""
    folder = tmp_path_factory.mktemp("shapes")
    for part in ("train", "test"):
        for points, label, name in zip(shapes.points, shapes.labels, shapes.names, strict=True):
            place = folder / part / CATEGORIES[label]
            place.mkdir(parents=True, exist_ok=True)
            np.save(place / f"{part}_{name}.npy", points if part == "test" else points[::2])
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.getbasetemp() / "cache"))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The one JSON object that a command prints."""
    assert run([*words, "--json"]) == 0, capsys.readouterr().err
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def on(root: Path) -> tuple[str, ...]:
    return ("--dataset", "folder", "--data-root", str(root), "--up", "z", "--points", "256", "--clouds", "16")


def test_a_model_behind_a_defence_is_evaluated_by_either_spelling(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = (*on(root), "--attack", "fgsm", "--epsilon", "0.05")
    bare = answer(capsys, "evaluate", "pointnet-simple", *words)
    first = answer(capsys, "evaluate", "pointnet-simple+sor:k=3", *words)
    second = answer(capsys, "evaluate", "pointnet-simple", "--defense", "sor:k=3", *words)
    assert first["model"] == second["model"] == "pointnet-simple+sor:k=3"
    assert first["defense"] == second["defense"] == "sor:k=3,alpha=1.1,squared=False"
    assert first["weights"] == bare["weights"]
    assert first["adversarial_loss"] == second["adversarial_loss"] != bare["adversarial_loss"]
    assert first["provenance"]["defenses"] == {first["model"]: first["defense"]}
    assert "defense" not in bare


def test_a_random_defence_is_evaluated_by_several_draws(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("evaluate", "pointnet-simple+srs", *on(root), "--epsilon", "0.05", "--fresh-draws", "3")
    report = answer(capsys, *words)
    assert len(report["adversarial_draws"]) == 3
    assert answer(capsys, *words)["adversarial_draws"] == report["adversarial_draws"]


def test_a_set_is_made_through_a_defence_and_judged_behind_others(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, table = str(tmp_path / "set"), tmp_path / "lines.csv"
    words = ("attack", *on(root), "--attack", "bim", "--steps", "3", "--epsilon", "0.05", "--out", out)
    made = answer(capsys, *words, "--model", "pointnet-simple", "--defense", "srs")
    assert (made["surrogate"], made["n"]) == ("pointnet-simple+srs", 16)
    models = ("--model", "pointnet-simple", "--model", "pointnet-simple+srs:share=0.9", "--fresh-draws", "4")
    report = answer(capsys, "judge", out, *models, "--data-root", str(root), "--records", str(table))
    bare, random = report["pointnet-simple"], report["pointnet-simple+srs:share=0.9"]
    assert random["fresh_draws"] == 4
    assert random["success_of_all"] == pytest.approx(1 - random["adversarial_accuracy"])
    assert random["clean_right"] == pytest.approx(16 * random["clean_accuracy"])
    assert "fresh_draws" not in bare
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 16
    assert {bool(row["clean_share_of_draws"]) for row in rows[:16]} == {False}
    assert all(0 <= float(row["clean_share_of_draws"]) <= 1 for row in rows[16:])
    both = answer(capsys, "judge", out, "--model", "pointnet-simple", "--defense", "sor", "--data-root", str(root))
    assert "pointnet-simple+sor" in both


def test_one_cloud_is_attacked_through_a_defence(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "adv.ply"
    shape = str(next((root / "test" / "chair").iterdir()))
    words = ("attack", shape, "--model", "pointnet-simple", "--up", "z", "--epsilon", "0.05", "--points", "256")
    report = answer(capsys, *words, "--defense", "srs:share=0.25", "--out", str(out))
    assert report["model"] == "pointnet-simple+srs:share=0.25"
    assert report["right_in_draws"]["draws"] == 10
    assert 0 <= report["right_in_draws"]["adversarial"] <= 1
    record = json.loads((tmp_path / "adv.ply.json").read_text())
    assert record["defenses"] == {report["model"]: "srs:share=0.25"}
    assert "right_in_draws" not in answer(capsys, *words, "--defense", "sor")
    longer = answer(capsys, *words[:-4], "--points", "256", "--attack", "add", "--steps", "2", "--defense", "srs")
    assert 0 <= longer["right_in_draws"]["adversarial"] <= 1


def test_a_map_is_made_of_the_latents_behind_a_defence(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--out", str(tmp_path / "map.pdf"), "--perplexity", "5", "--iterations", "50", "--defense", "knn")
    report = answer(capsys, "tsne", "pointnet-simple", *on(root), *words)
    assert report["model"] == "pointnet-simple+knn"


def test_defences_are_tried_and_the_table_and_one_sentence_on_each_are_printed(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table, records = tmp_path / "table.csv", tmp_path / "records.csv"
    words = ["defend", "pointnet-simple", *on(root), "--attack", "bim", "--steps", "3", "--epsilon", "0.05"]
    words += ["--defenses", "srs,quantise:step=0.1", "--fresh-draws", "3", "--averaged", "2", "--seed", "3"]
    report = answer(capsys, *words, "--out", str(table), "--records", str(records))
    assert [each["defense"] for each in report["defenses"]] == ["srs:share=0.5", "quantise:step=0.1"]
    assert (report["n"], report["undefended"]["attacked"]) == (16, pytest.approx(0.5, abs=0.5))
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["Defence"] for row in rows] == ["none", "srs", "quantise:step=0.1"]
    assert float(rows[2]["Straight (%)"]) == pytest.approx(100 * report["defenses"][1]["straight"])
    with records.open() as file:
        assert len(list(csv.DictReader(file))) == 2 * 16
    for path in (table, records):
        made_with = json.loads(path.with_name(f"{path.name}.json").read_text())
        assert made_with["options"]["defenses"] == ["srs:share=0.5", "quantise:step=0.1"]
        assert (made_with["seed"], made_with["options"]["evaluation"]["averaged"]) == (3, 2)

    assert run(words) == 0
    printed = capsys.readouterr().out
    assert "| none" in printed
    for each in report["defenses"]:
        assert each["claim"] in printed


def test_models_of_other_projects_stand_behind_defences_too(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    weights = save_yanx27(published_pointnet(), tmp_path / "mine.pth")
    answer(capsys, "models", "import", str(weights), "--name", "mine", "--classes", ",".join(CATEGORIES), "--up", "z")
    words = (*on(root), "--attack", "fgsm", "--epsilon", "0.05")
    assert answer(capsys, "evaluate", "mine+knn", *words)["model"] == "mine+knn"
    made = str(tmp_path / "set")
    assert answer(capsys, "attack", *words, "--model", "mine+sor", "--out", made)["surrogate"] == "mine+sor"
    assert "mine+srs" in answer(capsys, "judge", made, "--model", "mine+srs", "--data-root", str(root))


def test_a_model_whose_name_has_a_plus_is_found(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a+sor.safetensors").write_bytes(builtin_models()["pointnet-simple"].read_bytes())
    monkeypatch.chdir(tmp_path)
    words = (*on(root), "--epsilon", "0.05")
    assert answer(capsys, "evaluate", "a+sor.safetensors", *words)["model"] == "pointnet-simple"
    assert answer(capsys, "evaluate", "a+sor.safetensors+srs", *words)["model"] == "pointnet-simple+srs"


def test_the_name_of_every_model_behind_a_defence_is_its_own(simple: LoadedModel) -> None:
    assert draws_anew(protected(simple, parse("srs")).module)
    assert len({protected(simple, parse(name)).name for name in ("srs", "sor", "sor:k=3", "sor:k=2")}) == 3
