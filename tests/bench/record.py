"""The file of results: of each comparison the medians, quartiles and ratios, and the machine they were measured on."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from core.models.fast.peaks import int8_instructions

GPU = "ours, GPU"
"""The contender that has a column of its own: ours on a GPU, where there is one."""

Comparison = dict[str, Any]
Notes = dict[str, dict[str, float]]


def compared(
    what: str,
    samples: Mapping[str, Sequence[float]],
    unit: str,
    allocator: str,
    bars: Mapping[str, str],
) -> Comparison:
    """What the file keeps of a comparison; ratios are those of a peer's sample to ours of the same round."""
    (ours, first), *peers = samples.items()
    return {
        "what": what,
        "allocator": allocator,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "threads": torch.get_num_threads(),
        "ours": ours,
        "unit": unit,
        "samples": {name: spread(values) for name, values in samples.items()},
        "ratios": {name: spread(np.divide(values, first).tolist()) for name, values in peers},
        "bars": dict(bars),
        "notes": {},
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles, 95th percentile and number of samples."""
    low, median, high, p95 = np.percentile(values, (25, 50, 75, 95)).tolist()
    return {"median": median, "low": low, "high": high, "p95": p95, "n": len(values)}


def machine() -> dict[str, Any]:
    """All that must be the same for results to stand in one file."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return {
        "cpu": next(names, platform.processor()),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "maxima_by": f"bytes ({instructions})" if (instructions := int8_instructions()) else "all products",
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
    }


def merge(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Add to a file of results, in place of older ones of the same comparison; those of another machine are dropped."""
    here, kept = machine(), {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["machine"] == here:
            kept = {_key(old): old for old in before["comparisons"]}
    kept |= {_key(new): new for new in comparisons}
    path.write_text(json.dumps({"machine": here, "comparisons": [*kept.values()]}, indent=1), encoding="utf-8")


def _key(comparison: Comparison) -> tuple[str, str]:
    return comparison["what"], comparison["allocator"]
