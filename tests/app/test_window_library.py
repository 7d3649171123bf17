"""Library, files and exports: choosing shapes and models, opening and saving files."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QContextMenuEvent, QDragEnterEvent, QDropEvent, QGuiApplication, QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QDialog, QFileDialog, QInputDialog, QPushButton, QTextBrowser

from core.commands import run
from core.datasets import REGISTRY, Spec, folder
from core.datasets.shapes16 import make_shape
from core.models import build
from core.models.checkpoints import ModelCard, builtin_models, load_model, save_model
from tests.app.window_fixtures import open_window
from tests.figure_metadata import figure_metadata
from tests.pixels.pictures import pixels

CTRL = Qt.KeyboardModifier.ControlModifier

CUBE = """OFF
8 6 0
0 0 0
2 0 0
2 1 0
0 1 0
0 0 4
2 0 4
2 1 4
0 1 4
4 0 1 2 3
4 4 5 6 7
4 0 1 5 4
4 1 2 6 5
4 2 3 7 6
4 3 0 4 7
"""


@pytest.fixture
def box(tmp_path):
    """A mesh that no model has seen, in a folder with a space in its name."""
    path = tmp_path / "my shapes" / "box.off"
    path.parent.mkdir()
    path.write_text(CUBE)
    return path


@pytest.fixture
def trained(tmp_path):
    """Creates the folder of a finished run, with an untrained model."""

    def make(name, classes):
        torch.manual_seed(1)
        card = ModelCard(
            name=name, title=f"{name} run", architecture="pointnet", classes=classes, regime="simple", points=64,
            dataset="toys", fingerprint="0", up_axis="z", seed=1, epochs=1,
        )  # fmt: skip
        folder = tmp_path / name
        folder.mkdir()
        save_model(folder / "best.safetensors", build("pointnet", len(classes)), card)
        return folder

    return make


def drop(person, *urls):
    """Drop files or addresses onto the window."""
    window, data = person.window, QMimeData()
    data.setUrls([QUrl(url) if isinstance(url, str) else QUrl.fromLocalFile(str(url)) for url in urls])
    place, copy, left = QPoint(400, 300), Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    enter = QDragEnterEvent(place, copy, data, left, Qt.KeyboardModifier.NoModifier)
    QApplication.sendEvent(window, enter)
    assert enter.isAccepted()
    QApplication.sendEvent(window, QDropEvent(QPointF(place), copy, data, left, Qt.KeyboardModifier.NoModifier))


def cloud_named(person, name):
    person.wait_until(lambda: person.store.cloud.name == name, f"the cloud {name}")
    return person.wait_for_scene()


# --- shapes -------------------------------------------------------------------------------------------------------


def test_a_class_is_chosen_and_a_shape_clicked(person):
    library = person.window.library
    person.choose(library.classes, "chair")
    assert library.shapes.rowCount() == 3
    index = library.shapes.index(1)
    person.click(library.list.viewport(), library.list.visualRect(index).center())
    scene = cloud_named(person, index.data(Qt.ItemDataRole.ToolTipRole))
    assert scene.setup.cloud.class_name == "chair"
    assert scene.setup.cloud.label == person.store.classes.index("chair")
    assert person.window.windowTitle().startswith(scene.setup.cloud.name)
    assert not index.data(Qt.ItemDataRole.DecorationRole).isNull()


def test_a_search_without_result_says_so_and_keeps_the_shape(person):
    library, before = person.window.library, person.store.cloud
    library._search.setFocus()
    QTest.keyClicks(library._search, "zebra")
    assert library._placeholder.isVisible()
    assert "Clear the search" in library._placeholder.text()
    assert person.store.cloud is before
    QTest.keyClick(library._search, Qt.Key.Key_Escape)
    assert library.list.isVisible()
    assert library._search.text() == ""
    QTest.keyClicks(library._search, "mug test_1")
    assert library.list.isVisible()
    assert [
        library.shapes.index(row).data(Qt.ItemDataRole.ToolTipRole) for row in range(library.shapes.rowCount())
    ] == ["mug_test_1"]


def test_keys_choose_the_next_and_the_previous_shape_cyclically(person):
    names = person.store.dataset.split("test").names
    person.press(Qt.Key.Key_PageDown, CTRL)
    cloud_named(person, names[1])
    person.press(Qt.Key.Key_PageUp, CTRL)
    person.press(Qt.Key.Key_PageUp, CTRL)
    cloud_named(person, names[-1])


# --- models -------------------------------------------------------------------------------------------------------


def click_mark(person, name, which):
    """Click on the circle (0) or the box (1) of a model's row."""
    models = person.window.stage.models.list
    person.click(models.viewport(), models.mark_boxes(name)[which].center())


