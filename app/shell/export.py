"""Exports: clouds, pictures, and the command line that repeats an attack."""

from __future__ import annotations

import json
import shlex
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
    """Where the scene's cloud is from, as arguments of a command; none if it is neither from a file nor the dataset."""
    source, dataset, cloud = store.source, store.dataset, scene.setup.cloud
    if source is not None:
        return [str(source.path), *source.orientation.words().split()]
    names = [] if dataset is None else list(dataset.split(SPLIT).names)
    if dataset is None or cloud.name not in names:
        return []
    known = dataset.cloud(SPLIT, names.index(cloud.name), len(cloud.points))
    if not np.array_equal(known.points, cloud.points):  # of another dataset, such as one that was measured before
        return []
    root = [] if store.data_root is None else ["--data-root", str(store.data_root)]
    orientation = dataset.card.orientation.words().split()
    return ["--dataset", dataset.card.name, *root, *orientation, "--shape", cloud.name]


def command(scene: Scene, preset: str, origin: Sequence[str]) -> str:
    """The command line that repeats the scene's attack on the cloud of ``origin``, without the preset's own options."""
    from core.attacks import preset as preset_named

    setup = scene.setup
    model = setup.models[setup.primary]
    arguments = ["pointward", "attack", *origin, "--points", str(len(setup.cloud.points)), "--seed", str(setup.seed)]
    arguments += ["--attack", preset]
    bare = model.bare or model
    arguments += ["--model", bare.name if model.path is None or model.shipped else str(model.path)]
    if model.defense:
        arguments += ["--defense", model.defense]
    usual = preset_named(preset).model_dump()
    for name, value in setup.attack.at(scene.epsilon).model_dump(exclude_none=True).items():
        if name == "epsilon" or value != usual[name]:
            word = name.replace("_", "-")
            arguments += [f"--{'' if value else 'no-'}{word}"] if isinstance(value, bool) else [f"--{word}", str(value)]
    if setup.cloud.label is not None:
        arguments += ["--true-class", setup.classes[setup.cloud.label]]
    if setup.target is not None:
        arguments += ["--target", setup.classes[setup.target]]
    return shlex.join(arguments)
