"""Models of other projects are dropped on the window, asked about, and attacked beside the others."""

import numpy as np
import pytest
import torch
from PySide6.QtCore import Qt, QTimer
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialogButtonBox, QFileDialog, QMessageBox, QPushButton, QWidget

from app.shell.importing import OptionsDialog
from core.models.checkpoints import load_model
from core.models.importers import imported_models
from core.models.importers.sources import sha256_of
from tests.app.test_window_library import drop
from tests.core.foreign import Little, published_pointnet, save_script, save_yanx27, write_code


def dialog(person) -> OptionsDialog:
    """The question that is on the screen."""

    def shown():
        return next((each for each in person.window.findChildren(OptionsDialog) if each.isVisible()), None)

    person.wait_until(shown, "the question")
    found = shown()
    assert found is not None
    return found


def say(person, **values: str) -> None:
    """Fill in the question and press Import."""
    asked = dialog(person)
    for name, text in values.items():
        editor = asked.form.findChild(QWidget, name)
        editor.selectAll()
        QTest.keyClick(editor, Qt.Key.Key_Delete)
        QTest.keyClicks(editor, text)
    person.click(asked.accept_button)


def attacked(person, name: str):
    """The scene in which a model of this name is attacked."""
    person.wait_until(lambda: person.store.primary == name, f"the model {name}")
    person.wait_until(lambda: not person.window.findChildren(OptionsDialog), "the question to go away")
    scene = person.wait_for_scene()
    assert scene.setup.models[scene.setup.primary].name == name
    assert scene.distances.linf == pytest.approx(scene.epsilon, abs=1e-6)
    return scene


def answer(person, button: str, seen: list[str]) -> None:
    """Press a button of the next message box, whose texts are kept."""

    def look():
        box = QApplication.activeModalWidget()
        if not isinstance(box, QMessageBox):
            QTimer.singleShot(20, look)
            return
        seen.extend((box.text(), box.informativeText()))
        next(each for each in box.findChildren(QPushButton) if each.text() == button).click()

    QTimer.singleShot(0, look)


def test_weights_of_a_known_pointnet_are_dropped_and_attacked(person, tmp_path):
    path = save_yanx27(published_pointnet(), tmp_path / "best_model.pth")
    drop(person, path)
    asked = dialog(person)
    options = asked.form.value()
    assert (options.name, options.points) == ("best_model", 1024)
    assert options.classes == ",".join(person.store.dataset.card.classes), "there are as many outputs"
    say(person, name="theirs")
    scene = attacked(person, "theirs")
    assert scene.setup.classes == person.store.dataset.card.classes
    assert len(scene.setup.models) == 4, "its verdict stands beside the others"
    assert imported_models() == {"theirs": person.store.primary_model.path}
    assert any("theirs is imported, and attacked now." in said for said in person.messages())
    assert person.window.actions_["recent"].menu() is not None


def test_a_script_is_chosen_in_the_dialog_with_its_own_classes_and_frame(person, tmp_path, monkeypatch):
    path = save_script(Little(), tmp_path / "little.pt")
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(path)], ""))
    person.click(person.find(QPushButton, "Open file or run…"))
    asked = dialog(person)
    person.choose(asked.form.findChild(QWidget, "up"), "y")
    say(person, name="mine", classes=",".join(f"thing {k}" for k in range(16)))
    scene = attacked(person, "mine")
    assert scene.setup.classes[0] == "thing 0"
    assert len(scene.setup.models) == 1, "the others know other classes"
    model = load_model(imported_models()["mine"])
    assert model.card.source.frame.up == "y"
    turned = torch.from_numpy(scene.setup.cloud.points.copy())[None]
    confidence = model.module(turned).logits.softmax(1).numpy(force=True)[0]
    assert np.allclose(confidence, scene.clean_confidence[0], atol=1e-5)


