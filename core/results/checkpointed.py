"""Long work in parts that store their results, so that work that was killed continues with the first missing part."""

import hashlib
import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.events import Event, Progress, forward
from core.results.records import plain, write_npz

T = TypeVar("T")
Arrays = Mapping[str, NDArray[Any]]


class StoppedEarly(Exception):  # noqa: N818  not an error
    """The work was cancelled before it was complete."""


@dataclass(frozen=True)
class ArrayCodec(Generic[T]):
    """How a result is written as named arrays and read back."""

    write: Callable[[T], Arrays]
    read: Callable[[Arrays], T]


class CheckpointedWork:
    """Runs the parts of a long work, stores their results, and reports their progress as progress of the whole.

    Parameters
    ----------
    folder : Path
        Where the results of the parts are stored, as ``NAME.npz``.
    total : int
        Sum of the weights of all parts, in any unit.
    """

    def __init__(self, folder: Path, total: int) -> None:
        self._folder, self._total, self._done = folder, total, 0

    def run_part(self, weight: int, text: str, events: Iterator[Event]) -> Generator[Event, None, Any]:
        """Run ``events`` as one part of the whole; returns the value of their ``Done``.

        Raises
        ------
        StoppedEarly
            If it is not complete.
        """
        end = yield from forward(events, before=self._done, weight=weight, total=self._total, text=text)
        if not end.complete:
            raise StoppedEarly
        self._done += weight
        yield Progress(self._done, self._total, text)
        return end.value

    def skip(self, weight: int) -> None:
        """Count a part that is not needed."""
        self._done += weight

    def checkpoint(
        self,
        name: str,
        key: Mapping[str, Any],
        weight: int,
        codec: ArrayCodec[T],
        events: Callable[[], Iterator[Event]],
    ) -> Generator[Event, None, T]:
        """The stored result ``name``, if it was computed with the same ``key``; otherwise compute and store it."""
        path, text = self._folder / f"{name}.npz", name.replace("/", ", ")
        digest = hashlib.sha256(json.dumps(plain(key), sort_keys=True).encode()).hexdigest()
        if path.is_file():
            stored = _read_stored(path, digest, codec)
            if stored is not None:
                self.skip(weight)
                yield Progress(self._done, self._total, text)
                return stored
        value = yield from self.run_part(weight, text, events())
        arrays = codec.write(value)
        write_npz(path, {**arrays, "key": np.array(digest)})
        return codec.read(arrays)  # as a later call will read it, so that both continue with equal values


def _read_stored(path: Path, digest: str, codec: ArrayCodec[T]) -> T | None:
    """A stored result of this key; None if it has another or is damaged, so that the part is computed again."""
    try:
        with path.open("rb") as raw, np.load(raw) as file:  # opened here, because numpy does not close a damaged file
            if str(file["key"]) != digest:
                return None
            return codec.read({name: file[name] for name in file.files})
    except Exception:  # a damaged file makes numpy, zipfile and zlib raise almost anything
        return None
