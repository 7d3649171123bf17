"""Models that PyTorch has written as graphs: TorchScript archives, and those of ``torch.export``."""

import io
import re
import warnings
import zipfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.images import ImageFormat
from core.models.cards import ModelError
from core.models.importers.adapter import error_text
from core.models.importers.probing import probed
from core.models.importers.sources import ACCEPTED
from core.runtime.files import readable
from core.runtime.isolation import IsolatedCallError, call_isolated
from core.runtime.memory import out_of_memory

_TOUCHES_FILES = re.compile(rb"\b(?:torch|aten)\.(?:from_file|save)\b|(?<![\w.])ops\.(?!prim\b|aten\b)\w+\.\w+\(")
"""Operations of a script that read or write files, and those that are not PyTorch's own."""


_MEMORY, _SECONDS = 1536 << 20, 20
"""Limits of the process in which a script is tried: bytes beyond PyTorch's own, and seconds with loading it."""


@cache  # errors are not cached
def try_script(path: Path, sha256: str, points: int, image: ImageFormat | None) -> None:
    """Load and call a script in a separate process with limits, because a damaged one can crash PyTorch.

    Raises
    ------
    ModelError
        If that process crashes, or exceeds a limit.
    """
    facts = None if image is None else image.model_dump()
    try:
        call_isolated(load_and_call_script, str(path), points, facts, memory=_MEMORY, seconds=_SECONDS)
    except IsolatedCallError as error:
        raise ModelError(f"{readable(path)} can't be used as TorchScript ({error}); {ACCEPTED}.") from None


def load_and_call_script(path: str, points: int, facts: dict[str, Any] | None) -> bytes:
    """Run in that process. Errors that are reported in a sentence are ignored here: they are raised again later."""
    torch.set_num_threads(1)
    try:
        with suppress(ModelError):
            probed(load_script(Path(path)), points, image=None if facts is None else ImageFormat.model_validate(facts))
    except RuntimeError as error:
        if out_of_memory(error):
            raise MemoryError from error
        raise
    return b""


def load_script(path: Path) -> nn.Module:
    """A TorchScript model on the CPU.

    The operations of its graph run, some of them while it is loaded; no Python code runs.

    Raises
    ------
    ModelError
        If the file is damaged, or its operations touch files or are not PyTorch's own. Not if memory runs out: the
        error of that is raised as it is.
    """
    try:
        archive = _checked_archive(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # they are still read
            model: nn.Module = torch.jit.load(archive, map_location="cpu")
    except (ModelError, OSError):
        raise
    except Exception as error:  # of a damaged archive, many kinds
        if out_of_memory(error):
            raise
        raise ModelError(
            f"{readable(path)} can't be loaded as TorchScript ({error_text(error)}); {ACCEPTED}."
        ) from None
    return model.eval()


def _checked_archive(path: Path) -> io.BytesIO:
    """A copy of a script's archive whose operations were checked, without its debug information.

    Damaged debug information made PyTorch take gigabytes for the text of an error.
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
    """A model of ``torch.export`` on the CPU. Call it only for a file that a person has consented to run.

    Such a file is code, like a Python file, because ``torch.export.load`` of PyTorch 2.13 can run what is in it:
    symbolic sizes go through sympy's parser, which evaluates them as Python, operators are looked up by any dotted name
    below ``torch``, and example inputs are unpickled without limits if the safe way fails.

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
        raise ModelError(
            f"{readable(path)} can't be loaded as torch.export ({error_text(error)}); {ACCEPTED}."
        ) from None
