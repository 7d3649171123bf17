"""Checks of a command line before any work: of names, of files to read, and of files and folders to write.

``validated`` makes each a validator of cyclopts, which turns a ``ValueError`` into an error of the command line.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from cyclopts import Parameter

from core.attacks import PRESETS
from core.attacks.scale import DIAMETER, RADII
from core.clouds.files import WRITABLE
from core.commands.console import UsageError
from core.datasets import REGISTRY
from core.defenses import names
from core.evaluation.auto import AUTO, AnyAttack
from core.models.checkpoints import builtin_models
from core.models.importers import imported_models, split_factory
from core.runtime.devices import DeviceName, choose_device
from core.runtime.files import FormatError

FIGURES = (".pdf", ".png", ".svg")
"""Endings that ``core.figures`` can write; repeated here because importing it takes half a second."""


def check_attack(name: str) -> None:
    """It is the name of a preset."""
    if name not in (*PRESETS, AUTO):
        close = "".join(f" Did you mean {match}?" for match in get_close_matches(name, (AUTO, *PRESETS), 1))
        raise ValueError(f"There is no such attack.{close} There are {', '.join((AUTO, *PRESETS))}.")


def check_radii(attack: AnyAttack) -> None:
    """The epsilon of an attack on clouds is at most the unit sphere's diameter, if it is a distance."""
    if attack.epsilon_scale == RADII and attack.epsilon > DIAMETER:
        raise ValueError(
            f"epsilon: input should be less than or equal to {DIAMETER:g} for clouds (got {attack.epsilon:g})."
        )


def check_dataset(name: str) -> None:
    """It is the name of a dataset."""
    if name not in REGISTRY:
        raise ValueError(f"There is no such dataset; there are {', '.join(REGISTRY)}.")


def check_root(name: str, root: Path | None) -> None:
    """A dataset that needs files has a root, and a built-in one has none.

    Raises
    ------
    UsageError
    """
    spec = REGISTRY.get(name)
    if spec is not None and spec.needs_root and root is None:
        raise UsageError(f"{name} needs --data-root; accepted are {spec.accepted}.")
    if spec is not None and root is not None and not spec.needs_root:
        raise UsageError(f"{name} is built in and takes no --data-root.")


def is_model(name: str) -> bool:
    """Whether it is a built-in or imported model, or an existing file or folder."""
    return name in builtin_models(zoo=True) | imported_models() or _source_exists(name)


def check_model(name: str) -> None:
    """It is a model, with or without a defence after its name, as in "modelnet16-pgd+sor"."""
    try:
        model, defense = names.split(name, is_model)
        known = is_model(model)
    except FormatError:  # the installation is damaged, not the command line wrong: the command itself reports it
        return
    if not known:
        choices = ", ".join(builtin_models())
        raise ValueError(f"There is no such model; give {choices}, one of `pointward models`, or a path.")
    if defense:
        names.parse(defense)


def check_source(name: str) -> None:
    """It is an existing file, or FILE.py:FACTORY with an existing file."""
    if not _source_exists(name):
        raise ValueError(f"There is no file {name}.")


def _source_exists(name: str) -> bool:
    return os.path.exists(split_factory(Path(name).expanduser())[0])


def check_device(name: DeviceName) -> None:
    """PyTorch can use it here."""
    choose_device(name)


def check_exists(path: Path) -> None:
    """A file or folder to read exists."""
    if not path.exists():
        raise ValueError(f"There is no file or folder {path}.")


def check_folder(path: Path) -> None:
    """A folder is writable or, if it does not exist, can be made. Nothing in it is changed."""
    existing = path
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if not existing.is_dir():
        raise ValueError(f"{existing} is not a folder.")
    try:
        with TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ValueError(f"Nothing can be written in {existing}: {error.strerror}.") from None


def check_new_folder(path: Path) -> None:
    """A folder for new results is empty or does not exist yet, and is writable."""
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
    """A parameter whose value is checked, unless it is None."""

    def validate(_: Any, value: Any) -> None:
        if value is not None:
            with _os_error_as_value_error():
                check(value)

    return Parameter(validator=validate, **parameter)


def require(check: Callable[[Any], None], value: Any) -> None:
    """Run a check inside a command, where the parameters are known together or a parameter has many values.

    Raises
    ------
    UsageError
        If the check fails.
    """
    try:
        with _os_error_as_value_error():
            check(value)
    except ValueError as error:
        raise UsageError(str(error)) from None


@contextmanager
def _os_error_as_value_error() -> Iterator[None]:
    """Turn an ``OSError``, such as a missing permission, into a ``ValueError``."""
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
