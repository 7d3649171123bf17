"""pytest plugin: Qt and all that needs it cannot be imported, as on a machine without a screen."""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

BLOCKED = ("PySide6", "shiboken6", "pyqtgraph", "superqt", "app")


class _Blocker(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"{name} is out of bounds for core and its tests", name=name)


sys.meta_path.insert(0, _Blocker())