def row_of(person, name):
    return next(row for row in person.window.stage.models.list.rows if row.name == name)


def test_a_model_is_hidden_by_a_key_and_shown_again(person):
    models, name = person.window.stage.models.list, person.store.models[1].name
    models.setFocus()
    QTest.keyClick(models, Qt.Key.Key_Down)
    assert models.current == name
    QTest.keyClick(models, Qt.Key.Key_Space)
    assert name not in [model.name for model in person.wait_for_scene().setup.models]
    assert not row_of(person, name).shown
    assert row_of(person, name).verdict == ""
    assert models.hasFocus()
    assert models.current == name
    QTest.keyClick(models, Qt.Key.Key_Space)
    assert name in [model.name for model in person.wait_for_scene().setup.models]
    assert row_of(person, name).verdict


def test_another_model_is_attacked_and_pinned_and_one_is_hidden(person):
    models, (first, second, third) = person.window.stage.models.list, (each.name for each in person.store.models)
    click_mark(person, second, 0)
    scene = person.wait_for_scene()
    assert person.store.primary == second
    assert scene.setup.models[scene.setup.primary].name == second
    assert [row.name for row in models.rows] == [second, first, third]
    assert models.current == second
    click_mark(person, third, 1)
    scene = person.wait_for_scene()
    assert [model.name for model in scene.setup.models] == [first, second]
    click_mark(person, second, 1)
    assert second in [model.name for model in person.wait_for_scene().setup.models], "the attacked one is always shown"


def test_a_row_opens_the_class_bars_of_its_model(person, shot):
    models, verdict = person.window.stage.models.list, person.window.stage.verdict
    model = person.store.models[2]
    person.click(models.viewport(), models.mark_boxes(model.name)[0].center() + QPoint(40, 0))
    assert person.store.primary != model.name, "a click on the name only opens the bars"
    assert verdict.view.accessibleDescription().startswith("clean ")
    assert verdict._title.text() == f"Classes of {model.card.title}"
    shot(person.window, "models")
    QTest.keyClick(models, Qt.Key.Key_Return)
    assert person.wait_for_scene().setup.models[2].name == person.store.primary == model.name


def test_a_row_without_a_verdict_says_how_to_get_one(person, trained):
    person.window.store.add_model(load_model(trained("quiet", person.store.classes) / "best.safetensors"))
    person.wait_for_scene()
    verdict, models = person.window.stage.verdict, person.window.stage.models.list
    models.set_current("quiet")
    assert verdict.view.isVisible()
    person.store.set_shown("quiet", False)
    person.wait_for_scene()
    assert verdict._title.text() == "Classes of quiet run"
    assert verdict._not_shown.isVisible()
    assert not verdict.view.isVisible()
    click_mark(person, "quiet", 1)
    person.wait_for_scene()
    assert verdict.view.isVisible()


def choose_in_menu(person, name, text):
    menu = person.window.stage.models.menu(name)
    action = next(each for each in menu.actions() if each.text() == text)
    assert action.isEnabled()
    action.trigger()
    menu.deleteLater()


