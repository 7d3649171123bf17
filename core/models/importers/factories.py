"""Models that a function or class in a Python file makes; the file runs only if a person has consented to it."""

import ast
import sys
from contextlib import redirect_stdout
from pathlib import Path

from torch import nn

from core.models.cards import ModelError
from core.models.importers.adapter import error_text
from core.models.importers.needs import NeededError
from core.models.importers.private import PrivateModules
from core.models.importers.sources import source_text
from core.runtime.files import readable


def factory_of(path: Path, name: str) -> str:
    """The function or class that makes the model: ``name``, or the only one in the file. Nothing in the file is run.

    Raises
    ------
    NeededError
        If no name is given and the file has several.
    ModelError, FormatError
        If the file is not Python, or has none.
    """
    if name:
        return name
    found = candidates(path)
    if not found:
        raise ModelError(f"{readable(path)} has no function or class that makes a model without arguments; add one.")
    if len(found) > 1:
        names = ", ".join(found[:8])
        raise NeededError("factory", f"{readable(path.name)} has several: write {path.name}:NAME, of {names}.", found)
    return found[0]


def candidates(path: Path) -> tuple[str, ...]:
    """Functions, and classes with a base, at the top of a Python file that can be called without arguments."""
    try:
        body = ast.parse(source_text(path)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ModelError(f"{readable(path)} is not a Python file that can be read.") from None
    return tuple(
        part.name
        for part in body
        if isinstance(part, ast.FunctionDef | ast.ClassDef)
        and not part.name.startswith("_")
        and _takes_no_argument(part)
    )


def _takes_no_argument(part: ast.FunctionDef | ast.ClassDef) -> bool:
    if isinstance(part, ast.ClassDef):
        init = next((each for each in part.body if isinstance(each, ast.FunctionDef) and each.name == "__init__"), None)
        return bool(part.bases) and (init is None or _required_arguments(init) <= 1)
    return _required_arguments(part) == 0


def _required_arguments(function: ast.FunctionDef) -> int:
    """Number of arguments without a default."""
    arguments = function.args
    without = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return without + sum(default is None for default in arguments.kw_defaults)


def make_model(path: Path, factory: str) -> nn.Module:
    """Run a trusted Python file and make its model. Its modules stay private to it.

    Raises
    ------
    ModelError
        If its code fails, or makes no ``nn.Module``.
    """
    modules = PrivateModules(path.resolve().parent)
    try:
        with modules.loading(), redirect_stdout(sys.stderr):  # standard output is for results
            model = getattr(modules.module(path.stem), factory)()
    except (Exception, SystemExit) as error:
        raise ModelError(f"{readable(path)}:{factory} made no model ({error_text(error)}).") from None
    if not isinstance(model, nn.Module):
        raise ModelError(f"{readable(path)}:{factory} made a {type(model).__name__}, and an nn.Module is needed.")
    return model.float().eval().requires_grad_(False)
