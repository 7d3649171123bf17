"""Results on disk, each with what is needed to make it again: JSON, JSON lines, CSV and NPZ.

A file is either whole or absent: it is written beside its place and moved there. JSON lines are the exception, for
they grow while work goes on: a kill can tear the last line, which reading forgives and the next append repairs.
JSON has no NaN and no infinity; both are written as null. In CSV they are an empty cell and ``inf``.
"""

import csv
import hashlib
import json
import math
import os
import platform
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from core.options import explain
from core.runtime.files import FormatError, atomic_path, naming, read_whole, readable, require_regular_file
from core.runtime.text import spreadsheet_text

T = TypeVar("T")

MOST_BYTES = 1 << 24
"""Largest JSON file that is read; the metrics of the longest training are smaller."""
MOST_RECORD_BYTES = 1 << 20
"""Largest single record; listing the errors of a longer one would take minutes."""

PACKAGES = ("pointward", "numpy", "scipy", "torch", "scikit-learn", "openTSNE", "matplotlib", "open3d-cpu", "open3d")


def provenance(
    options: BaseModel | Mapping[str, Any],
    *,
    seed: int | None = None,
    dataset: str | None = None,
    weights: str | Mapping[str, str] | None = None,
    device: str = "cpu",
    complete: bool = True,
) -> dict[str, Any]:
    """How a result was made.

    Parameters
    ----------
    options : Options or mapping
        Every option of the operation.
    seed : int, optional
    dataset : str, optional
        Fingerprint of the dataset.
    weights : str or mapping, optional
        Hash of the weights, or one for each model's name.
    device : str
        Where it was computed.
    complete : bool
        False if the work was stopped early.

    Returns
    -------
    dict
        The arguments, and the versions of Python and of the installed packages that compute, the platform, and the
        time (UTC, ISO 8601).
    """
    return {
        "options": plain(options),
        "seed": seed,
        "dataset": dataset,
        "weights": plain(weights),
        "device": device,
        "complete": complete,
        "versions": versions(PACKAGES),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def sidecar(path: Path) -> Path:
    """Where ``write_provenance`` puts the provenance of the file ``path``: NAME.json beside it, ``map.csv.json``."""
    return path.with_name(f"{path.name}.json")


def write_provenance(path: Path, made_with: Mapping[str, Any]) -> None:
    """Write how the file ``path`` was made into a file beside it: ``made_with``, and the file's SHA-256.

    Tables and clouds get such a file; figures carry their provenance in themselves (``core.figures.save``).
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    write_json(sidecar(path), {"file": path.name, "sha256": digest, **made_with})


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Versions of the packages that are installed; some packages are listed under two names."""
    found = {}
    for package in packages:
        with suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found


def plain(value: Any) -> Any:
    """``value`` in the types JSON knows; numbers that are not finite become None, and text becomes ``readable``.

    Raises
    ------
    TypeError
        If ``value`` holds something that has no place in a record.
    """
    match value:
        case None | bool() | int():
            return value
        case str() | Path():
            return readable(value)
        case float():
            return value if math.isfinite(value) else None
        case np.generic() | np.ndarray():
            return plain(value.tolist())
        case BaseModel():
            return plain(value.model_dump())
        case Mapping():
            return {readable(str(key)): plain(item) for key, item in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
    raise TypeError(f"A record can't hold a {type(value).__name__}: {value!r:.80}.")


def write_json(path: Path, value: Any) -> None:
    """Write ``value``, made ``plain``, as indented JSON."""
    text = json.dumps(plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_path(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises
    ------
    FormatError
        If it is not JSON (the message names the line), or too large.
    """
    return _parse_json(_read_content(path), path, 1)


def read_as(path: Path, kind: type[T], name: str) -> T:
    """Read a JSON file as ``kind``: a pydantic model, or another type that pydantic can validate.

    Parameters
    ----------
    name : str
        What the file holds, in words with an article: "the record of a training run".

    Raises
    ------
    FormatError
        If it is not JSON, is too large, or does not fit ``kind``.
    """
    try:
        return TypeAdapter(kind).validate_json(_read_content(path, MOST_RECORD_BYTES))
    except ValidationError as error:
        raise FormatError(path, f"it is not {name} ({explain(error)})", "restore it, or remove it") from None


def append_jsonl(path: Path, record: Mapping[str, Any]) -> None:
    """Append ``record`` as one line that is on the disk on return; a torn last line is dropped first."""
    line = json.dumps(plain(record), ensure_ascii=False, allow_nan=False) + "\n"
    with naming(path), path.open("ab+") as file:
        _repair_last_line(file)
        file.write(line.encode())
        file.flush()
        os.fsync(file.fileno())


def _repair_last_line(file: Any) -> None:
    """Make ``file`` end with a whole line: complete a record without line break, drop an incomplete record."""
    size = file.seek(0, os.SEEK_END)
    if not size:
        return
    file.seek(-1, os.SEEK_END)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    tail = file.read().rpartition(b"\n")[2]
    if _is_json(tail):
        file.write(b"\n")
    else:
        file.truncate(size - len(tail))


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """Read the records of a file of JSON lines; a last line torn by a kill is left out.

    Raises
    ------
    FormatError
        If another line is not a JSON record (the message names it), or the file is too large.
    """
    *lines, tail = _read_content(path).split(b"\n")
    if _is_json(tail):  # a prefix of a record is never JSON itself
        lines.append(tail)
    records = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        record = _parse_json(line, path, number)
        if not isinstance(record, dict):
            raise FormatError(path, f"line {number} is not a record but {record!r:.40}", "a JSON record is expected")
        records.append(record)
    return records


def _read_content(path: Path, most: int = MOST_BYTES) -> bytes:
    return read_whole(path, most, f"a record of up to {most:,} bytes is expected")


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _parse_json(text: bytes, path: Path, first_line: int) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise FormatError(
            path, f"line {first_line} or one after it is nested too deep", "restore or remove it"
        ) from None
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise FormatError(path, f"line {line} is not JSON ({error.msg})", "a JSON record is expected") from error
    except UnicodeDecodeError as error:
        raise FormatError(path, "it is not text in UTF-8", "a JSON record is expected") from error
    except ValueError as error:  # a whole number of thousands of digits
        raise FormatError(path, f"line {first_line} or one after it holds what is no number", "restore it") from error


def write_csv(path: Path, columns: Mapping[str, ArrayLike]) -> None:
    """Write ``columns`` of equal length under their names; numbers keep every digit they have.

    Text is written as ``spreadsheet_text`` gives it, so that no name is taken for a formula. A column of mixed cells is
    an array of dtype object; None and NaN are empty cells.

    Raises
    ------
    ValueError
        If there is no column, or one is not a column (n,), or lengths differ.
    """
    arrays = {readable(name): np.asarray(column) for name, column in columns.items()}
    lengths = {name: len(array) for name, array in arrays.items() if array.ndim == 1}
    if not arrays or len(lengths) < len(arrays) or len(set(lengths.values())) > 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items()) or "none"
        raise ValueError(f"{path.name}: a table needs columns of one length, and these were given: {shapes}.")
    with atomic_path(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(map(spreadsheet_text, arrays))
        writer.writerows(zip(*map(_cells, arrays.values()), strict=True))


def _cells(column: NDArray[Any]) -> list[str]:
    return [_cell(value) for value in column]


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return spreadsheet_text(value)
    # str of a NumPy scalar is the shortest text that reads back as the same float32 or float64
    return "" if value is None or value != value else str(value)


def write_npz(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write ``arrays`` compressed; ``numpy.load`` reads them back.

    Raises
    ------
    ValueError
        If one holds Python objects, which only pickle could store.
    """
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"{path.name}: {name} holds Python objects; only numbers, truth values and text fit.")
    with atomic_path(path) as part, part.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **{name: np.asarray(array) for name, array in arrays.items()})


def read_npz(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The arrays ``names`` of a file that ``write_npz`` wrote.

    Raises
    ------
    FormatError
        If there is no such file, or it is damaged or lacks one of the arrays.
    """
    require_regular_file(path, "the arrays that this program wrote there are expected")
    try:
        with path.open("rb") as raw, np.load(raw) as file:  # opened here: numpy does not close a damaged file
            return {name: file[name] for name in names}
    except MemoryError:
        raise
    except Exception:  # a damaged file makes numpy, zipfile and zlib raise almost anything
        raise FormatError(path, "it is damaged", "remove it, and call what made it again") from None
