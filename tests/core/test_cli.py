"""The commands as a person types them, on a small folder of shapes."""

import csv
import hashlib
import inspect
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.clouds.files import read_cloud
from core.commands import cli, run
from core.commands.app import COMMANDS, WRONG_USE
from core.evaluation.separation import separation
from main import WINDOW_COMMANDS
from tests.core.toys import CLASSES, toy_split
from tests.figure_metadata import figure_metadata

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder dataset of three classes, train/ and test/."""
    root = tmp_path_factory.mktemp("shapes")
    for name, count, seed in (("train", 48, 1), ("test", 48, 2)):
        split = toy_split(count, 128, seed)
        for points, label, shape in zip(split.points, split.labels, split.names, strict=True):
            folder = root / name / CLASSES[label]
            folder.mkdir(parents=True, exist_ok=True)
            np.save(folder / f"{shape.replace(' ', '_')}.npy", points)
    return root


@pytest.fixture(scope="module")
def trained(shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toys"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        words = ["train", "--dataset", "folder", "--data-root", str(shapes), "--epochs", "12", "--points", "64"]
        assert run([*words, "--batch-size", "8", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(autouse=True)
def private_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def answer(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """The one JSON object that a command prints."""
    assert run([*words, "--json"]) == 0, capsys.readouterr().err
    printed: dict[str, Any] = json.loads(capsys.readouterr().out)
    return printed


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run(list(words))
    text = capsys.readouterr().err
    assert "Traceback" not in text
    return code, " ".join(text.split())


def test_a_run_is_evaluated_on_the_dataset_it_remembers(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, "evaluate", str(trained), "--attack", "fgsm", "--epsilon", "0.4")
    assert report["n"] == 48
    assert report["clean_accuracy"] > 0.8
    assert report["adversarial_accuracy"] < report["clean_accuracy"]
    assert report["linf_max"] == pytest.approx(0.4, abs=1e-6)
    assert 0 < report["rmse_mean"] <= 0.4


def test_an_evaluation_that_ends_once_fooled_prints_the_same_accuracy(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("evaluate", str(trained), "--attack", "pgd", "--epsilon", "0.4", "--steps", "5", "--restarts", "0")
    whole, soon = answer(capsys, *words), answer(capsys, *words, "--stop-on-success")
    assert soon["stop_on_success"]
    assert soon["adversarial_accuracy"] == whole["adversarial_accuracy"] < whole["clean_accuracy"]
    assert soon["adversarial_loss"] < whole["adversarial_loss"], "of the moment it was fooled"


def test_a_run_goes_on_without_being_told_its_dataset(
    shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "run")
    words = ("train", "--dataset", "folder", "--data-root", str(shapes), "--points", "32", "--out", out, "--resume")
    assert answer(capsys, *words, "--epochs", "1")["epochs"] == 1, "a run that has not begun is begun"
    report = answer(capsys, "train", "--out", out, "--resume", "--epochs", "2")
    assert report["epochs"] == 2
    assert report["complete"]
    code, said = complaint(capsys, "train", "--out", out, "--resume", "--points", "64")
    assert code == 1
    assert "points" in said


def test_ctrl_c_keeps_the_finished_epochs_and_says_so(shapes: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "--dataset", "folder", "--data-root", str(shapes), "--points", "32", "--epochs", "10000"]
    command = [sys.executable, "main.py", *words, "--out", str(out), "--json"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if "epoch 2/" in line:
                break
        running.send_signal(signal.SIGINT)
        printed, _ = running.communicate(timeout=120)
    assert running.returncode == 130
    report = json.loads(printed)
    assert not report["complete"]
    assert report["epochs"] >= 2
    assert (out / "best.safetensors").is_file()


def test_the_records_of_an_evaluation_give_its_accuracy(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "records.csv"
    report = answer(capsys, "evaluate", str(trained), "--records", str(table), "--clouds", "20")
    rows = table_of(table)
    assert len(rows) == report["n"] == 20
    right = np.mean([row["label"] == row["clean_prediction"] for row in rows])
    assert right == pytest.approx(report["clean_accuracy"])


PROVENANCE = {
    *("dataset_name", "options", "seed", "dataset", "weights", "device", "complete"),
    *("versions", "python", "platform", "time"),
}


def assert_whole(found: dict[str, Any], report: dict[str, Any]) -> None:
    """That a provenance says everything, and is that of a printed report."""
    assert found.keys() >= PROVENANCE
    assert found["dataset"] == report["fingerprint"]
    assert found["weights"] == {report["model"]: report["weights"]}
    assert found["seed"] == report["seed"] == 3
    assert found["complete"] is report["complete"] is True
    attack = found["options"]["attack"]
    assert (attack["epsilon"], attack["direction"]) == (report["epsilon"], report["direction"]) == (0.2, "sign")
    assert found["options"]["preset"] == report["attack"] == "fgsm"
    assert found["device"].startswith("CPU")


def test_an_evaluation_says_how_it_was_made_in_json_and_beside_its_records(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "records.csv"
    words = ("evaluate", str(trained), "--records", str(table), "--epsilon", "0.2", "--seed", "3", "--clouds", "20")
    report = answer(capsys, *words)
    assert_whole(report["provenance"], report)
    assert report["provenance"]["options"]["evaluation"]["clouds"] == 20
    record = json.loads((tmp_path / "records.csv.json").read_text())
    assert record == {
        "file": "records.csv",
        "sha256": hashlib.sha256(table.read_bytes()).hexdigest(),
        **report["provenance"],
    }
    assert run([*words]) == 0
    assert "versions" not in capsys.readouterr().out, "what is for programs is not printed for people"


def test_copies_of_training_shapes_are_counted_on_the_card_and_left_out_when_asked(
    shapes: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "shapes"
    shutil.copytree(shapes, root)
    for shape in sorted((root / "train" / CLASSES[0]).iterdir())[:3]:
        points = np.load(shape)
        np.save(root / "test" / CLASSES[0] / f"copy_of_{shape.name}", points[::-1])
    card = answer(capsys, "datasets", "folder", "--data-root", str(root))
    assert (card["splits"]["test"], card["copies"], card["exact_copies"]) == (51, 3, 3)
    words = ("evaluate", str(trained), "--data-root", str(root), "--epsilon", "0.2")
    assert run([*words, "--json"]) == 0
    printed = capsys.readouterr()
    assert "3 of the test clouds are copies of training clouds; --without-copies" in " ".join(printed.err.split())
    whole, without = json.loads(printed.out), answer(capsys, *words, "--without-copies")
    assert (whole["n"], whole["copies_left_out"]) == (51, 0)
    assert (without["n"], without["copies_left_out"]) == (48, 3)


def test_a_mesh_never_seen_is_attacked_and_the_file_gives_the_printed_verdict(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = tmp_path / "tetrahedron.off"
    mesh.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    out = tmp_path / "adv.ply"
    words = ("attack", str(mesh), "--model", str(trained), "--attack", "pgd", "--epsilon", "0.05", "--steps", "5")
    report = answer(capsys, *words, "--out", str(out))
    assert report["distances"]["linf"] <= 0.05 + 1e-6

    from core.models.checkpoints import load_model, resolve_model
    from core.models.predict import predict

    loaded = load_model(resolve_model(trained))
    again = predict(loaded.module, read_cloud(out, None).points[None])
    assert loaded.card.classes[again.prediction[0]] == report["adversarial"]["class"]
    assert again.confidence[0] == pytest.approx(report["adversarial"]["confidence"], abs=1e-5)
    record = json.loads((tmp_path / "adv.ply.json").read_text())
    assert record["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert record["weights"] == {loaded.name: loaded.sha256}
    assert (record["options"]["attack"]["steps"], record["options"]["step"]) == (5, 10), (
        "restarts make steps of their own"
    )
    assert (record["options"]["file"], record["options"]["preset"]) == (str(mesh), "pgd")
    assert record["dataset"] is None


def test_the_seed_is_that_of_the_attack_and_changes_no_point_of_a_file(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = tmp_path / "tetrahedron.off"
    mesh.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    words = ("attack", str(mesh), "--model", str(trained), "--epsilon", "0.05")
    for name, alike in (("fgsm", True), ("random-sign", False)):
        clouds = []
        for seed in ("0", "1"):
            out = tmp_path / f"{name}-{seed}.npz"
            answer(capsys, *words, "--attack", name, "--seed", seed, "--out", str(out))
            clouds.append(read_cloud(out, None).points)
        assert np.array_equal(*clouds) == alike


def test_lines_say_what_differs_and_json_says_all(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mesh = tmp_path / "tetrahedron.off"
    mesh.write_text("OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 1 2 3\n3 0 3 2\n")
    words = ("attack", str(mesh), "--model", str(trained), "--attack", "pgd", "--epsilon", "0.05", "--restarts", "0")
    report = answer(capsys, *words)
    assert {"momentum", "rmse_weight", "expected_up", "label_is", "out"} <= report.keys()
    assert report["label_is"] == "the model's own verdict on the clean cloud"
    assert run([*words]) == 0
    lines = {line.split("  ")[0]: line.split("  ")[-1].strip() for line in capsys.readouterr().out.splitlines()}
    assert {"epsilon", "steps", "restarts", "label", "label is", "clean", "adversarial", "distances"} <= lines.keys()
    assert not {"momentum", "rmse weight", "goal", "expected up", "out", "hint"} & lines.keys()
    assert lines["fooled"] == ("yes" if report["fooled"] else "no")
    assert answer(capsys, *words, "--true-class", report["label"])["label_is"] == "given"


def test_a_map_is_written_as_figure_and_table_with_how_it_was_made(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figure, table = tmp_path / "f.pdf", tmp_path / "c.csv"
    words = ("tsne", str(trained), "--out", str(figure), "--coordinates", str(table), "--epsilon", "0.2", "--seed", "3")
    report = answer(capsys, *words, "--perplexity", "8", "--iterations", "100", "--clouds", "32")
    assert figure.read_bytes().startswith(b"%PDF")
    rows = table_of(table)
    assert len(rows) == 2 * report["clouds"] == 64
    assert {row["kind"] for row in rows} == {"clean", "adversarial"}
    assert {row["class"] for row in rows} == set(CLASSES)

    assert_whole(report["provenance"], report)
    assert (report["perplexity"], report["provenance"]["options"]["tsne"]["perplexity"]) == (8, 8)
    assert json.loads((tmp_path / "c.csv.json").read_text()).items() >= report["provenance"].items()
    caption, inside = figure_metadata(figure)
    assert inside == report["provenance"]
    assert "sign attack at epsilon 0.200 r, 1 step, seed 3. t-SNE: perplexity 8, seed 3, KL " in caption

    places = np.array([(float(row["x"]), float(row["y"])) for row in rows])
    labels = np.array([CLASSES.index(row["class"]) for row in rows])
    moved = np.array([row["kind"] == "adversarial" for row in rows])
    for side, half in (("clean", ~moved), ("adversarial", moved)):
        found = separation(places[half].astype(np.float32), labels[half])
        assert report["map"][f"{side}_silhouette"] == pytest.approx(found.silhouette, abs=1e-6)
        assert report["map"][f"{side}_purity"] == pytest.approx(found.purity)
    latent, flat = (report[space]["clean_silhouette"] for space in ("latent_space", "map"))
    assert latent != flat
    assert f"in the latent space {latent:.2f} clean, " in caption
    assert f"in this map {flat:.2f} clean, " in caption


def test_the_datasets_are_listed_and_described(shapes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "shapes16" in answer(capsys, "datasets")
    card = answer(capsys, "datasets", "folder", "--data-root", str(shapes))
    assert card["classes"] == sorted(CLASSES)
    assert card["splits"] == {"train": 48, "test": 48}
    assert len(card["fingerprint"]) == 64


def test_the_doctor_names_versions_devices_and_models(capsys: pytest.CaptureFixture[str]) -> None:
    report = answer(capsys, "doctor")
    assert report["problems"] == []
    assert "cpu" in report["devices"]
    assert {"pointnet-simple", "pointnet-adversarial", "pointnet-defense"} <= report["models"].keys()
    assert len(set(report["models"].values())) == len(report["models"]), "two models have the same weights"
    assert "torch" in report["versions"]


@pytest.mark.parametrize(("word", "code_of_exit"), [("--help", 0), ("--version", 0), ("bogus", WRONG_USE)])
def test_the_list_of_commands_loads_no_pytorch(word: str, code_of_exit: int) -> None:
    code = f"import sys, main; code = main.main([{word!r}]); sys.exit(100 if 'torch' in sys.modules else code)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code_of_exit, done.stderr
    listed = set((done.stdout + done.stderr).replace(",", " ").replace(".", " ").split())
    assert word == "--version" or COMMANDS.keys() | WINDOW_COMMANDS.keys() <= listed


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_commands_docstrings_say(name: str) -> None:
    text = inspect.getdoc(cli[name].default_command) or ""
    assert " ".join(text.partition("\n\n")[0].split()) == COMMANDS[name]


def test_the_help_of_a_command_comes_from_the_options(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli.console, "width", 200)
    assert run(["train", "--help"]) == 0
    shown = capsys.readouterr().out
    from core.training.options import TrainOptions

    for name, field in TrainOptions.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description is not None
        assert field.description[:40] in shown