def test_the_context_menu_of_a_model(person, trained, monkeypatch):
    drop(person, trained("mine", person.store.classes))
    person.wait_until(lambda: person.store.primary == "mine", "the model")
    person.wait_for_scene()
    models, opened = person.window.stage.models.list, []
    models.setFocus()
    QApplication.sendEvent(models, QContextMenuEvent(QContextMenuEvent.Reason.Keyboard, QPoint(), QPoint(5, 5)))
    menu = QApplication.activePopupWidget()
    enabled = {action.text(): action.isEnabled() for action in menu.actions() if action.text()}
    assert enabled == {
        "Attack this model": False,
        "Show its verdict": False,
        "Rename…": True,
        "Unload": True,
        "Same options again": False,
        "Card…": True,
        "Open its folder": True,
    }
    menu.close()
    monkeypatch.setattr(QInputDialog, "getText", lambda *_, text: (f" {text} again ", True))
    states = person.store.history
    choose_in_menu(person, "mine", "Rename…")
    person.wait_for_scene()
    assert row_of(person, "mine").title == "mine run again"
    assert all(a is b for a, b in zip(person.store.history, states, strict=True)), "no step is made again"
    monkeypatch.setattr("app.stage.models.QDesktopServices.openUrl", opened.append)
    choose_in_menu(person, "mine", "Open its folder")
    assert Path(opened[0].toLocalFile()) == person.store.primary_model.path.parent
    choose_in_menu(person, "mine", "Card…")
    dialog = next(each for each in person.window.findChildren(QDialog) if each.windowTitle() == "mine run again")
    assert "architecture" in dialog.findChild(QTextBrowser).toPlainText()
    dialog.close()
    choose_in_menu(person, "pointnet-simple", "Attack this model")
    assert person.wait_for_scene().setup.models[0].name == person.store.primary == "pointnet-simple"
    choose_in_menu(person, "mine", "Show its verdict")
    assert "mine" not in [model.name for model in person.wait_for_scene().setup.models]
    choose_in_menu(person, "mine", "Unload")
    person.wait_for_scene()
    assert [row.name for row in models.rows] == [model.name for model in person.shipped]


def test_a_folder_of_a_run_becomes_a_model_that_is_attacked_at_once(person, trained):
    drop(person, trained("mine", person.store.classes))
    person.wait_until(lambda: person.store.primary == "mine", "the model")
    scene = person.wait_for_scene()
    assert len(scene.setup.models) == len(person.shipped) + 1
    assert scene.setup.models[scene.setup.primary].name == "mine"
    assert person.window.stage.models.list.rows[0].title == "mine run"


def test_a_model_of_other_classes_is_shown_alone_and_the_target_class_is_reset(person, trained):
    person.choose(person.window.attack._goal, "towards guitar")
    person.wait_for_scene()
    drop(person, trained("other", ("plate", "rod", "ring")))
    person.wait_until(lambda: person.store.primary == "other", "the model")
    scene = person.wait_for_scene()
    assert [model.name for model in scene.setup.models] == ["other"]
    assert scene.setup.classes == ("plate", "rod", "ring")
    assert scene.setup.cloud.label is None
    assert scene.setup.attack.goal == "untargeted"


def test_the_attacked_model_is_put_behind_a_defence_and_taken_back(person):
    choice, bare = person.window.stage.models.defense, person.store.primary_model
    others = person.store.models[1:]
    person.choose(choice, "SOR")
    scene = person.wait_for_scene()
    attacked = scene.setup.models[scene.setup.primary]
    assert (attacked.name, attacked.bare) == (f"{bare.name}+sor", bare)
    assert person.store.models == (attacked, *others), "in the place of the bare one"
    assert person.window.stage.models.list.rows[0].title == f"{bare.card.title} + SOR"
    click_mark(person, others[0].name, 0)
    person.wait_for_scene()
    assert choice.currentText() == "no defence", "the defence is that of one model"
    click_mark(person, attacked.name, 0)
    person.wait_for_scene()
    assert choice.currentText() == "SOR"
    person.choose(choice, "no defence")
    scene = person.wait_for_scene()
    assert scene.setup.models[scene.setup.primary] is bare


