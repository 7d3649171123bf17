"""The memory-mapped cache of converted datasets: made once, checked at every opening, never trusted."""

import hashlib
import json
import os
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.clouds import checked, normalise, resample
from core.clouds.frames import Rotation, rotated
from core.datasets.base import Card, Dataset, DatasetError, Listing, Source, Split, seed_of
from core.datasets.copies import EXACT, image_statistics, nearest_copies, order_statistics
from core.events import Done, Event, Note, Progress, forward
from core.images import ImageFormat
from core.runtime.files import FormatError, atomic_path, readable, sweep
from core.runtime.locks import Lock

FORMAT = 2
"""Version of the cache's layout and of how clouds are prepared; caches of another version are made anew."""

_POLL_SECONDS = 0.2
"""Interval of checking whether another process has finished a cache."""

_TOLERANCE = 1e-4
"""A cloud whose centre and radius differ from the unit sphere by less, in radii, is not normalised again."""


def cached(source: Source, cache: Path) -> Iterator[Event]:
    """Open a source through its cache, which is made first if it is absent, damaged, foreign or out of date.

    If another process is making it, this one waits for it.

    Yields
    ------
    ``Note`` and ``Progress``, at last ``Done`` with the ``Dataset``.

    Raises
    ------
    DatasetError
        If a shape is unusable, or the cache cannot be written.
    """
    key = hashlib.sha256(os.fsencode(source.location)).hexdigest()[:10]
    folder = cache / f"{source.name}-{key}"
    yield from (Note(text) for text in source.notes)
    sweep(cache)
    dataset, reason = _try_load(folder, source)
    if dataset is None:
        lock = yield from _acquire_lock(folder, source)
        try:
            dataset, reason = _try_load(folder, source)  # which another process may have made meanwhile
            if dataset is None:
                if reason:
                    yield Note(f"The cache of {source.title} is made anew: {reason}.")
                yield from _build(folder, source)
                dataset = _load(folder, source)
        finally:
            lock.release()
    sizes = {name: dataset.card.splits.get(name, 0) for name in source.official}
    if sizes != source.official:
        here, official = (" / ".join(f"{n:,} {name}" for name, n in s.items()) for s in (sizes, source.official))
        yield Note(f"{source.title} has {here} shapes here; the official split has {official}.")
    yield Done(dataset)


class _StaleError(ValueError):
    """Why a cache is not used."""


def _try_load(folder: Path, source: Source) -> tuple[Dataset | None, str]:
    """The cached dataset; or None and why the cache can't be used, with an empty reason if there is no cache."""
    if not folder.exists():
        return None, ""
    try:
        return _load(folder, source), ""
    except _StaleError as error:
        return None, str(error)
    except Exception:  # a damaged file makes numpy and json raise almost anything
        return None, "it is damaged"


