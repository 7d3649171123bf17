"""An attack that is one file and one row is on the command line, beside those that come with the program."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.commands import run
from tests.core.toys import toy_split
from tests.new_attack import NAME, add_attack


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    path = tmp_path / "plate.npy"
    np.save(path, toy_split(2, 200).points[1])
    return path


def test_a_new_file_and_row_are_listed_and_attack(
    cloud: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    add_attack(tmp_path, monkeypatch)
    assert run(["attacks", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[NAME]["description"] == "Lifts the cloud."
    out = tmp_path / "lifted.npy"
    words = ["attack", str(cloud), "--attack", NAME, "--epsilon", "0.2", "--points", "200", "--out", str(out)]
    assert run([*words, "--json"]) == 0, capsys.readouterr().err
    report = json.loads(capsys.readouterr().out)
    assert (report["attack"], report["part"]) == (NAME, 0.75)
    assert report["distances"]["linf"] == pytest.approx(0.15, abs=1e-6)
    assert len(np.load(out)) == 200
    assert run(["attack", str(cloud), "--attack", "lower"]) == 2
    assert NAME in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "epsilon", "points"),
    [("drop", "25", 200), ("add", "25", 250), ("rotate", "40", 200), ("si-adv", "0.1", 200)],
)
def test_attacks_of_every_room_are_made_from_the_command_line(
    cloud: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, epsilon: str, points: int
) -> None:
    out = tmp_path / "adversarial.npy"
    words = ["attack", str(cloud), "--attack", name, "--epsilon", epsilon, "--steps", "2", "--points", "200"]
    assert run([*words, "--out", str(out), "--json"]) == 0, capsys.readouterr().err
    report = json.loads(capsys.readouterr().out)
    assert report["points"] == 200
    made = np.load(out)
    assert made.shape == (points, 3)
    if name == "drop":
        assert len(np.unique(made, axis=0)) >= 150


def test_what_an_attack_does_not_take_is_said_in_one_sentence(cloud: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, sentence in (
        (["--attack", "drop", "--restarts", "2"], "restarts: input should be 0 (got 2)"),
        (["--attack", "rotate", "--epsilon", "200"], "epsilon: input should be less than or equal to 180 (got 200.0)"),
        (
            ["--attack", "fgsm", "--epsilon", "30"],
            "epsilon: input should be less than or equal to 2 for clouds (got 30)",
        ),
        (["--attack", "rotate", "--transform", "bend"], "there is no such name; there are rotate"),
        (["--attack", "fgsm", "--tries", "3"], "The attack fgsm has no option tries"),
    ):
        assert run(["attack", str(cloud), *words]) == 2
        assert sentence in " ".join(capsys.readouterr().err.split())
