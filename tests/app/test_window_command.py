"""The copied command of a shape from the library does what the window shows."""

import json
import shlex

import pytest
from PySide6.QtGui import QGuiApplication

from core.commands import run
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
    person.window.library.move_by(1)
    person.wait_for_scene()
    assert "si-adv-query" in copied(person)
