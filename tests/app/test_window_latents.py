"""The Latents workspace: fitting the map, its marker, opening the clouds of points, and exports."""

import csv
import json

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QToolButton

from app.shell.progress import Status
from app.store import SPLIT
from app.views.thumbnail_list import DATA
from tests.app.mouse import move_mouse
from tests.app.test_window_training import answer
from tests.figure_metadata import figure_metadata

CLOUDS = 32


def begin(person, iterations=50, clouds=CLOUDS):
    """Fill in the forms of the Latents workspace, press the button, and return the job."""
    panel = person.window.workspaces["latents"]
    if panel.job is not None:
        panel.job.cancel()
        person.wait_until(lambda: panel.job is None, "the end of the map before")
    person.show_workspace("latents")
    for field, value in {"clouds": clouds, "points": 128}.items():
        person.type_option(panel.clouds_form, field, str(value))
    for field, value in {"perplexity": 5, "early_iterations": 25, "iterations": iterations}.items():
        person.type_option(panel.form, field, str(value))
    person.click(panel.start)
    assert panel.job is not None
    return panel.job


def made(person):
    """A map, which is fitted once and reused."""
    panel = person.window.workspaces["latents"]
    if panel.result is None or not panel.result.map.complete or panel.job is not None:
        begin(person)
        person.wait_until(lambda: panel.job is None, "the map")
    person.show_workspace("latents")
    return panel.result


def test_a_map_of_clean_and_adversarial_latents_is_made(person, shot):
    panel = person.window.workspaces["latents"]
    begin(person)
    assert panel.start.isHidden()
    assert panel.stop.isVisible()
    person.wait_until(lambda: panel.job is None, "the map")
    result = panel.result
    assert result.map.xy.shape == (2 * CLOUDS, 2)
    assert result.map.complete
    assert f"{CLOUDS} clouds" in panel.status.text()
    assert "accuracy" in panel.status.text()
    assert panel.map.accessibleDescription() == f"{CLOUDS} clean and {CLOUDS} adversarial clouds of 16 classes"
    shot(person.window, "latents")


def test_the_star_of_the_current_cloud_follows_the_slider(person):
    made(person)
    panel, places = person.window.workspaces["latents"], []
    person.press_slider(0.0)
    for epsilon in (0.02, 0.3):
        person.drag_slider(epsilon)
        places.append(panel.marker_position.copy())
    person.release_slider()
    assert np.isfinite(places).all()
    assert not np.array_equal(*places)
    assert len(panel.map._plot._marker) == 2


def test_the_star_disappears_when_another_model_is_attacked(person):
    made(person)
    assert person.window.workspaces["latents"].marker_position is not None
    person.store.set_primary(person.store.models[1].name)
    person.wait_for_scene()
    assert person.window.workspaces["latents"].marker_position is None
    person.store.set_primary(person.store.models[0].name)
    person.wait_for_scene()
    assert person.window.workspaces["latents"].marker_position is not None


def test_a_point_that_is_clicked_opens_its_cloud(person):
    result, plane = made(person), person.window.workspaces["latents"].map._plot
    places = [plane.mapFromScene(plane.box.mapViewToScene(QPointF(*xy))).toTuple() for xy in result.map.xy]
    places = np.array(places, float)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=2) + 1e9 * np.eye(len(places))
    index = int(gaps.min(axis=1).argmax())  # the one that stands most alone
    place = QPoint(*map(int, places[index]))
    move_mouse(plane.viewport(), place)
    QTest.mouseClick(plane.viewport(), Qt.MouseButton.LeftButton, pos=place)
    name = person.store.dataset.split("test").names[result.rows[index]]
    person.wait_until(lambda: person.store.cloud.name == name, "the cloud of the point")
    person.wait_for_scene()