def _acquire_lock(folder: Path, source: Source) -> Generator[Event, None, Lock]:
    """Take the lock on a cache; waits for another process that is making it."""
    lock = Lock(folder.with_name(f".{folder.name}.lock"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if not lock.acquire():
            yield Note(f"{source.title} is being converted by {lock.holder}; waiting for it.")
            while not lock.acquire():
                yield Progress(0, 0, f"Waiting for {lock.holder}")
                time.sleep(_POLL_SECONDS)
        sweep(folder.parent, [folder.name])
    except OSError as error:
        raise _unwritable_error(folder, source, error) from error
    return lock


def _unwritable_error(folder: Path, source: Source, error: OSError) -> DatasetError:
    reason = error.strerror or error
    return DatasetError(f"The cache of {source.title} cannot be written to {readable(folder)}: {reason}.")


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
    image = ImageFormat.model_validate(facts["image"]) if "image" in facts else None
    layout = (points.dtype.str, points.shape, labels.dtype.str, labels.shape, len(names))
    shape = (facts["points"], 3) if image is None else image.shape
    if layout != (facts.get("image_type", "<f4"), (count, *shape), "<i8", (count,), count):
        raise _StaleError("its arrays have other shapes than its card says")
    fingerprint = _fingerprint(hashlib.sha256(points), labels, names, classes, sizes)
    if fingerprint != facts["fingerprint"]:
        raise _StaleError("its content does not have the fingerprint on its card")
    copies = {int(row): float(distance) for row, distance in facts["copies"].items()}
    if facts["copies_sha256"] != _copies_digest(facts["copies"], fingerprint):
        raise _StaleError("the copies on its card are not those that were found")
    card = Card(
        name=source.name,
        title=source.title,
        classes=classes,
        splits=sizes,
        points=facts["points"],
        image=image,
        up_axis=source.up_axis,
        given_up=source.orientation.up,
        turn=source.orientation.turn,
        licence=source.licence,
        source=source.origin,
        sampling=source.sampling,
        fingerprint=fingerprint,
        copies=len(copies),
        exact_copies=sum(distance <= EXACT for distance in copies.values()),
    )
    splits, start = {}, 0
    for name, size in sizes.items():
        rows = slice(start, start + size)
        copied = np.array(sorted(copies) if name == "test" else [], np.int64)
        splits[name] = Split(points[rows], labels[rows], names[rows], copied)
        start += size
    return Dataset(card, splits)


def _build(folder: Path, source: Source) -> Iterator[Event]:
    """Convert a source: every cloud with the same number of points, in random order, in the unit sphere.

    Images are kept as the source has them.
    """
    found: Listing | None = (yield from forward(source.read())).value
    if found is None or not len(found.labels):
        raise DatasetError(f"{source.title} has no shape.")
    count = len(found.labels)
    labels = np.asarray(found.labels, dtype="<i8")
    digest = hashlib.sha256()
    statistics = []
    try:
        with atomic_path(folder) as temporary:
            temporary.mkdir()
            # Written row by row, not through a map: a full disk is then an error, not a crash.
            with (temporary / "points.npy").open("wb") as file:
                shape, type_ = (
                    ((found.points, 3), "<f4") if found.image is None else (found.image.shape, found.image_type)
                )
                layout = {"descr": type_, "fortran_order": False, "shape": (count, *shape)}
                np.lib.format.write_array_header_1_0(file, layout)
                prepared = _prepare_clouds(found, source.rotation) if found.image is None else _prepare_images(found)
                for row, (data, statistic) in enumerate(prepared):
                    if row % 32 == 0:
                        yield Progress(row, count, f"Converting {source.title}")
                    digest.update(data)
                    file.write(data)
                    statistics.append(statistic)
            np.save(temporary / "labels.npy", labels)
            (temporary / "names.json").write_text(json.dumps(list(found.names)), encoding="utf-8")
            copies = nearest_copies(np.array(statistics), found.splits)
            fingerprint = _fingerprint(digest, labels, found.names, found.classes, found.splits)
            facts = {
                "format": FORMAT,
                "signature": source.signature,
                "classes": found.classes,
                "splits": found.splits,
                "points": found.points,
                "fingerprint": fingerprint,
                "copies": copies,
                "copies_sha256": _copies_digest(copies, fingerprint),
            }
            if found.image is not None:
                facts |= {"image": found.image.model_dump(), "image_type": found.image_type}
            (temporary / "card.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    except OSError as error:
        raise _unwritable_error(folder, source, error) from error
    yield Progress(count, count, f"Converting {source.title}")


def _prepare_clouds(found: Listing, rotation: Rotation | None) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
    """Each cloud as it is cached, in random order, so that any first n points are a fair sample; and its statistics."""
    clouds = iter(found.clouds)
    for name in found.names:
        try:
            original = checked(next(clouds))
            drawn = resample(original, found.points, "random", seed_of(name))
            with np.errstate(over="ignore"):  # an infinite radius is normalised too
                centre, radius = drawn.mean(axis=0), np.linalg.norm(drawn, axis=1).max()
            normalised = max(np.abs(centre).max(), abs(radius - 1)) < _TOLERANCE
            prepared = drawn if normalised else normalise(drawn)[0]
            statistics = order_statistics(original)  # before points are drawn
        except OSError as error:
            raise DatasetError(f"Shape {name}: {error.filename} cannot be read ({error.strerror}).") from None
        except FormatError:
            raise
        except ValueError as error:
            raise DatasetError(f"Shape {name}: {error}.") from None
        yield (prepared if rotation is None else rotated(prepared, rotation)).tobytes(), statistics


def _prepare_images(found: Listing) -> Iterator[tuple[bytes, NDArray[np.float32]]]:
    """Each image as it is cached, and its statistics."""
    assert found.image is not None
    for image in found.clouds:
        yield image.astype(found.image_type).tobytes(), image_statistics(image)


def _fingerprint(
    clouds: Any, labels: NDArray[np.int64], names: Sequence[str], classes: Sequence[str], sizes: Mapping[str, int]
) -> str:
    """SHA-256 over the clouds (their running hash is given), labels, names, classes and split sizes."""
    rest = json.dumps([list(classes), list(sizes.items()), list(names)])
    return hashlib.sha256(clouds.digest() + labels.tobytes() + rest.encode()).hexdigest()


def _copies_digest(copies: Mapping[Any, float], fingerprint: str) -> str:
    """SHA-256 over the rows of copies and the fingerprint, which does not cover the copies itself."""
    return hashlib.sha256(json.dumps([fingerprint, copies]).encode()).hexdigest()
