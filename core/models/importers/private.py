"""Python modules of a folder of somebody else's, kept apart from all others of this process.

Code of other projects brings packages called ``core``, ``models`` or ``utils``. Its modules are loaded under a package
of their own, and each of them finds those of its folder before all others, also when it imports something later. No
module of the program is touched meanwhile, so threads that import at the same moment see nothing of it.
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
        self._path_before = list(sys.path)
        self._builtins = vars(builtins) | {"__import__": self._import}
        sys.modules[self._root.__name__] = self._root
        sys.meta_path.insert(0, self)  # before the usual finders, which would find them in the same folder

    @contextmanager
    def loading(self) -> Iterator[None]:
        """While their code runs first: what it adds to ``sys.path`` is searched for it alone, and taken away there."""
        try:
            yield
        finally:
            self._take_over_path()
            sys.path[:] = self._path_before

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
        """What ``import`` means in these modules."""
        top, root = name.partition(".")[0], self._root.__name__
        self._take_over_path()
        if level == 0 and self.find_spec(f"{root}.{top}", self._root.__path__) is not None:
            module = builtins.__import__(f"{root}.{name}", globals, locals, fromlist or (), 0)
            return module if fromlist else sys.modules[f"{root}.{top}"]
        return builtins.__import__(name, globals, locals, fromlist or (), level)

    def _take_over_path(self) -> None:
        known = {*self._path_before, *self._root.__path__}
        self._root.__path__ += [entry for entry in sys.path if entry not in known]


class _Loader(SourceFileLoader):
    """Runs the text of a module as it is in its file: compiled files beside it may hold other code than is shown."""

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
    """Whether a folder without ``__init__.py`` is one of modules, and not of data that happens to have their name."""
    folders = map(Path, spec.submodule_search_locations or ())
    return any(next(folder.glob(pattern), None) for folder in folders for pattern in ("*.py", "*/*.py"))
