"""Exports: clouds, pictures, and command lines that repeat what the window does."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QFileDialog, QWidget

from app.shell import settings
from app.shell.notify import ask
from app.store import SPLIT
from core.runtime.files import atomic_path

if TYPE_CHECKING:
    from app.store import FileSource, Store
    from core.figures.clouds import Up
    from core.live import Scene


PICTURES = {
    "Picture as on the screen (*.png)": 1,
    "Picture twice as large (*.png)": 2,
    "Picture three times as large (*.png)": 3,
    "Picture four times as large (*.png)": 4,
}
"""Filter of the dialog -> how many times as large as on the screen."""
FIGURE = "Figure with all confidences (*.pdf *.svg *.png)"


def export_clouds(parent: QWidget, scene: Scene, source: FileSource | None = None) -> str | None:
    """Ask for a file; write the adversarial cloud there and the clean one beside it, in the frame of the models.

    ``source`` is the file that the clean cloud was read from.

    Returns a message, None if the person cancelled.

    Raises
    ------
    OSError, ValueError
        If a file cannot be written, or its extension is not that of a cloud format.
    """
    from core.clouds.files import write_cloud
    from core.results.records import write_provenance

    title = "Export adversarial cloud"
    path, _ = _ask_for_path(parent, title, "adversarial.ply", "Clouds (*.ply *.xyz *.npy *.npz)")
    if path is None:
        return None
    clean = path.with_stem(f"{path.stem}-clean")
    if clean.exists() and not ask(parent, f"Replace {clean.name}?", "The clean cloud goes there.", "Replace", "Keep"):
        return None
    cloud = scene.setup.cloud
    centre, radius = cloud.centre, cloud.radius
    write_cloud(path, scene.points, displacement=scene.displacement, centre=centre, radius=radius)
    write_cloud(clean, cloud.points, centre=centre, radius=radius)
    origin: dict[str, Any] = {}
    if source is not None:
        origin = {"file": str(source.path), "up": source.orientation.up, "turn": source.orientation.turn}
    for written, which in ((path, "adversarial"), (clean, "clean")):
        write_provenance(written, scene.provenance(which=which, **origin))
    settings.save_export_folder(title, path.parent)
    return f"Saved {path.name} and {clean.name} in {path.parent}."


def export_picture(parent: QWidget, picture: Callable[[float], QImage], scene: Scene | None, up: Up) -> str | None:
    """Ask for a file; save a PNG of both clouds, or a PDF or SVG figure of them and all confidences.

    ``picture`` returns what is on the screen so many times as large; the filter of the dialog says how large.

    Returns a message, None if the person cancelled.

    Raises
    ------
    OSError, ValueError
        If the file cannot be written, or there is no scene to draw.
    """

    from core.figures import check_ending
    from core.results.records import plain

    title, filters = "Export picture", (*PICTURES, FIGURE)
    path, chosen = _ask_for_path(parent, title, "pair.png", ";;".join(filters))
    if path is None:
        return None
    check_ending(path)
    if path.suffix.lower() != ".png" or chosen == FIGURE:
        _draw(scene, up, path)
        return _saved(title, path)
    image = _drawn(picture(PICTURES.get(chosen, 1)))
    if scene is not None:
        image.setText("Title", scene.caption)
        image.setText("Description", json.dumps(plain(scene.provenance())))
    with atomic_path(path) as partial_path:
        if not image.save(str(partial_path)):
            raise ValueError(f"{path} could not be written. Check the folder, its permissions and the free space.")
    return _saved(title, path)


def copy_picture(picture: QImage) -> str:
    """Put a picture of both clouds on the clipboard. Returns a message.

    Raises
    ------
    ValueError
        If it is null, because there is no OpenGL.
    """
    QGuiApplication.clipboard().setImage(_drawn(picture))
    return "Copied the picture of both shapes."


def _drawn(picture: QImage) -> QImage:
    if picture.isNull():
        raise ValueError("There is no picture: this display offers no OpenGL 2.1, so it draws no shapes.")
    return picture


def _draw(scene: Scene | None, up: Up, path: Path) -> None:
    from core.figures import sample_bars, save

    if scene is None:
        raise ValueError("There is no attack to draw yet: open a shape and a model first.")
    setup = scene.setup
    confidences = np.stack([scene.clean_confidence, scene.adversarial_confidence], axis=1)
    models = [model.card.title for model in setup.models]
    clouds = setup.cloud.points, scene.points
    figure = sample_bars(clouds, confidences, models, setup.classes, setup.cloud.label, up)
    save(figure, path, scene.provenance(), scene.caption)


def save_as(parent: QWidget, title: str, name: str, name_filter: str, write: Callable[[Path], None]) -> str | None:
    """Ask for a file, with ``name`` suggested, and call ``write`` with its path.

    Exports of one ``title`` are of one kind: the next is offered in the folder of the last.

    Returns a message, None if the person cancelled.

    Raises
    ------
    OSError, ValueError
        Those of ``write``.
    """
    path, _ = _ask_for_path(parent, title, name, name_filter)
    if path is None:
        return None
    write(path)
    return _saved(title, path)


def _ask_for_path(parent: QWidget, title: str, name: str, name_filter: str) -> tuple[Path | None, str]:
    """Open a save dialog in the folder of the last export of this title.

    Returns path and chosen filter; None for the path if the person cancelled.
    """
    place = str(Path(settings.export_folder(title), name))
    chosen, chosen_filter = QFileDialog.getSaveFileName(parent, title, place, name_filter)
    return Path(chosen) if chosen else None, chosen_filter


def _saved(title: str, path: Path) -> str:
    """Note the folder of an export, and say where it is."""
    settings.save_export_folder(title, path.parent)
    return f"Saved {path}."


def origin(scene: Scene, store: Store) -> list[str]:
    """Where the scene's cloud is from, as arguments of a command; none if it is neither from a file nor the dataset.

    Raises
    ------
    ValueError
        If the dataset is turned otherwise than a command would turn it.
    """
    from core.commands.words import dataset_words

    source, dataset, cloud = store.source, store.dataset, scene.setup.cloud
    if source is not None:
        return [str(source.path), *source.orientation.words().split()]
    names = [] if dataset is None else list(dataset.split(SPLIT).names)
    if dataset is None or cloud.name not in names:
        return []
    known = dataset.cloud(SPLIT, names.index(cloud.name), len(cloud.points))
    if not np.array_equal(known.points, cloud.points):  # of another dataset, such as one that was measured before
        return []
    model = scene.setup.models[scene.setup.primary]
    return [*dataset_words(dataset.card, store.data_root, model.card), "--shape", cloud.name]


def copy_command(store: Store) -> str:
    """Put the command line that repeats the attack of the scene on the clipboard; see ``copy_lines``."""
    from core.commands.words import attack_line

    def lines() -> list[str]:
        scene, attack = store.scene, store.attack
        assert scene is not None
        if attack is None or scene.setup.attack.at(0.0) != attack.at(0.0):
            raise ValueError("Another attack was just chosen: copy the command once its result is shown.")
        if scene.setup.made_elsewhere:
            raise ValueError("This cloud was made elsewhere: make its attack here (Run to end), then copy the command.")
        found = origin(scene, store)
        if not found:
            raise ValueError(
                "This shape is neither a file nor in the library: export it (Ctrl+S), open it, then copy the command."
            )
        return [attack_line(scene, store.preset, found)]

    return copy_lines(lines)


def copy_lines(lines: Callable[[], Sequence[str]], left_out: str = "") -> str:
    """Put command lines on the clipboard, each for one model if there are several. Returns a message.

    ``lines`` may raise ``ValueError``, whose text is the message; ``left_out`` says what the commands do not do.
    """
    try:
        made = lines()
    except ValueError as error:
        return str(error)
    QGuiApplication.clipboard().setText("\n".join(made))
    what = "The command is" if len(made) == 1 else f"{len(made)} commands, one for each model, are"
    return f"{what} on the clipboard{left_out}."