def test_the_figure_and_its_coordinates_are_exported(person, tmp_path, monkeypatch):
    result, panel = made(person), person.window.workspaces["latents"]
    for ending, head in (("pdf", b"%PDF"), ("svg", b"<?xml"), ("png", b"\x89PNG")):
        path = tmp_path / f"latents.{ending}"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_, path=path: (str(path), ""))
        person.choose_export(panel, "Figure…")
        assert path.read_bytes().startswith(head)
        assert any(str(path) in text for text in person.messages())
        caption, made_with = figure_metadata(path)
        assert f"perplexity {result.map.options.perplexity:g}, seed" in caption
        assert "in the latent space" in caption
        assert made_with["options"]["tsne"]["perplexity"] == result.map.options.perplexity
        assert made_with["weights"] == {person.store.primary_model.name: person.store.primary_model.sha256}
    picture = QImage(str(tmp_path / "latents.png"))
    assert picture.width() > picture.height() > 300
    table = tmp_path / "latents.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(table), ""))
    person.choose_export(panel, "Coordinates…")
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * CLOUDS
    assert {row["kind"] for row in rows} == {"clean", "adversarial"}
    assert float(rows[0]["x"]) == pytest.approx(float(result.map.xy[0, 0]), rel=1e-4)
    assert rows[0]["class"] in person.store.classes
    assert json.loads((tmp_path / "latents.csv.json").read_text())["options"] == made_with["options"]


def test_a_map_is_paused_and_resumed_and_its_caption_names_its_seed(person, tmp_path, monkeypatch):
    panel = person.window.workspaces["latents"]
    person.show_workspace("latents")
    person.type_option(panel.form, "seed", "7")
    job = begin(person, iterations=5000)
    try:
        person.wait_until(lambda: job.meter.done > 0, "the first iterations")
        person.click(panel.pause)
        person.wait_until(lambda: job.suspended, "the rest")
        assert panel.pause.text() == "Resume"
        done = job.meter.done
        person.click(panel.pause)
        assert panel.pause.text() == "Pause"
        person.wait_until(lambda: job.meter.done > done, "more iterations")
        person.click(panel.stop)
        person.wait_until(lambda: panel.job is None, "the end")
        path = tmp_path / "latents.svg"
        monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(path), ""))
        person.choose_export(panel, "Figure…")
        caption, made_with = figure_metadata(path)
        assert "perplexity 5, seed 7" in caption
        assert made_with["seed"] == 7
    finally:
        person.type_option(panel.form, "seed", "0")


def test_a_figure_that_cannot_be_written_gives_a_message(person, tmp_path, monkeypatch):
    made(person)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "latents.doc"), ""))
    person.choose_export(person.window.workspaces["latents"], "Figure…")
    (text,) = person.pop_errors()
    assert "doc" in text


def test_a_map_is_marked_as_stale_after_a_change_of_settings(person):
    made(person)
    panel = person.window.workspaces["latents"]
    assert panel.map._plot.stale.isHidden()
    person.choose(person.window.attack.preset, "BIM")
    person.wait_for_scene()
    assert panel.map._plot.stale.isVisible()
    person.choose(person.window.attack.preset, "FGSM")
    person.wait_for_scene()
    assert panel.map._plot.stale.isHidden()
    person.type_option(panel.form, "seed", "7")
    assert panel.map._plot.stale.isVisible()
    person.type_option(panel.form, "seed", "0")
    assert panel.map._plot.stale.isHidden()


def test_a_map_that_is_stopped_is_kept(person):
    panel = person.window.workspaces["latents"]
    begin(person, iterations=100_000)
    person.wait_until(lambda: "iteration" in panel.map._plot.busy.text(), "the map to form")
    person.click(panel.stop)
    person.wait_until(lambda: panel.job is None, "the end")
    assert not panel.result.map.complete
    assert panel.marker_position is not None
    assert panel.export.isEnabled()


def test_after_cancelling_a_map_the_previous_one_is_shown(person):
    panel, before = person.window.workspaces["latents"], made(person)
    job = begin(person, iterations=100_000)
    person.wait_until(lambda: "iteration" in panel.map._plot.busy.text(), "the map to form")
    answer("Cancel it")
    person.click(person.find(QToolButton, "Cancel"))
    person.wait_until(lambda: panel.job is None, "the end")
    assert job.status is Status.CANCELLED
    assert panel.result is before
    assert panel.export.isEnabled()
    assert panel.marker_position is not None
    assert f"{CLOUDS} clean" in panel.map.accessibleDescription()