def test_a_model_whose_shapes_no_autoencoder_knows_stays_behind_the_defence_that_it_has(person, trained):
    drop(person, trained("other", ("plate", "rod", "ring")))
    person.wait_until(lambda: person.store.primary == "other", "the model")
    choice = person.window.stage.models.defense
    person.choose(choice, "quantisation")
    person.wait_for_scene()
    QTest.keyClick(choice, Qt.Key.Key_Down)
    (message,) = person.pop_errors()
    assert "needs an autoencoder of the shapes that the model was trained on" in message
    assert choice.currentText() == "quantisation"
    assert person.store.primary == "other+quantise"
    person.choose(choice, "no defence")


def test_the_copied_command_puts_the_model_behind_the_defence_too(person, box, capsys):
    drop(person, box)
    cloud_named(person, "box")
    person.choose(person.window.stage.models.defense, "smoothing")
    scene = person.wait_for_scene()
    person.window.actions_["copy_command"].trigger()
    words = shlex.split(QGuiApplication.clipboard().text())
    assert run([*words[1:], "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["model"] == "pointnet-simple+knn"
    assert output["adversarial"]["confidence"] == pytest.approx(float(scene.adversarial_confidence[0].max()), abs=1e-3)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_mesh_is_opened_by_a_drop_and_again_from_the_recent_files(person, box):
    drop(person, box)
    scene = cloud_named(person, "box")
    assert scene.setup.cloud.points.shape == (1024, 3)
    assert np.linalg.norm(scene.setup.cloud.points, axis=1).max() == pytest.approx(1)
    assert scene.setup.cloud.label is None
    person.press(Qt.Key.Key_PageDown, CTRL)
    person.wait_for_scene()
    menu = person.window.actions_["recent"].menu()
    menu.aboutToShow.emit()
    assert menu.actions()[0].text() == str(box)
    menu.actions()[0].trigger()
    cloud_named(person, "box")


def test_a_recent_file_that_is_gone_cannot_be_chosen(person, box, tmp_path):
    gone = tmp_path / "gone.npy"
    np.save(gone, make_shape("mug", 3))
    drop(person, gone)
    cloud_named(person, "gone")
    drop(person, box)
    cloud_named(person, "box")
    gone.unlink()
    menu = person.window.actions_["recent"].menu()
    menu.aboutToShow.emit()
    entries = {entry.text(): entry.isEnabled() for entry in menu.actions()}
    assert (entries[str(box)], entries[str(gone)]) == (True, False)


def test_the_true_class_of_an_opened_shape_can_be_chosen(person, box):
    drop(person, box)
    scene, truth = cloud_named(person, "box"), person.window.attack._true_class
    assert truth.isVisible()
    assert scene.label == scene.clean_confidence[0].argmax()
    person.choose(truth, truth.itemText(1 + person.store.classes.index("mug")))
    scene = person.wait_for_scene()
    assert person.store.classes[scene.label] == person.store.cloud.class_name == "mug"
    person.press(Qt.Key.Key_PageDown, CTRL)
    person.wait_for_scene()
    assert not truth.isVisible()


def test_a_file_is_chosen_in_the_dialog(person, box, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getOpenFileNames", lambda *_: ([str(box)], ""))
    person.click(person.find(QPushButton, "Open file or run…"))
    cloud_named(person, "box")


def test_of_two_files_the_one_opened_last_is_shown(person, tmp_path):
    large, small = tmp_path / "large.xyz", tmp_path / "small.npy"
    points = np.random.default_rng(0).normal(size=(200_000, 3))
    np.savetxt(large, points)
    np.save(small, points[:2000])
    person.window.opener.open_path(large)
    person.window.opener.open_path(small)
    person.wait_until(lambda: not person.window.jobs.jobs, "both files")
    assert person.wait_for_scene().setup.cloud.name == "small"


def test_a_damaged_file_gives_one_message_and_the_scene_stays(person, tmp_path):
    broken, before = tmp_path / "broken.ply", person.wait_for_scene()
    broken.write_text("ply\nformat ascii 1.0\nelement vertex many\n")
    drop(person, broken)
    person.wait_until(lambda: person.messages(), "the message")
    (text,) = person.pop_errors()
    assert "broken.ply" in text
    assert text.endswith(".")
    assert "Traceback" not in text
    assert person.wait_for_scene() is before
    menu = person.window.actions_["recent"].menu()
    menu.aboutToShow.emit()
    assert all("broken" not in entry.text() for entry in menu.actions())


def test_a_dropped_web_address_gives_a_message(person):
    drop(person, "https://example.org/chair.ply")
    (text,) = person.pop_errors()
    assert "this machine" in text


def test_a_folder_of_class_folders_becomes_the_dataset(person, shapes):
    before = person.store.dataset
    drop(person, shapes / "test")
    person.wait_until(lambda: person.store.dataset is not before, "the dataset")
    assert person.store.dataset.card.name == person.window.library._datasets.currentText() == "folder"
    assert person.window.library.shapes.rowCount() == 16
    person.store.set_dataset(before)


def test_datasets_of_images_are_not_offered(person):
    datasets = person.window.library._datasets
    offered = {datasets.itemText(place) for place in range(datasets.count())}
    assert offered == {name for name, spec in REGISTRY.items() if spec.modality == "clouds"}


def test_a_dataset_that_needs_a_folder_and_gets_none_is_not_opened(person, monkeypatch):
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: "")
    datasets, before = person.window.library._datasets, person.store.dataset
    datasets.setFocus()
    QTest.keyClick(datasets, Qt.Key.Key_Down)
    QTest.keyClick(datasets, Qt.Key.Key_Return)
    assert person.store.dataset is before
    assert datasets.currentText() == "shapes16"


def test_an_exported_cloud_that_is_opened_again_has_the_same_predictions(person, tmp_path, monkeypatch):
    path, scene = tmp_path / "adversarial.ply", person.wait_for_scene()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    person.press(Qt.Key.Key_S, CTRL)
    assert (tmp_path / "adversarial-clean.ply").is_file()
    for name, which in (("adversarial.ply", "adversarial"), ("adversarial-clean.ply", "clean")):
        made_with = json.loads((tmp_path / f"{name}.json").read_text())
        assert made_with["options"]["which"] == which
        assert made_with["options"]["attack"]["epsilon"] == scene.epsilon
        assert made_with["options"]["cloud"] == scene.setup.cloud.name
    drop(person, path)
    again = cloud_named(person, "adversarial")
    assert np.allclose(again.clean_confidence, scene.adversarial_confidence, atol=1e-3)


def test_a_cloud_that_cannot_be_written_gives_a_message(person, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    for key, name in ((Qt.Key.Key_S, "a.ply"), (Qt.Key.Key_E, "a.png")):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / "file" / name), ""))
        person.press(key, CTRL)
        (text,) = person.pop_errors()
        assert "file" in text


