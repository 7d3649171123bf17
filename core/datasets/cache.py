"""The memory-mapped cache of converted datasets: made once, checked at every opening, never trusted."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds import Points, checked, normalise, resample
from core.datasets.base import Card, Dataset, DatasetError, Listing, Source, Split, seed_of
from core.events import Done, Event, Note, Progress
from core.runtime.files import atomic_path

FORMAT = 1
"""Raised when the layout of the cache or the way clouds are prepared changes: older caches are then made anew."""

_TOLERANCE = 1e-4
"""Unit-sphere radii by which a cloud may miss the unit sphere and is left as it is."""


def cached(source: Source, cache: Path) -> Iterator[Event]:
    """Open a source through its cache, which is made first where it is absent, damaged, foreign or out of date.

    Yields
    ------
    ``Note`` and ``Progress``, at last ``Done`` with the ``Dataset``.

    Raises
    ------
    DatasetError
        If a shape is unusable, or the cache cannot be written.
    """
    key = hashlib.sha256(source.location.encode()).hexdigest()[:10]
    folder = cache / f"{source.name}-{key}"
    yield from (Note(text) for text in source.notes)
    dataset = None
    if folder.exists():
        try:
            dataset = _load(folder, source)
        except Exception as error:  # a damaged file makes numpy and json raise almost anything
            reason = str(error) if isinstance(error, _StaleError) else "it is damaged"
            yield Note(f"The cache of {source.title} is made anew: {reason}.")
    if dataset is None:
        yield from _build(folder, source)
        dataset = _load(folder, source)
    sizes = {name: dataset.card.splits.get(name, 0) for name in source.official}
    if sizes != source.official:
        here, official = (" / ".join(f"{n:,} {name}" for name, n in s.items()) for s in (sizes, source.official))
        yield Note(f"{source.title} has {here} shapes here; the official split has {official}.")
    yield Done(dataset)


class _StaleError(ValueError):
    """Why a cache is not used."""


def _load(folder: Path, source: Source) -> Dataset:
    facts = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    if facts["format"] != FORMAT:
        raise _StaleError("it is of another version")
    if facts["signature"] != source.signature:
        raise _StaleError("the files that it was made from have changed")
    points = np.load(folder / "points.npy", mmap_mode="r", allow_pickle=False)
    labels = np.load(folder / "labels.npy", allow_pickle=False)
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    classes, sizes = tuple(facts["classes"]), {str(name): int(size) for name, size in facts["splits"].items()}
    count = sum(sizes.values())
    layout = (points.dtype.str, points.shape, labels.dtype.str, labels.shape, len(names))
    if layout != ("<f4", (count, facts["points"], 3), "<i8", (count,), count):
        raise _StaleError("its arrays have other shapes than its card says")
    fingerprint = _fingerprint(hashlib.sha256(points), labels, names, classes, sizes)
    if fingerprint != facts["fingerprint"]:
        raise _StaleError("its content does not have the fingerprint on its card")
    card = Card(
        name=source.name,
        title=source.title,
        classes=classes,
        splits=sizes,
        points=facts["points"],
        up_axis=source.up_axis,
        licence=source.licence,
        source=source.origin,
        sampling=source.sampling,
        fingerprint=fingerprint,
    )
    splits, start = {}, 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        splits[name] = Split(points[rows], labels[rows], names[rows])
        start += size
    return Dataset(card, splits)


def _build(folder: Path, source: Source) -> Iterator[Event]:
    """Convert a source: every cloud with the same number of points, in random order, in the unit sphere."""
    found: Listing | None = None
    for event in source.read():
        if isinstance(event, Done):
            found = event.value
        else:
            yield event
    if found is None or not len(found.labels):
        raise DatasetError(f"{source.title} has no shape.")
    count = len(found.labels)
    labels = np.asarray(found.labels, dtype="<i8")
    digest = hashlib.sha256()
    try:
        _sweep(folder)
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            # Written row by row, not through a map: a full disk is then an error, not a crash.
            with (temporary / "points.npy").open("wb") as file:
                layout = {"descr": "<f4", "fortran_order": False, "shape": (count, found.points, 3)}
                np.lib.format.write_array_header_1_0(file, layout)
                for row, (points, name) in enumerate(zip(found.clouds, found.names, strict=True)):
                    if row % 32 == 0:
                        yield Progress(row, count, f"Converting {source.title}")
                    data = _prepared(points, name, found.points).tobytes()
                    digest.update(data)
                    file.write(data)
            np.save(temporary / "labels.npy", labels)
            (temporary / "names.json").write_text(json.dumps(list(found.names)), encoding="utf-8")
            facts = {
                "format": FORMAT,
                "signature": source.signature,
                "classes": found.classes,
                "splits": found.splits,
                "points": found.points,
                "fingerprint": _fingerprint(digest, labels, found.names, found.classes, found.splits),
            }
            (temporary / "card.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(f"The cache of {source.title} cannot be written to {folder}: {reason}.") from error
    yield Progress(count, count, f"Converting {source.title}")


def _prepared(points: NDArray[np.floating[Any]], name: str, count: int) -> Points:
    """A cloud as it is cached; in random order, so that any first n of its points are a fair sample of the shape."""
    try:
        drawn = resample(checked(points), count, "random", seed_of(name))
        with np.errstate(over="ignore"):  # infinite is not near 1 either
            centre, radius = drawn.mean(axis=0), np.linalg.norm(drawn, axis=1).max()
        if max(np.abs(centre).max(), abs(radius - 1)) < _TOLERANCE:
            return drawn
        return normalise(drawn)[0]
    except ValueError as error:
        raise DatasetError(f"Shape {name}: {error}.") from None


def _fingerprint(
    clouds: Any, labels: NDArray[np.int64], names: Sequence[str], classes: Sequence[str], sizes: Mapping[str, int]
) -> str:
    """SHA-256 over the clouds (their running hash is given), labels, names, classes and split sizes."""
    rest = json.dumps([list(classes), list(sizes.items()), list(names)])
    return hashlib.sha256(clouds.digest() + labels.tobytes() + rest.encode()).hexdigest()


def _sweep(folder: Path) -> None:
    """Remove what a conversion left behind that was killed more than a day ago."""
    for leftover in folder.parent.glob(f".{folder.name}-*"):
        if time.time() - leftover.stat().st_mtime > 86_400:
            shutil.rmtree(leftover, ignore_errors=True)
