"""``attack --dataset``, ``judge``, ``attacks`` and ``--attack auto``, as a person types them, on a small folder."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.attacks import PRESETS
from core.commands import run
from core.evaluation.make import read_set
from core.models.checkpoints import load_model, resolve_model, save_model
from tests.core.test_cli import answer, complaint, private_cache, shapes, trained

__all__ = ["private_cache", "shapes", "trained"]  # fixtures


@pytest.fixture
def made(trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "set"
    words = ["attack", "--dataset", "folder", "--data-root", str(shapes), "--model", str(trained), "--attack", "bim"]
    report = answer(capsys, *words, "--steps", "3", "--epsilon", "0.3", "--out", str(out))
    assert report["n"] == 48
    assert report["linf_max"] <= 0.3 + 1e-6
    assert report["complete"] is True
    return out


def test_a_set_is_judged_by_any_model(
    made: Path, trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "lines.csv"
    report = answer(
        capsys, "judge", str(made), "--model", str(trained), "--data-root", str(shapes), "--records", str(table)
    )
    [own] = [value for key, value in report.items() if isinstance(value, dict) and "success_of_all" in value]
    clouds, _ = read_set(made)
    assert own["adversarial_accuracy"] == pytest.approx(1 - clouds.success.mean())
    right = clouds.clean_logits.argmax(1) == clouds.label
    assert own["clean_right"] == own["clean_right_by_both"] == right.sum()
    assert own["success_of_clean_right"] == pytest.approx(clouds.success[right].mean())
    assert report["chamfer_mean"] == pytest.approx(clouds.chamfer.mean())
    assert report["hausdorff_mean"] == pytest.approx(clouds.hausdorff.mean())
    lines = table.read_text().splitlines()
    assert len(lines) == 49
    assert lines[0].endswith(",linf,rmse,chamfer,hausdorff")
    assert json.loads(table.with_name("lines.csv.json").read_text())["set"]["attack"] == "bim"


def test_a_set_whose_parts_are_missing_is_finished_by_the_same_command(
    made: Path, trained: Path, shapes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, _ = read_set(made)
    parts = sorted(made.glob("clouds-*.npz"))
    parts[1].unlink()
    words = ["attack", "--dataset", "folder", "--data-root", str(shapes), "--model", str(trained), "--attack", "bim"]
    answer(capsys, *words, "--steps", "3", "--epsilon", "0.3", "--out", str(made))
    after, _ = read_set(made)
    np.testing.assert_array_equal(after.clouds, before.clouds)
    code, said = complaint(capsys, *words, "--steps", "4", "--epsilon", "0.3", "--out", str(made))
    assert code == 1
    assert "holds another adversarial set" in said


def test_the_weights_of_a_surrogate_are_recorded_and_a_set_does_not_go_on_with_others(
    trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    surrogate, out = tmp_path / "surrogate.safetensors", tmp_path / "set"
    known = load_model(resolve_model(trained))
    save_model(surrogate, known.module, known.card)
    words = ["attack", "--dataset", "folder", "--data-root", str(shapes), "--model", str(trained), "--clouds", "6"]
    words += ["--attack", "si-adv-query", "--steps", "3", "--sensitivity-model", str(surrogate), "--out", str(out)]
    answer(capsys, *words)
    _, record = read_set(out)
    assert record.files == {"sensitivity_model": load_model(surrogate).sha256}
    found = json.loads((out / "set.json").read_text())["provenance"]["attack_files"]
    assert found == {record.surrogate: record.files}
    save_model(surrogate, known.module, known.card.model_copy(update={"title": "Another"}))
    code, said = complaint(capsys, *words)
    assert code == 1
    assert "holds another adversarial set" in said
    surrogate.unlink()
    code, said = complaint(capsys, *words)
    assert code in (1, 2)
    assert "surrogate.safetensors" in said


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["attack"], "attack needs a file, or --dataset"),
        (["attack", "--dataset", "shapes16"], "needs --out FOLDER; or --shape NAME"),
        (["attack", "main.py", "--dataset", "shapes16", "--shape", "x"], "and not both"),
        (["attack", "main.py", "--shape", "x"], "go with --dataset"),
        (["attack", "--dataset", "shapes16", "--shape", "x", "--clouds", "4"], "there are no --clouds"),
        (["attack", "--dataset", "folder", "--shape", "x"], "needs --data-root"),
        (["attack", "--dataset", "shapes16", "--out", "set", "--target", "chair"], "takes no file and no class"),
        (["judge", "nowhere", "--model", "pointnet-simple"], "There is no file or folder nowhere"),
        (["judge", ".", "--model", "nobody"], "There is no such model"),
        (["evaluate", "pointnet-simple", "--attack", "auto", "--steps", "3"], "auto takes --epsilon alone"),
        (["evaluate", "pointnet-simple", "--attack", "pgd", "--optimiser", "sgd"], "there is no such name; there are"),
    ],
)
def test_wrong_use_is_one_sentence(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = complaint(capsys, *words)
    assert code == 2
    assert sentence in said


@pytest.mark.parametrize("content", ["", "{}", "[1, 2]", '{"preset": 3}', "no json"])
def test_a_damaged_record_is_one_sentence(
    content: str, made: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (made / "set.json").write_text(content)
    code, said = complaint(capsys, "judge", str(made), "--model", str(trained))
    assert code == 1
    assert "set.json" in said


def test_one_shape_of_a_dataset_is_attacked_away_from_its_class(
    trained: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["attack", "--dataset", "folder", "--data-root", str(shapes), "--model", str(trained), "--attack", "bim"]
    kind = next(part.name for part in sorted((shapes / "test").iterdir()))
    name = next(file.stem for file in sorted((shapes / "test" / kind).iterdir()))
    out = tmp_path / "one.ply"
    assert run([*words, "--shape", name, "--out", str(out), "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert (output["dataset"], output["shape"], output["label"]) == ("folder", name, kind)
    assert json.loads((tmp_path / "one.ply.json").read_text())["dataset_name"] == "folder"
    assert run([*words, "--shape", "nothing"]) == 2
    assert "has no test shape 'nothing'" in capsys.readouterr().err


def test_every_attack_is_listed_with_its_paper(capsys: pytest.CaptureFixture[str]) -> None:
    listed = answer(capsys, "attacks")
    assert list(listed) == ["auto", *PRESETS]
    assert "FAB" in listed.pop("auto")["description"]
    assert all({"description", "bounds", "steps", "gradients_a_step", "options"} <= set(row) for row in listed.values())
    assert run(["attacks"]) == 0
    assert "Goodfellow" in capsys.readouterr().out


def test_auto_is_no_weaker_than_pgd(
    trained: Path, shapes: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {"apgd-ce": 20, "apgd-t": 10, "fab": 4, "square": 20}
    monkeypatch.setattr("core.evaluation.auto.STAGES", {name: {"steps": steps} for name, steps in few.items()})
    words = ["evaluate", str(trained), "--dataset", "folder", "--data-root", str(shapes), "--epsilon", "0.2"]
    pgd = answer(capsys, *words, "--clouds", "4", "--attack", "pgd", "--steps", "5")
    auto = answer(capsys, *words, "--clouds", "4", "--attack", "auto")
    assert auto["adversarial_accuracy"] <= pgd["adversarial_accuracy"]
    assert auto["linf_max"] <= 0.2 + 1e-6
