"""Models that PyTorch has written as graphs: TorchScript archives, and those of ``torch.export``."""

import io
import re
import warnings
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from torch import nn

from core.models.cards import ModelError
from core.models.importers.adapter import why
from core.models.importers.probing import probed
from core.models.importers.sources import ACCEPTED
from core.runtime.files import readable
from core.runtime.isolation import IsolatedCallError, call_isolated

_TOUCHES_FILES = re.compile(rb"\b(?:torch|aten)\.(?:from_file|save)\b|(?<![\w.])ops\.(?!prim\b|aten\b)\w+\.\w+\(")
"""Operations of a script that read or write files, and those that are not PyTorch's own."""


_MEMORY, _SECONDS = 1536 << 20, 30


@cache  # of a process that ended well
def try_script(path: Path, sha256: str, points: int) -> None:
    """Load a script and ask it, in a process of its own with limits: a damaged one can crash what reads it.

    Raises
    ------
    ModelError
        If that process crashes, or exceeds a limit.
    """
    try:
        call_isolated(ask_script, str(path), points, memory=_MEMORY, seconds=_SECONDS)
    except IsolatedCallError as error:
        raise ModelError(f"{readable(path)} can't be used as TorchScript ({error}); {ACCEPTED}.") from None


def ask_script(path: str, points: int) -> bytes:
    """What that process does; what is wrong in a sentence is said later, in this one."""
    torch.set_num_threads(1)
    with suppress(ModelError):
        probed(load_script(Path(path)), points)
    return b""


def load_script(path: Path) -> nn.Module:
    """A TorchScript model, on the CPU: a graph remembers the device that it was made on.

    What runs are the operations of its own graph, some when it is loaded; no Python.

    Raises
    ------
    ModelError
        If the file is damaged, or its operations touch files or are not PyTorch's own.
    """
    try:
        archive = _looked_through(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch advises to write other files, and reads these
            model: nn.Module = torch.jit.load(archive, map_location="cpu")
    except (ModelError, OSError):
        raise
    except Exception as error:  # of a damaged archive, many kinds
        raise ModelError(f"{readable(path)} can't be loaded as TorchScript ({why(error)}); {ACCEPTED}.") from None
    return model.eval()


def _looked_through(path: Path) -> io.BytesIO:
    """The archive of a script, written anew of what was looked at, without the notes on where each operation stood in
    its source: damaged ones made PyTorch take gigabytes for the text of an error.
    """
    checked = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(checked, "w") as plain:
        for name in archive.namelist():
            content = archive.read(name)
            if name.endswith(".py") and _TOUCHES_FILES.search(content):
                raise ModelError(
                    f"{readable(path)} has operations that touch files or are not PyTorch's own, so it is not run."
                )
            if not name.endswith(".debug_pkl"):
                plain.writestr(name, content)
    checked.seek(0)
    return checked


def load_export(path: Path) -> nn.Module:
    """A model of ``torch.export``, on the CPU; only of a file whose code may run.

    ``torch.export.load`` of PyTorch 2.13 runs what a stranger can put into such a file: symbolic sizes go through
    sympy's parser, which evaluates them as Python, operators are looked up by any dotted name below ``torch``, and
    example inputs are unpickled without limits where the safe way fails. So it is code, as a Python file is.

    Raises
    ------
    ModelError
        If the file is damaged.
    """
    try:
        with path.open("rb") as file:
            program = torch.export.load(file)
        return program.module()
    except Exception as error:  # whatever is in it
        raise ModelError(f"{readable(path)} can't be loaded as torch.export ({why(error)}); {ACCEPTED}.") from None
