"""Saved preferences and window layouts, and how bad values are replaced."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PySide6.QtCore import QByteArray, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtWidgets import QLabel, QMainWindow, QSplitter

from app.shell import settings


def make_window(qtbot):
    window = QMainWindow()
    qtbot.addWidget(window)
    splitter = QSplitter(Qt.Orientation.Horizontal)
    splitter.setObjectName("main")
    splitter.addWidget(QLabel("left"))
    splitter.addWidget(QLabel("right"))
    window.setCentralWidget(splitter)
    return window, splitter


def test_that_a_first_start_has_the_defaults():
    assert settings.load() == settings.Preferences()


def test_that_saved_preferences_are_loaded_again():
    settings.save(theme="light", library_width=300, all_classes=True)
    assert settings.load() == settings.Preferences(theme="light", library_width=300, all_classes=True)


def test_that_a_value_outside_its_limits_is_refused_and_nothing_is_saved():
    with pytest.raises(ValueError, match="library_width"):
        settings.save(theme="light", library_width=-3)
    assert settings.load() == settings.Preferences()


@pytest.mark.parametrize("bad_value", ["", "{", "NaN", "null", '"purple"', ["a", "b"], 17, QByteArray(b"\xff\x00")])
def test_that_one_bad_value_is_removed_and_the_others_are_kept(bad_value, caplog):
    settings.save(theme="dark", library_width=300, folder="pgd")
    settings.create().setValue("library_width", bad_value)
    assert settings.load() == settings.Preferences(theme="dark", folder="pgd")
    assert "library width was unusable" in caplog.text
    assert not settings.create().contains("library_width")


@hypothesis_settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from([*settings.Preferences.model_fields, "unknown"]), st.text(max_size=20)))
def test_that_no_content_of_the_file_stops_the_program(content):
    settings.create().clear()
    for name, text in content.items():
        settings.create().setValue(name, text)
    settings.load()


def test_that_a_file_of_random_bytes_gives_the_defaults():
    Path(settings.create().fileName()).write_bytes(bytes(range(256)) * 20)
    assert settings.load() == settings.Preferences()


def test_that_recent_files_are_newest_first_without_repeats_and_at_most_ten(tmp_path):
    for index in range(12):
        settings.add_recent(tmp_path / f"shape {index}, ü.ply")
    settings.add_recent(tmp_path / "shape 7, ü.ply")
    names = [path.rsplit("/", 1)[-1] for path in settings.load().recent]
    assert len(names) == settings.MAX_RECENT
    assert names[:3] == ["shape 7, ü.ply", "shape 11, ü.ply", "shape 10, ü.ply"]
    assert settings.load().folder == str(tmp_path)


def test_that_each_kind_of_export_has_its_folder_while_that_exists(tmp_path):
    for name in ("clouds", "figures", "files"):
        (tmp_path / name).mkdir()
    assert settings.export_folder("figure") == ""
    settings.add_recent(tmp_path / "files" / "chair.ply")
    settings.save_export_folder("cloud", tmp_path / "clouds")
    settings.save_export_folder("figure", tmp_path / "figures")
    folders = [settings.export_folder(kind) for kind in ("cloud", "figure", "table")]
    assert folders == [str(tmp_path / name) for name in ("clouds", "figures", "files")]
    (tmp_path / "figures").rmdir()
    assert settings.export_folder("figure") == str(tmp_path / "files")
    (tmp_path / "files").rmdir()
    assert settings.export_folder("figure") == ""
    assert settings.export_folder("cloud") == str(tmp_path / "clouds")


def test_that_geometry_and_splitter_of_the_window_are_restored(qtbot):
    window, splitter = make_window(qtbot)
    window.setGeometry(40, 50, 500, 300)
    window.show()
    splitter.setSizes([100, 390])
    settings.save_window(window)
    other, other_splitter = make_window(qtbot)
    settings.restore_window(other)
    other.show()
    assert other.geometry() == window.geometry()
    assert other_splitter.sizes() == splitter.sizes()


def test_that_a_window_outside_of_all_screens_is_moved_onto_one(qtbot):
    window, _ = make_window(qtbot)
    window.setGeometry(9000, 7000, 5000, 4000)
    settings.save_window(window)
    settings.restore_window(window)
    assert QGuiApplication.primaryScreen().availableGeometry().contains(window.geometry())


def test_that_a_maximised_window_is_maximised_again(qtbot):
    window, _ = make_window(qtbot)
    window.setGeometry(40, 50, 500, 300)
    window.showMaximized()
    settings.save_window(window)
    other, _ = make_window(qtbot)
    settings.restore_window(other)
    other.show()
    assert other.isMaximized()
    other.showNormal()
    assert other.size().width() == 500, "and has the size from before"


@pytest.mark.parametrize("version", [settings.LAYOUT_VERSION - 1, settings.LAYOUT_VERSION + 1])
def test_that_the_layout_of_another_version_of_the_program_is_ignored_without_a_message(
    qtbot, monkeypatch, caplog, version
):
    window, splitter = make_window(qtbot)
    bar = window.addToolBar("tools")
    bar.setObjectName("tools")
    window.resize(500, 300)
    window.show()
    splitter.setSizes([100, 390])
    bar.hide()
    with monkeypatch.context() as patch:
        patch.setattr(settings, "LAYOUT_VERSION", version)
        settings.save_window(window)
    splitter.setSizes([245, 245])
    bar.show()
    settings.restore_window(window)
    left, right = splitter.sizes()
    assert left == pytest.approx(right, abs=2)
    assert bar.isVisible()
    assert not caplog.records


def test_that_a_broken_saved_layout_is_ignored(qtbot):
    window, _ = make_window(qtbot)
    window.setGeometry(40, 50, 500, 300)
    for key in ("window/geometry", "window/state", "window/splitters-1/main"):
        settings.create().setValue(key, "bad_value")
    settings.restore_window(window)
    assert window.size().width() == 500


def test_that_a_cleared_layout_is_not_restored(qtbot):
    window, _ = make_window(qtbot)
    settings.save_window(window)
    settings.clear_window()
    assert not [key for key in settings.create().allKeys() if key.startswith("window")]


def test_that_folders_follow_the_desktops_standard(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert settings.cache_dir() == tmp_path / "cache" / "pointward"
    assert settings.data_dir() == tmp_path / "data" / "pointward"
    assert settings.runs_dir() == tmp_path / "data" / "pointward" / "runs"
    assert not (tmp_path / "data").exists()