def test_python_code_runs_after_one_yes_that_names_file_and_hash(person, tmp_path):
    path = write_code(tmp_path / "mine.py")
    seen: list[str] = []
    answer(person, "Don't run it", seen)
    drop(person, path)
    factory = dialog(person)
    assert "has several: write mine.py:NAME" in factory.findChildren(type(factory.problem))[0].text()
    say(person)
    person.wait_until(lambda: seen, "the question")
    assert seen[0] == "Run the code in mine.py?"
    assert str(path) in seen[1]
    assert sha256_of(path) in seen[1]
    person.wait_until(lambda: not person.busy(), "nothing to happen")
    assert not person.window.findChildren(OptionsDialog)

    answer(person, "Run it", seen)
    drop(person, path)
    person.choose(dialog(person).form.findChild(QWidget, "factory"), "make")
    say(person)
    person.wait_until(lambda: len(seen) == 4, "the question again")
    person.wait_until(lambda: "name" in dialog(person).form._rows, "the facts")
    say(person, name="code")
    scene = attacked(person, "code")
    assert scene.adversarial_latent.shape == (64,)


def test_what_the_file_leaves_open_is_asked(person, tmp_path):
    path = tmp_path / "bare.pth"
    torch.save(published_pointnet().state_dict(), path)
    drop(person, path)
    assert "which differ in what they take" in dialog(person).findChildren(type(dialog(person).problem))[0].text()
    say(person, points="1024")
    person.wait_until(lambda: (dialog(person).form.value() or 0) and dialog(person).form.value().name, "the facts")
    say(person)
    attacked(person, "bare")


@pytest.mark.usefixtures("scripts_tried_here")
def test_a_wrong_answer_is_told_in_the_question_which_stays(person, tmp_path):
    drop(person, save_script(Little(), tmp_path / "little.pt"))
    asked = dialog(person)
    say(person, classes="a,b")
    assert asked.isVisible()
    assert "has 16 outputs, and 2 classes are named" in asked.problem.text()
    say(person, classes="", name="pointnet/simple")
    assert "can't be the name of a model" in asked.problem.text()
    cancel = asked.findChild(QDialogButtonBox).button(QDialogButtonBox.StandardButton.Cancel)
    person.click(cancel)
    person.wait_until(lambda: not person.window.findChildren(OptionsDialog), "the question to go away")
    assert imported_models() == {}


@pytest.mark.usefixtures("scripts_tried_here")
def test_one_of_the_same_name_is_replaced_after_a_yes(person, tmp_path):
    path = save_script(Little(), tmp_path / "little.pt")
    drop(person, path)
    say(person)
    first = attacked(person, "little")
    seen: list[str] = []
    drop(person, path)
    asked = dialog(person)
    answer(person, "Replace", seen)
    say(person, points="512")
    person.wait_until(lambda: seen, "the question")
    assert seen[0] == "Replace little?"
    person.wait_until(lambda: not person.window.findChildren(OptionsDialog), "the question to go away")
    person.wait_until(lambda: person.store.primary_model.card.points == 512, "the other model")
    assert person.wait_for_scene().setup.models[-1] is not first.setup.models[-1]
    del asked


@pytest.mark.parametrize("name", ["whole.pth", "damaged.pt", "plain.py"])
def test_what_can_not_be_imported_is_one_sentence(person, tmp_path, name):
    path = tmp_path / name
    if name == "whole.pth":
        torch.save(Little(), path)
    else:
        path.write_text("nothing = 1\n")
    before = person.store.models
    drop(person, path)
    person.wait_until(person.messages, "the refusal")
    (text,) = person.pop_errors()
    assert name in text
    assert len(text) <= 300
    assert person.store.models == before


@pytest.mark.usefixtures("scripts_tried_here")
def test_an_imported_model_is_opened_again_by_its_card(person, tmp_path):
    drop(person, save_script(Little(), tmp_path / "little.pt"))
    say(person)
    attacked(person, "little")
    QTest.keyClick(person.window, Qt.Key.Key_Escape)
    person.reset()
    drop(person, imported_models()["little"])
    attacked(person, "little")
