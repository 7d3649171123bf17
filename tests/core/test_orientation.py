"""Files that stand another way than a model expects: told, found by trying, and pointed out."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clouds.files import read_cloud, write_cloud
from core.clouds.frames import AXES, Orientation, right_angled, rotated
from core.commands import run
from core.datasets import Dataset, open_dataset
from core.datasets.shapes16 import make_shape
from core.evaluation.orientation import TurnSearch, sample_clouds, search_turn
from core.events import Cancel, Done, Progress, result
from core.models.checkpoints import LoadedModel, load_model, resolve_model, save_model
from core.models.predict import predict

KINDS = ("airplane", "chair", "guitar", "lamp", "mug", "table")
MODEL = "pointnet-simple"


@pytest.fixture(scope="module")
def model() -> LoadedModel:
    return load_model(resolve_model(MODEL))


@pytest.fixture(scope="module")
def shapes() -> list[tuple[str, np.ndarray]]:
    """Some built-in shapes (N, 3), z up, with their classes."""
    return [(kind, make_shape(kind, [7, k])[:1024]) for kind in KINDS for k in range(4)]


@pytest.fixture
def y_up(shapes: list[tuple[str, np.ndarray]], tmp_path: Path) -> Path:
    """A folder of class folders with these shapes in y-up files, all for testing."""
    return folder_of(shapes, tmp_path / "y-up", Orientation("z").rotation("y"))


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def folder_of(shapes: list[tuple[str, np.ndarray]], root: Path, rotation: np.ndarray) -> Path:
    for number, (kind, points) in enumerate(shapes):
        place = root / "test" / kind
        place.mkdir(parents=True, exist_ok=True)
        np.savetxt(place / f"{kind}_{number:02}.xyz", rotated(points, rotation), fmt="%.9g")
    return root


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[dict[str, Any], str]:
    """The JSON that a command prints, and what it says on the side."""
    code = run([*words, "--json"])
    out, said = capsys.readouterr()
    assert code == 0, said
    printed: dict[str, Any] = json.loads(out)
    return printed, " ".join(said.split())


def opened(root: Path, cache: Path, **how: Any) -> Dataset:
    dataset: Dataset = result(open_dataset("folder", root, cache, **how))
    return dataset


class TestSearch:
    @pytest.mark.parametrize(
        "place", [pytest.param(place, marks=[pytest.mark.long] * (place % 3 > 0)) for place in range(24)]
    )
    def test_shapes_that_were_turned_in_any_right_angled_way_are_turned_back(
        self, model: LoadedModel, shapes: list[tuple[str, np.ndarray]], place: int
    ) -> None:
        given = right_angled("z")[place].rotation("z")
        search: TurnSearch = result(search_turn(model, [rotated(points[:256], given) for _, points in shapes[::4]]))
        back = search.best.rotation("z") @ given
        assert np.array_equal(back, np.eye(3)), f"{search} undid {right_angled('z')[place].words()}"

    def test_a_lying_folder_gets_a_hint_and_an_upright_one_none(
        self, model: LoadedModel, shapes: list[tuple[str, np.ndarray]]
    ) -> None:
        upright = [points[:512] for _, points in shapes[::2]]
        assert result(search_turn(model, upright)).hint() is None
        lying = [rotated(points, Orientation("z").rotation("y")) for points in upright]
        search: TurnSearch = result(search_turn(model, lying))
        assert search.hint() == search.best == Orientation("y")
        said = (
            "--up auto chose --up y, where the predictions are most like those for the training data: mean class margin"
        )
        assert said in str(search)

    @pytest.mark.long
    def test_of_clouds_whose_up_axis_is_given_those_turned_about_it_get_a_hint(
        self, model: LoadedModel, shapes: list[tuple[str, np.ndarray]]
    ) -> None:
        lying = Orientation("z").rotation("y")
        upright = [rotated(points[:512], lying) for _, points in shapes[::2]]
        given = Orientation("y")
        assert result(search_turn(model, upright)).hint(given) is None
        turned_away = [rotated(points, Orientation("y", 90).rotation("y").T) for points in upright]
        search: TurnSearch = result(search_turn(model, turned_away))
        assert search.hint(given) == Orientation("y", 90)

    def test_it_can_be_stopped(self, model: LoadedModel, shapes: list[tuple[str, np.ndarray]]) -> None:
        cancel, events = Cancel(), []
        for event in search_turn(model, [points[:64] for _, points in shapes[:3]], cancel):
            events.append(event)
            cancel.request()
        assert events == [Progress(1, 3, "clouds turned in 24 ways"), Done(None, complete=False)]

    def test_a_model_whose_file_tells_nothing_of_its_data_is_asked_for_the_margin_and_gives_no_hint(
        self, model: LoadedModel, shapes: list[tuple[str, np.ndarray]], tmp_path: Path
    ) -> None:
        save_model(tmp_path / "bare.safetensors", model.module, model.card)
        bare = load_model(tmp_path / "bare.safetensors")
        lying = [rotated(points[:256], Orientation("z").rotation("y")) for _, points in shapes]
        search: TurnSearch = result(search_turn(bare, lying))
        assert np.array_equal(search.scores, search.margins)
        assert search.best == Orientation("y")
        assert search.hint() is None
        assert search.hint(Orientation("x")) is None
        assert "where the class margin is largest" in str(search)

    def test_a_model_that_does_not_say_what_it_expects_is_named(self, model: LoadedModel, tmp_path: Path) -> None:
        card = model.card.model_copy(update={"up_axis": "unknown"})
        save_model(tmp_path / "lost.safetensors", model.module, card)
        lost = load_model(tmp_path / "lost.safetensors")
        with pytest.raises(ValueError, match="pointnet-simple does not say which axis points up"):
            next(search_turn(lost, [np.zeros((4, 3), np.float32)]))

    def test_the_sample_of_a_dataset_has_every_class(self, y_up: Path, tmp_path: Path) -> None:
        clouds = sample_clouds(opened(y_up, tmp_path / "c"), 100)
        assert len(clouds) == 16
        assert all(cloud.shape == (100, 3) for cloud in clouds)


class TestFolder:
    @pytest.mark.long
    def test_every_turn_has_a_cache_of_its_own_that_is_the_others_turned_exactly(
        self, y_up: Path, tmp_path: Path
    ) -> None:
        cache = tmp_path / "c"
        plain = opened(y_up, cache)
        assert plain.card.up_axis == "unknown"
        assert plain.card.given_up is None
        fingerprints = {plain.card.fingerprint}
        for orientation in right_angled("z")[1:]:
            dataset = opened(y_up, cache, orientation=orientation)
            expected = rotated(np.array(plain.split("test").points), orientation.rotation("z"))
            assert np.array_equal(dataset.split("test").points, expected)
            assert (dataset.card.up_axis, dataset.card.given_up) == ("z", orientation.up)
            assert dataset.card.turn == orientation.turn
            fingerprints.add(dataset.card.fingerprint)
        assert len(fingerprints) == len(list(cache.iterdir())) == 24

    def test_saying_that_the_files_stand_right_needs_no_other_cache(self, y_up: Path, tmp_path: Path) -> None:
        cache = tmp_path / "c"
        plain = opened(y_up, cache)
        told = opened(y_up, cache, orientation=Orientation("y"), expected="y")
        assert (told.card.up_axis, told.card.given_up) == ("y", "y")
        assert told.card.fingerprint == plain.card.fingerprint
        assert len(list(cache.iterdir())) == 1

    def test_any_angle_about_the_up_axis_is_possible(self, y_up: Path, tmp_path: Path) -> None:
        plain, turned = (opened(y_up, tmp_path / "c", orientation=Orientation("y", turn)) for turn in (0, 30))
        assert turned.split("test").points[0] == pytest.approx(
            rotated(np.array(plain.split("test").points[0]), Orientation(None, 30).rotation("z")), abs=1e-6
        )
        assert turned.card.turn == 30

    def test_a_folder_that_was_told_is_trained_and_evaluated_again_without_being_told(
        self, y_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        both = y_up.with_name("both")
        both.mkdir()
        for split in ("train", "test"):
            (both / split).symlink_to(y_up / "test", target_is_directory=True)
        out = tmp_path / "run"
        told = ("--up", "y", "--turn", "90", "--points", "32", "--epochs", "1", "--validation", "0.3")
        trained, _ = answer(capsys, "train", "--dataset", "folder", "--data-root", str(both), "--out", str(out), *told)
        assert trained["complete"]
        card = load_model(resolve_model(out)).card
        assert card.up_axis == "z"
        assert "--up y --turn 90" in card.command
        report, said = answer(capsys, "evaluate", str(out))
        assert report["frame"] == "model expects z up; folder given as y up, turned, then by 90° about it"
        assert report["fingerprint"] == card.fingerprint
        assert "another version" not in said
        resumed, _ = answer(capsys, "train", "--out", str(out), "--resume", "--epochs", "2")
        assert resumed["epochs"] == 2

    def test_the_card_of_a_folder_says_how_it_was_turned(self, y_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("datasets", "folder", "--data-root", str(y_up))
        plain, _ = answer(capsys, *words)
        told, _ = answer(capsys, *words, "--up", "y")
        assert (plain["up_axis"], plain["given_up"]) == ("unknown", None)
        assert (told["up_axis"], told["given_up"], told["turn"]) == ("z", "y", 0)
        assert told["fingerprint"] != plain["fingerprint"]


class TestCommands:
    def test_a_folder_that_lies_is_known_once_it_is_turned(
        self, y_up: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ("evaluate", MODEL, "--dataset", "folder", "--data-root", str(y_up), "--epsilon", "0.05")
        lying, said = answer(capsys, *words)
        told, told_said = answer(capsys, *words, "--up", "y")
        found, found_said = answer(capsys, *words, "--up", "auto")
        assert lying["frame"] == "model expects z up; folder taken as it is"
        assert (lying["expected_up"], lying["given_up"], lying["hint"]) == ("z", None, "--up y")
        assert "The folder looks y up to pointnet-simple, which expects z up: try --up y." in said
        assert told["frame"] == "model expects z up; folder given as y up, turned"
        assert (told["given_up"], told["turn"], told["hint"]) == ("y", 0, None)
        assert "looks" not in told_said
        assert found["frame"] == "model expects z up; folder found to be y up, turned (--up y)"
        assert "--up auto chose --up y" in found_said
        assert found["clean_accuracy"] == told["clean_accuracy"] > 0.9 > 0.5 > lying["clean_accuracy"]
        assert lying["unlike_training_data"] > told["unlike_training_data"]

    def test_a_folder_that_faces_another_way_is_told_so_once_its_up_axis_was_said(
        self, shapes: list[tuple[str, np.ndarray]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        folder = folder_of(shapes, tmp_path / "turned", Orientation("y", 90).rotation("z").T)
        words = ("evaluate", MODEL, "--dataset", "folder", "--data-root", str(folder), "--epsilon", "0.05", "--up", "y")
        away, said = answer(capsys, *words)
        assert away["hint"] == "--up y --turn 90"
        assert "The folder with y up faces another way to pointnet-simple: try --up y --turn 90." in said
        followed, said = answer(capsys, *words, "--turn", "90")
        assert followed["hint"] is None
        assert "faces" not in said
        assert followed["clean_accuracy"] > 0.9 > away["clean_accuracy"]

    def test_the_records_name_the_clouds_that_are_unlike_the_training_data(
        self, y_up: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        table = tmp_path / "records.csv"
        words = ("evaluate", MODEL, "--dataset", "folder", "--data-root", str(y_up), "--records", str(table))
        report, _ = answer(capsys, *words)
        with table.open() as file:
            marks = [row["unlike_training_data"] for row in csv.DictReader(file)]
        assert marks.count("True") == report["unlike_training_data"] > 0
        assert len(marks) == 24

    def test_a_file_is_turned_before_the_model_sees_it(
        self, y_up: Path, model: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file, out = y_up / "test" / "chair" / "chair_04.xyz", tmp_path / "adversarial.ply"
        report, _ = answer(
            capsys, "attack", str(file), "--model", MODEL, "--up", "y", "--turn", "-90", "--out", str(out)
        )
        cloud = read_cloud(file, 512)
        upright = rotated(cloud.points, Orientation("y", -90).rotation("z"))
        expected = predict(model.module, upright[None])
        assert report["clean"]["confidence"] == pytest.approx(expected.confidence[0], abs=1e-5)
        assert report["frame"] == "model expects z up; file given as y up, turned, then by -90° about it"
        written = read_cloud(out, None).points
        assert np.abs(written - upright).max() == pytest.approx(0.1, abs=1e-5), "in the frame of the model"

    @pytest.mark.parametrize("up", AXES)
    def test_a_file_may_have_any_axis_up(self, up: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        upright = make_shape("mug", [3, 3])[:1024]
        rotation = Orientation(up).rotation("z").T  # type: ignore[arg-type]
        write_cloud(tmp_path / "mug.ply", rotated(upright, rotation))
        for words in (("--up", up), (f"--up={up}",)):
            report, _ = answer(capsys, "attack", str(tmp_path / "mug.ply"), "--model", MODEL, *words)
            assert report["clean"]["class"] == "mug"
            assert report["unlike_training_data"] is False
            assert "note" not in report["clean"]

    def test_a_file_that_lies_is_pointed_out_and_found(self, y_up: Path, capsys: pytest.CaptureFixture[str]) -> None:
        file = str(y_up / "test" / "guitar" / "guitar_08.xyz")
        lying, said = answer(capsys, "attack", file, "--model", MODEL)
        assert lying["hint"] is not None
        assert lying["hint"].startswith("--up y")
        assert "The file looks y up to pointnet-simple" in said
        found, _ = answer(capsys, "attack", file, "--model", MODEL, "--up", "auto")
        assert found["given_up"] == "y"
        assert found["clean"]["class"] == "guitar"
        assert found["hint"] is None

    def test_what_is_no_everyday_thing_is_marked_as_unlike_the_training_data(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        noise = tmp_path / "two-clusters.npy"
        clusters = np.repeat([[-1, -1, -1], [1, 1, 1]], 1000, axis=0)
        np.save(noise, clusters + np.random.default_rng(0).normal(0, 0.1, (2000, 3)))
        report, _ = answer(capsys, "attack", str(noise), "--model", MODEL)
        assert report["unlike_training_data"] is True
        assert report["clean"]["note"] == "unlike the training data"
        assert run(["attack", str(noise), "--model", MODEL]) == 0
        assert "note unlike the training data" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            (("attack", "FILE", "--up", "up"), 2, "--up"),
            (("attack", "FILE", "--up", "y", "--turn", "400"), 2, "--turn"),
            (("attack", "FILE", "--up", "auto", "--turn", "90"), 2, "--up auto finds the turn too"),
            (("evaluate", MODEL, "--up", "y"), 1, "shapes16 is built in and has z up"),
            (("evaluate", MODEL, "--up", "auto"), 1, "shapes16 is built in and has z up"),
            (("datasets", "shapes16", "--turn", "90"), 1, "shapes16 is built in and has z up"),
            (("train", "--dataset", "folder", "--data-root", "ROOT", "--up", "auto"), 2, "--up"),
        ],
    )
    def test_what_cannot_be_turned_is_one_sentence(
        self, words: tuple[str, ...], code: int, said: str, y_up: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        file = str(y_up / "test" / "mug" / "mug_16.xyz")
        assert run([{"FILE": file, "ROOT": str(y_up)}.get(word, word) for word in words]) == code
        printed, text = capsys.readouterr()
        assert printed == ""
        assert said in " ".join(text.split())
        assert "Traceback" not in text


class TestSomeOfTheClasses:
    WORDS = ("evaluate", MODEL, "--dataset", "folder", "--epsilon", "0.1")

    @pytest.fixture
    def some(self, shapes: list[tuple[str, np.ndarray]], tmp_path: Path) -> Path:
        """Three of the model's sixteen classes, one by another name, and not in its order."""
        names = {"table": "a-table", "chair": "seat", "mug": "mug"}
        wanted = [(names[kind], points) for kind, points in shapes if kind in names]
        return folder_of(wanted, tmp_path / "some", np.eye(3))

    def test_the_accuracy_is_that_computed_by_hand_over_all_outputs(
        self, some: Path, model: LoadedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        names = "seat=chair,a-table=table"
        report, _ = answer(capsys, *self.WORDS, "--data-root", str(some), "--classes", names)
        dataset = opened(some, tmp_path / "c")
        assert dataset.card.classes == ("a-table", "mug", "seat")
        truth = [
            model.card.classes.index({"a-table": "table", "seat": "chair"}.get(name, name))
            for name in (dataset.card.classes[label] for label in dataset.split("test").labels)
        ]
        predicted = predict(model.module, np.array(dataset.split("test").points[:, :512])).logits.argmax(axis=1)
        assert report["clean_accuracy"] == np.mean(predicted == truth)
        assert report["present"] == "3 of the model's 16 classes present"
        assert report["classes_present"] == 3
        assert report["n"] == 12
        assert report["fingerprint"] == dataset.card.fingerprint

    def test_a_map_is_made_of_them(self, some: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        table, figure = tmp_path / "c.csv", tmp_path / "f.svg"
        words = (
            "tsne",
            MODEL,
            "--dataset",
            "folder",
            "--data-root",
            str(some),
            "--classes",
            "seat=chair,a-table=table",
        )
        small = ("--clouds", "16", "--perplexity", "4", "--iterations", "50")
        report, _ = answer(capsys, *words, *small, "--coordinates", str(table), "--out", str(figure))
        assert report["present"] == "3 of the model's 16 classes present"
        assert report["frame"] == "model expects z up; folder taken as it is"
        with table.open() as file:
            assert {row["class"] for row in csv.DictReader(file)} == {"chair", "mug", "table"}
        assert figure.stat().st_size > 1000

    @pytest.mark.parametrize(
        ("words", "code", "said"),
        [
            ((), 1, "The model knows no class a-table, seat; its classes are airplane, bag, cap, car, chair"),
            (("--classes", "seat=chair"), 1, "The model knows no class a-table; its classes are airplane"),
            (("--classes", "seat=chair,a-table=desk"), 1, "The model knows no class desk; its classes are airplane"),
            (("--classes", "bench=chair"), 1, "The dataset has no class bench; its classes are a-table, mug, seat"),
            (("--classes", "seat"), 2, "classes are matched as seat=chair,couch=sofa"),
        ],
    )
    def test_unknown_classes_are_one_sentence(
        self, words: tuple[str, ...], code: int, said: str, some: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert run([*self.WORDS, "--data-root", str(some), *words]) == code
        assert said in " ".join(capsys.readouterr().err.split())
