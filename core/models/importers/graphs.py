"""Models that PyTorch has written as graphs: TorchScript archives, and those of ``torch.export``."""

import re
import warnings
import zipfile
from pathlib import Path

import torch
from torch import nn

from core.models.cards import ModelError
from core.models.importers.adapter import why
from core.models.importers.sources import ACCEPTED
from core.runtime.files import readable

_TOUCHES_FILES = re.compile(rb"\b(?:torch|aten)\.(?:from_file|save)\b|(?<![\w.])ops\.(?!prim\b|aten\b)\w+\.\w+\(")
"""Operations of a script that read or write files, and those that are not PyTorch's own."""


def load_script(path: Path) -> nn.Module:
    """A TorchScript model, on the CPU: a graph remembers the device that it was made on.

    What runs are the operations of its own graph, some when it is loaded; no Python.

    Raises
    ------
    ModelError
        If the file is damaged, or its operations touch files or are not PyTorch's own.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            code = [archive.read(name) for name in archive.namelist() if name.endswith(".py")]
        if any(_TOUCHES_FILES.search(text) for text in code):
            raise ModelError(
                f"{readable(path)} has operations that touch files or are not PyTorch's own, so it is not run."
            )
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore", DeprecationWarning)  # PyTorch advises to write other files, and reads these
            model: nn.Module = torch.jit.load(file, map_location="cpu")
    except (RuntimeError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ModelError(f"{readable(path)} can't be loaded as TorchScript ({why(error)}); {ACCEPTED}.") from None
    return model.eval()


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