@pytest.mark.usefixtures("gl")
@pytest.mark.usefixtures("gl")
def test_the_picture_of_the_pair_is_exported(person, tmp_path, monkeypatch):
    path = tmp_path / "pair.png"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    person.press(Qt.Key.Key_E, CTRL)
    assert QImage(str(path)).size() == person.window.pair.views.size()
    caption, made_with = figure_metadata(path)
    assert caption == person.store.scene.caption
    assert made_with["options"]["attack"]["epsilon"] == person.store.scene.epsilon
    for name in ("pair", "pair.gif"):
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, name=name: (str(tmp_path / name), ""))
        person.press(Qt.Key.Key_E, CTRL)
        (text,) = person.pop_errors()
        assert "figures are saved as .png, .svg or .pdf" in text
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.usefixtures("gl")
def test_a_larger_picture_is_chosen_in_the_dialog(person, tmp_path, monkeypatch):
    path, asked = tmp_path / "pair.png", []

    def choose(*arguments):
        asked.append(arguments[-1])
        return str(path), "Picture four times as large (*.png)"

    monkeypatch.setattr(QFileDialog, "getSaveFileName", choose)
    person.press(Qt.Key.Key_E, CTRL)
    assert person.pop_errors() == []
    assert "Picture four times as large (*.png)" in asked[0].split(";;")
    assert QImage(str(path)).size() == 4 * person.window.pair.views.size()


