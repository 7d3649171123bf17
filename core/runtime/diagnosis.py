"""A description of this installation and of its problems, for bug reports, in the commands and the window."""

import platform
import sys
from pathlib import Path
from typing import Any

from core.results.records import versions

PACKAGES = (
    "torch", "numpy", "scipy", "scikit-learn", "openTSNE", "open3d-cpu", "open3d", "PySide6-Essentials", "pyqtgraph",
    "PyOpenGL", "lightning-fabric", "safetensors", "pydantic", "matplotlib",
)  # fmt: skip


def diagnose(cache: Path) -> dict[str, Any]:
    """Versions, devices, threads, the shipped models (each checked by its checksum), folders, and problems found."""
    from core.models.checkpoints import builtin_models, load_model
    from core.models.fast.peaks import int8_instructions
    from core.runtime.devices import available_devices, choose_device, describe_device
    from core.runtime.threads import describe_threads

    installed = versions(("pointward", *PACKAGES))
    problems, models, paths = [], {}, dict[str, Path]()
    try:
        paths = builtin_models(zoo=True)
    except ValueError as error:
        problems.append(str(error))
    for name, path in paths.items():
        try:
            models[name] = load_model(path).sha256[:12]
        except ValueError as error:
            problems.append(str(error))
    if not models:
        problems.append("No built-in model is installed: resources/weights is missing or empty.")
    return {
        "pointward": installed.pop("pointward", "not installed, run from its source"),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "devices": available_devices(),
        "device": describe_device(choose_device("auto")),
        "threads": describe_threads(),
        "maxima_by_bytes": int8_instructions() or "no",
        "models": models,
        "cache": str(cache),
        "versions": installed,
        "problems": problems,
    }
