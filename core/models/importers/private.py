"""Loads the Python modules of another project's folder, separate from all other modules of this process.

Code of other projects has packages called ``core``, ``models`` or ``utils``. Its modules are loaded under a private
package, and their imports find the modules of their folder first, also imports that run later. No module of this
program is touched, so that threads that import at the same moment are not affected.
"""

import builtins
import importlib
import itertools
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

_numbers = itertools.count(1)


class PrivateModules(MetaPathFinder):
    """The modules of a folder and of what its code adds to ``sys.path`` while it is loaded."""

    def __init__(self, folder: Path) -> None:
        self._root = ModuleType(f"private_modules_{next(_numbers)}")
        self._root.__path__ = [str(folder)]
        self._path_before: list[str] | None = None
        """``sys.path`` before the folder's code changed it; None except inside ``loading``."""
        self._builtins = vars(builtins) | {"__import__": self._import}
        sys.modules[self._root.__name__] = self._root
        sys.meta_path.insert(0, self)  # before the usual finders, which would find them in the same folder

    @contextmanager
    def loading(self) -> Iterator[None]:
        """Inside, the folder's code may add to ``sys.path``; after it, only these modules search what was added."""
        before = self._path_before = list(sys.path)
        try:
            yield
        finally:
            self._take_over_path()
            sys.path[:], self._path_before = before, None

    def module(self, name: str) -> ModuleType:
        """The module of this name in the folder; raises whatever its code raises."""
        return importlib.import_module(f"{self._root.__name__}.{name}")

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{self._root.__name__}."):
            return None
        loaders = (
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (partial(_Loader, self._builtins), SOURCE_SUFFIXES),
        )
        for entry in path or ():
            spec = FileFinder(entry, *loaders).find_spec(fullname)  # type: ignore[arg-type]
            if spec is not None and (spec.loader is not None or _has_code(spec)):
                return spec
        return None

    def _import(
        self,
        name: str,
        globals: Mapping[str, Any] | None = None,
        locals: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        """The ``import`` statement of these modules."""
        top, root = name.partition(".")[0], self._root.__name__
        self._take_over_path()
        if level == 0 and self.find_spec(f"{root}.{top}", self._root.__path__) is not None:
            module = builtins.__import__(f"{root}.{name}", globals, locals, fromlist or (), 0)
            return module if fromlist else sys.modules[f"{root}.{top}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _take_over_path(self) -> None:
        if self._path_before is not None:
            known = {*self._path_before, *self._root.__path__}
            self._root.__path__ += [entry for entry in sys.path if entry not in known]


class _Loader(SourceFileLoader):
    """Compiles a module from its source; cached bytecode beside it may hold other code than the person has read."""

    def __init__(self, names: dict[str, Any], fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._names = names

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        return self.source_to_code(self.get_data(path), path)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._names
        super().exec_module(module)


def _has_code(spec: ModuleSpec) -> bool:
    """Whether a folder without ``__init__.py`` has modules, and is not a data folder that happens to have the name."""
    folders = map(Path, spec.submodule_search_locations or ())
    return any(next(folder.glob(pattern), None) for folder in folders for pattern in ("*.py", "*/*.py"))