@pytest.mark.usefixtures("gl")
def test_the_picture_of_the_pair_is_copied(person):
    person.press(Qt.Key.Key_C, CTRL | Qt.KeyboardModifier.AltModifier)
    copied = QGuiApplication.clipboard().image()
    assert copied.size() == 2 * person.window.pair.views.size()
    assert pixels(copied).std() > 5, "something is drawn"


@pytest.mark.parametrize("ending", ["pdf", "svg"])
def test_as_pdf_or_svg_both_clouds_and_all_confidences_are_drawn(person, tmp_path, monkeypatch, ending):
    path, scene = tmp_path / f"pair.{ending}", person.wait_for_scene()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
    person.press(Qt.Key.Key_E, CTRL)
    assert person.pop_errors() == []
    written = path.read_bytes()
    assert figure_metadata(path)[0] == scene.caption
    if ending == "pdf":
        assert written.startswith(b"%PDF")
    else:
        for text in (*(model.card.title for model in scene.setup.models), "Clean", "Adversarial"):
            assert f">{text}<" in written.decode()
        assert "<image" not in written.decode(), "points are drawn, not a picture of them"


def test_the_copied_command_repeats_the_attack(person, box, capsys):
    drop(person, box)
    cloud_named(person, "box")
    person.choose(person.window.attack.preset, "BIM")
    scene = person.wait_for_scene()
    person.window.actions_["copy_command"].trigger()
    words = QGuiApplication.clipboard().text()
    assert words.startswith("pointward attack ")
    assert run([*shlex.split(words)[1:], "--json"]) == 0
    output = json.loads(capsys.readouterr().out)
    assert output["adversarial"]["class"] == scene.setup.classes[scene.adversarial_confidence[0].argmax()]
    assert output["adversarial"]["confidence"] == pytest.approx(float(scene.adversarial_confidence[0].max()), abs=1e-3)


def test_the_copied_numbers_are_a_table_with_verdicts_and_distances(person):
    scene = person.wait_for_scene()
    person.press(Qt.Key.Key_C, CTRL | Qt.KeyboardModifier.ShiftModifier)
    rows = dict(line.split("\t", 1) for line in QGuiApplication.clipboard().text().splitlines())
    assert float(rows["‖δ‖∞"]) == pytest.approx(scene.distances.linf, rel=0.01)
    verdict = scene.setup.classes[scene.clean_confidence[0].argmax()]
    assert rows[scene.setup.models[0].card.title].startswith(verdict)


@pytest.mark.long
def test_the_shipped_models_of_a_dataset_are_loaded_with_it(shapes, tmp_path, monkeypatch):
    """Those of ModelNet16 replace those of the built-in shapes, and the other way round."""
    known = load_model(builtin_models("modelnet16")["modelnet16-simple"]).card.classes
    for split in ("train", "test"):
        for name in known:
            (tmp_path / "data" / split / name).mkdir(parents=True)
            np.save(tmp_path / "data" / split / name / "0.npy", make_shape("chair", [0, split == "test"]))
    spec = Spec("Like it.", "A folder.", lambda *_: replace(folder.find(tmp_path / "data"), name="modelnet16"))
    with open_window(shapes, tmp_path / "home") as person:
        monkeypatch.setitem(REGISTRY, "modelnet16", spec)
        person.window.opener.open_dataset("modelnet16", tmp_path / "data")
        person.wait_until(lambda: person.store.classes == known, "the models of ModelNet16")
        assert {model.name for model in person.store.models} == set(builtin_models("modelnet16"))
        assert [model.name for model in person.store.verdict_models] == [
            "modelnet16-simple",
            "modelnet16-adversarial",
            "modelnet16-defense",
        ]
        person.wait_for_scene()
        person.window.opener.open_dataset("shapes16")
        person.wait_until(lambda: person.store.primary == "pointnet-simple", "those of the built-in shapes again")
        assert all(model.card.dataset == "shapes16" for model in person.store.models)
        person.wait_for_scene()
