"""The copied commands of all workspaces do what the window shows."""

import json
import shlex
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QCheckBox, QWidget

from app.workspaces.base import Workspace
from core.commands import run
from core.training import read_run, stored_options
from tests.app import test_transfer, test_window_evaluate, test_window_latents
from tests.app.window_fixtures import Person


def copied(person: Person) -> list[str]:
    person.window.actions_["copy_command"].trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert words[:2] == ["pointward", "attack"]
    return words[1:]


def assert_repeats(person: Person, words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    """The command has the verdicts and the distances of the window."""
    scene = person.wait_for_scene()
    assert run([*words, "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    primary = scene.setup.primary
    both = {"clean": scene.clean_confidence[primary], "adversarial": scene.adversarial_confidence[primary]}
    for side, confidences in both.items():
        assert output[side]["class"] == scene.setup.classes[confidences.argmax()]
        assert output[side]["confidence"] == pytest.approx(float(confidences.max()), abs=1e-3)
    assert output["distances"]["linf"] == pytest.approx(scene.distances.linf, abs=1e-6)
    assert output["label"] == scene.setup.classes[scene.label]
    assert output["fooled"] == scene.fooled()[primary]
    return output


def test_the_command_of_a_library_shape_repeats_its_attack(person, capsys):
    person.window.library.move_by(4)
    person.choose_pgd(steps=3)
    person.type_option(person.window.attack._form, "step_size", "0.02")
    person.window.controller.release(0.0425)
    scene = person.wait_for_scene()
    words = copied(person)
    assert words[1:5] == ["--dataset", "shapes16", "--shape", scene.setup.cloud.name]
    for option, value in (("--seed", "0"), ("--points", "1024"), ("--epsilon", "0.0425"), ("--step-size", "0.02")):
        assert words[words.index(option) + 1] == value
    output = assert_repeats(person, words, capsys)
    assert output["shape"] == scene.setup.cloud.name
    assert output["provenance"]["dataset_name"] == output["dataset"] == "shapes16"
    assert output["provenance"]["dataset"] == person.store.dataset.card.fingerprint


def test_with_another_model_a_defence_and_a_target(person, capsys):
    person.store.set_primary("pointnet-adversarial")
    person.choose(person.window.stage.models.defense, "SOR")
    person.choose(person.window.attack._goal, "towards lamp")
    person.choose(person.window.attack._variant, "per point L2")
    person.wait_for_scene()
    words = copied(person)
    assert words[words.index("--defense") + 1].startswith("sor:")
    output = assert_repeats(person, words, capsys)
    assert output["model"].startswith("pointnet-adversarial+sor")
    assert words[words.index("--target") + 1] == "lamp"


def test_a_shape_that_is_in_no_library_is_said_to_be_in_none(person, capsys):
    cloud, dataset = person.store.cloud, person.store.dataset
    person.store.set_dataset(None)
    QGuiApplication.clipboard().setText("before")
    person.window.actions_["copy_command"].trigger()
    assert QGuiApplication.clipboard().text() == "before"
    assert any("neither a file nor in the library" in text for text in person.messages())
    person.store.set_dataset(dataset)
    person.store.set_cloud(cloud)
    person.wait_for_scene()


def test_while_another_attack_is_made_no_command_of_a_mixture_is_copied(person):
    QGuiApplication.clipboard().setText("before")
    person.choose(person.window.attack.preset, "SI-ADV-QUERY")
    person.window.actions_["copy_command"].trigger()
    assert QGuiApplication.clipboard().text() == "before"
    assert any("Another attack was just chosen" in text for text in person.messages())
    person.wait_for_scene()
    assert "si-adv-query" in copied(person)


# --- the other workspaces -----------------------------------------------------------------------------------------


def lines_of(person: Person, panel: Workspace) -> list[list[str]]:
    """The words of the commands that the button of a workspace copies."""
    QGuiApplication.clipboard().clear()
    person.click(panel.copy)
    lines = [shlex.split(line) for line in QGuiApplication.clipboard().text().splitlines()]
    assert {words[0] for words in lines} <= {"pointward"}
    return [words[1:] for words in lines]


def output_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict:
    """What a command prints."""
    capsys.readouterr()
    assert run([*words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def refused(person: Person, panel: Workspace) -> str:
    """The sentence in the place of a command."""
    assert lines_of(person, panel) == []
    return person.messages()[-1]


def test_the_command_of_a_training_has_its_options_its_dataset_and_a_new_folder(person, capsys):
    panel = person.show_workspace("train")
    for field, value in {"epochs": 1, "clouds": 16, "batch_size": 8, "points": 32, "attack_steps": 2}.items():
        person.type_option(panel.form, field, str(value))
    person.choose(panel.form.findChild(QWidget, "regime"), "pgd")
    person.choose(panel.form.findChild(QWidget, "model"), "dgcnn")
    person.type_option(panel.model_forms["dgcnn"], "neighbours", "4")
    (words,) = lines_of(person, panel)
    assert person.messages()[-1] == "The command is on the clipboard."
    assert "--learning-rate" not in words, "it is as usual"
    folder = Path(output_of(words, capsys)["run"])
    assert stored_options(folder) == panel.options
    assert read_run(folder).dataset == person.store.dataset.card.fingerprint
    person.wait_until(lambda: folder in [known.folder for known in panel.runs.runs], "the run in the list")
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the same training here")
    assert panel._folder.parent == folder.parent
    assert panel._folder.name.split("-", 2)[2] == folder.name.split("-", 2)[2]
    for field, value in {"attack_steps": "", "clouds": ""}.items():
        person.type_option(panel.form, field, value)
    person.choose(panel.form.findChild(QWidget, "regime"), "simple")
    person.choose(panel.form.findChild(QWidget, "model"), "pointnet")


def test_each_model_of_an_evaluation_has_a_command_with_its_numbers(person, capsys):
    panel = person.show_workspace("evaluate")
    person.choose(person.window.attack.preset, "BIM")
    person.type_option(person.window.attack._form, "steps", "2")
    person.window.controller.release(0.03)
    person.wait_for_scene()
    tick = person.find(QCheckBox, person.store.models[1].card.title)
    person.click(tick, QPoint(12, tick.height() // 2))
    test_window_evaluate.begin(person)
    assert len(lines_of(person, panel)) == 2, "also while it runs"
    person.wait_until(lambda: panel.job is None, "the evaluation")
    lines = lines_of(person, panel)
    assert person.messages()[-1] == (
        "2 commands, one for each model, are on the clipboard, without the sweep over epsilon."
    )
    for words, measured in zip(lines, panel.result.measurements, strict=True):
        output = output_of(words, capsys)
        assert output["model"] == measured.model.name
        assert output["n"] == test_window_evaluate.CLOUDS
        expected = {key: value for key, value in measured.report.summary().items() if not key.endswith("interval")}
        assert {key: output[key] for key in expected} == pytest.approx(expected, rel=1e-4)
    person.click(tick, QPoint(12, tick.height() // 2))


def test_the_command_of_an_evaluation_under_auto_names_it(person):
    panel = person.show_workspace("evaluate")
    person.choose(panel.attack, "AUTO")
    for words in lines_of(person, panel):
        assert words[words.index("--attack") + 1] == "auto"
        assert words[words.index("--epsilon") + 1] == "0.1"
        assert "--steps" not in words
    person.choose(panel.attack, "that of the slider")


def test_what_no_command_measures_is_said_in_its_place(person):
    panel = person.show_workspace("evaluate")
    person.choose(panel.form.findChild(QWidget, "split"), "train")
    assert refused(person, panel) == "A command measures test clouds: choose the split test first."
    person.choose(panel.form.findChild(QWidget, "split"), "test")
    person.choose(person.window.attack._goal, "towards lamp")
    assert "set the goal to untargeted" in refused(person, panel)
    panel = person.show_workspace("latents")
    assert "set the goal under the shapes to untargeted" in refused(person, panel)
    person.wait_for_scene()


def test_the_command_of_a_map_makes_the_same_map(person, capsys, tmp_path, monkeypatch):
    panel = person.window.workspaces["latents"]
    test_window_latents.begin(person)
    person.wait_until(lambda: panel.job is None, "the map")
    (words,) = lines_of(person, panel)
    monkeypatch.chdir(tmp_path)
    output = output_of(words, capsys)
    assert (tmp_path / output["out"]).is_file()
    assert (output["clean_accuracy"], output["adversarial_accuracy"]) == pytest.approx(panel.result.accuracy)
    assert output["perplexity"] == 5
    assert output["map"]["iterations"] == panel.result.map.iterations
    assert output["map"]["kl"] == pytest.approx(panel.result.map.kl, rel=0.02)


def test_the_command_of_a_transfer_experiment_goes_on_with_it(person, capsys):
    """It would be refused in the folder of the experiment if anything was another."""
    panel = test_transfer.choose(person)
    (before,) = lines_of(person, panel)
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the experiment")
    (words,) = lines_of(person, panel)
    place = words.index("--out") + 1
    assert Path(words[place]) == panel.shown.folder
    assert Path(before[place]).parent == panel.shown.folder.parent
    assert words[:place] + words[place + 1 :] == before[:place] + before[place + 1 :]
    rates = output_of(words, capsys)["success_rates"]["equal-loss"]
    expected = panel.results.measures.mean_rates()
    assert {name: pytest.approx(row) for name, row in expected.items()} == rates


def test_the_action_copies_the_command_of_the_shown_workspace(person):
    keys = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    for key, command in {"latents": "tsne", "train": "train", "attack": "attack"}.items():
        person.show_workspace(key)
        QGuiApplication.clipboard().clear()
        person.press(Qt.Key.Key_L, keys)
        assert shlex.split(QGuiApplication.clipboard().text())[1] == command


def test_without_a_valid_choice_no_command_is_offered(person):
    panel, action = person.show_workspace("latents"), person.window.actions_["copy_command"]
    assert panel.copy.isEnabled()
    assert action.isEnabled()
    person.type_option(panel.form, "perplexity", "1")
    assert not panel.copy.isEnabled()
    assert not action.isEnabled()
    person.show_workspace("train")
    assert action.isEnabled()
    person.show_workspace("latents")
    person.type_option(panel.form, "perplexity", "30")
    assert panel.copy.isEnabled()
    assert action.isEnabled()