def test_a_point_of_a_map_that_is_being_fitted_opens_its_cloud(person):
    panel = person.window.workspaces["latents"]
    made(person)
    job = begin(person, iterations=100_000, clouds=CLOUDS // 2)
    person.wait_until(lambda: len(panel._shown[0].rows) == CLOUDS, "the new map to form")
    for index in (3, CLOUDS - 1):
        panel.map.picked.emit(index)
        row = int(panel._shown[0].rows[index])
        assert person.store.cloud.name == person.store.dataset.split("test").names[row]
    job.cancel()
    person.wait_until(lambda: panel.job is None, "the end")


def test_a_perplexity_that_is_too_large_gives_a_message(person):
    panel = person.window.workspaces["latents"]
    begin(person)
    person.wait_until(lambda: panel.job is None, "the map")
    person.type_option(panel.form, "perplexity", "200")
    person.click(panel.start)
    person.wait_until(lambda: panel.job is None, "the refusal")
    (text,) = person.pop_errors()
    assert "perplexity" in text.lower()
    person.type_option(panel.form, "perplexity", "5")


# --- picked clouds ------------------------------------------------------------------------------------------------


def screen(panel, index):
    """Position of a point of the map on the plot."""
    return panel.map._plot._on_screen(QPointF(*panel.result.map.xy[index])).toPoint()


def lonely(panel):
    """Index of a point with no other near it on the screen."""
    places = np.array([(at.x(), at.y()) for at in (screen(panel, k) for k in range(2 * CLOUDS))])
    apart = np.linalg.norm(places[:, None] - places, axis=2) + 1e9 * np.eye(len(places))
    return int(apart.min(axis=1).argmax())


def test_a_picked_point_shows_its_nearest_neighbours_and_they_open(person, shot):
    result, panel = made(person), person.window.workspaces["latents"]
    index = lonely(panel)
    person.click(panel.map._plot.viewport(), screen(panel, index))
    assert panel.picks.isVisible()
    distances = np.linalg.norm(result.latents - result.latents[index], axis=1)
    expected = np.argsort(distances, kind="stable")
    expected = expected[expected != index][:8]
    row = panel.picks.list
    assert [row.item(at).data(DATA) for at in range(row.count())] == expected.tolist()
    assert len(panel.map._plot._links) == 9
    shot(person.window, "window-neighbours")
    person.wait_for_scene()
    person.click(row.viewport(), row.visualItemRect(row.item(0)).center())
    split = person.store.dataset.split(SPLIT)
    opened = split.points[int(result.rows[expected[0]])][: len(person.store.cloud.points)]
    assert np.allclose(person.store.cloud.points, opened, atol=1e-6)
    person.click(person.find(QToolButton, "Close the picked clouds"))
    assert not panel.picks.isVisible()
    assert panel.map._plot._links == []


def test_a_lasso_lists_its_clouds_and_the_search_finds_some(person):
    result, panel = made(person), person.window.workspaces["latents"]
    plot = panel.map._plot.viewport()
    QTest.mouseDClick(plot, Qt.MouseButton.LeftButton, pos=plot.rect().center())
    person.wait_until(lambda: all(plot.rect().contains(screen(panel, at)) for at in range(2 * CLOUDS)), "the whole map")
    inside = plot.rect().adjusted(3, 3, -3, -3)
    corners = [inside.topLeft(), inside.topRight(), inside.bottomRight(), inside.bottomLeft()]
    shift = Qt.KeyboardModifier.ShiftModifier
    QTest.mousePress(plot, Qt.MouseButton.LeftButton, shift, corners[0])
    for corner in corners[1:]:
        move_mouse(plot, corner)
    QTest.mouseRelease(plot, Qt.MouseButton.LeftButton, shift, corners[3])
    wrong = int((result.predicted != result.labels).sum())
    assert panel.picks.title.text().startswith(
        f"In the lasso: {CLOUDS} clean, {CLOUDS} adversarial; {wrong} wrong; the first 60 are shown"
    )
    assert panel.picks.list.count() == 60
    panel.map.search.setFocus()
    QTest.keyClicks(panel.map.search, "wrong")
    assert panel.map._count.text() == f"{wrong} of {2 * CLOUDS}"
    for _ in range(2):
        QTest.keyClick(panel.map.search, Qt.Key.Key_Escape)
    assert not panel.picks.isVisible()
    assert panel.map._count.text() == ""


def test_the_star_leaves_a_trail_while_the_slider_moves(person):
    made(person)
    panel = person.window.workspaces["latents"]
    person.wait_for_scene()
    person.press_slider(0.02)
    for epsilon in (0.02, 0.1, 0.2, 0.3):
        person.drag_slider(epsilon)
    moved = len(panel.map._trail)
    person.release_slider()
    assert moved >= 2
    person.window.library.list.setCurrentIndex(person.window.library.shapes.index(1))
    person.wait_for_scene()
    assert len(panel.map._trail) <= 2, "another cloud begins anew"
