"""What a command line says is checked before any work: names, files that are read, files and folders that are written.

Each is a validator of cyclopts, which turns a ``ValueError`` into an error of the command line.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from cyclopts import Parameter

from core.attacks import PRESETS
from core.clouds.files import WRITABLE
from core.commands.console import UsageError
from core.datasets import REGISTRY
from core.defenses import names
from core.evaluation.auto import AUTO
from core.models.checkpoints import builtin_models
from core.models.importers import imported_models, split_factory
from core.runtime.devices import DeviceName, choose_device
from core.runtime.files import FormatError

FIGURES = (".pdf", ".png", ".svg")
"""Endings that ``core.figures`` can write, without the half second that it takes to be imported."""


def check_attack(name: str) -> None:
    """It is the name of a preset."""
    if name not in (*PRESETS, AUTO):
        raise ValueError(f"There is no such attack; there are {', '.join((AUTO, *PRESETS))}.")


def check_dataset(name: str) -> None:
    """It is the name of a dataset."""
    if name not in REGISTRY:
        raise ValueError(f"There is no such dataset; there are {', '.join(REGISTRY)}.")


def is_model(name: str) -> bool:
    """Whether it is a built-in or imported model, or a file or folder that is there."""
    return name in builtin_models() | imported_models() or _is_there(name)


def check_model(name: str) -> None:
    """It is a model, maybe behind a defence: "modelnet16-pgd+sor"."""
    try:
        model, defense = names.split(name, is_model)
        known = is_model(model)
    except FormatError:  # of the installation, not of the command line: the command itself will say so
        return
    if not known:
        choices = ", ".join(builtin_models())
        raise ValueError(f"There is no such model; give {choices}, one of `pointward models`, or a path.")
    if defense:
        names.parse(defense)


def check_source(name: str) -> None:
    """It is a file that is there, or FILE.py:FACTORY."""
    if not _is_there(name):
        raise ValueError(f"There is no file {name}.")


def _is_there(name: str) -> bool:
    return os.path.exists(split_factory(Path(name).expanduser())[0])


def check_device(name: DeviceName) -> None:
    """PyTorch can use it here."""
    choose_device(name)


def check_there(path: Path) -> None:
    """A file or folder that is to be read is there."""
    if not path.exists():
        raise ValueError(f"There is no file or folder {path}.")


def check_folder(path: Path) -> None:
    """A folder can be written in, or can be made where it is not there. It is left as it is."""
    place = path
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise ValueError(f"{place} is not a folder.")
    try:
        with TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise ValueError(f"Nothing can be written in {place}: {error.strerror}.") from None


def check_new_folder(path: Path) -> None:
    """A folder that is to be made is empty or not there yet, and can be written in."""
    check_folder(path)
    if path.is_dir() and any(not name.startswith(".") for name in os.listdir(path)):
        raise ValueError(f"{path} exists already: choose another folder, or resume the run in it.")


def check_figure(path: Path) -> None:
    """A picture can be written under this name."""
    _check_ending(path, FIGURES)
    _check_file(path)


def check_table(path: Path) -> None:
    """A CSV file can be written under this name."""
    _check_ending(path, (".csv",))
    _check_file(path)


def check_cloud(path: Path) -> None:
    """A cloud can be written under this name."""
    _check_ending(path, WRITABLE)
    _check_file(path)


def validated(check: Callable[[Any], object], **parameter: Any) -> Parameter:
    """A parameter whose value passes a check, where one is given."""

    def validate(_: Any, value: Any) -> None:
        if value is not None:
            with _explained():
                check(value)

    return Parameter(validator=validate, **parameter)


def require(check: Callable[[Any], None], value: Any) -> None:
    """Check what cyclopts' validators are not asked of: several parameters together, each value of many.

    Raises
    ------
    UsageError
        If it does not pass.
    """
    try:
        with _explained():
            check(value)
    except ValueError as error:
        raise UsageError(str(error)) from None


@contextmanager
def _explained() -> Iterator[None]:
    """What the system refuses is a ``ValueError`` too."""
    try:
        yield
    except OSError as error:
        raise ValueError(f"{error.filename}: {error.strerror}.") from None


def _check_ending(path: Path, endings: Iterable[str]) -> None:
    if path.suffix.lower() not in endings:
        raise ValueError(f"A name that ends in {' or '.join(endings)} is needed.")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise ValueError("It is a folder, and a file is needed.")
    check_folder(path.parent)
