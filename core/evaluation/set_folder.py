"""An adversarial set as a folder: a record of how it was made, and its batches, each file whole or absent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from core.results.records import read_as, write_json, write_npz
from core.runtime.files import FormatError

RECORD = "set.json"
SHAPE_DISTANCES = ("chamfer", "hausdorff")
"""Columns that folders of earlier versions do not have."""
Columns = dict[str, NDArray[Any]]


class SetRecord(BaseModel):
    """``set.json``: what an adversarial set is made of, and by what. What made it is kept beside these fields."""

    model_config = ConfigDict(frozen=True, extra="allow")

    preset: str
    """Name of the attack."""
    attack: dict[str, Any]
    """All its options."""
    files: dict[str, str] = {}
    """SHA-256 of the files of weights that it reads beside the model's own, by option."""
    surrogate: str
    """Name of the model that was attacked."""
    weights: str
    """Its SHA-256."""
    dataset: str
    fingerprint: str
    split: str = "test"
    evaluation: dict[str, Any]
    """Which clouds, how many points of each, and the seed."""
    complete: bool = False


class SetFolder:
    """Where the batches of a set are kept as they are made.

    Parameters
    ----------
    columns : names of the arrays that each batch has; of an earlier version it may lack ``SHAPE_DISTANCES``.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self.folder, self._columns = folder, columns

    def begin(self, record: SetRecord, provenance: Mapping[str, Any]) -> None:
        """Write the record of a new set, or make sure that the set that is there is the same.

        Raises
        ------
        FormatError
            If the folder holds another set.
        """
        path = self.folder / RECORD
        if path.is_file():
            there = self.record()
            if there.model_dump(exclude={"complete"}, include=set(SetRecord.model_fields)) != record.model_dump(
                exclude={"complete"}
            ):
                raise FormatError(path, "the folder holds another adversarial set", "choose another folder")
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {**record.model_dump(), "provenance": provenance})

    def end(self) -> None:
        """Say in the record that all clouds are there."""
        record = self.record()
        write_json(self.folder / RECORD, {**record.model_dump(), "complete": True})

    def record(self) -> SetRecord:
        return read_as(self.folder / RECORD, SetRecord, "the record of an adversarial set")

    def read(self, start: int) -> Columns | None:
        """The batch that begins at a place of the chosen clouds; None if it is not there, or is damaged."""
        path = self._path(start)
        return self._read(path) if path.is_file() else None

    def write(self, start: int, columns: Mapping[str, NDArray[Any]]) -> None:
        write_npz(self._path(start), columns)

    def batches(self) -> list[Columns]:
        """All batches that are there, in order.

        Raises
        ------
        FormatError
            If there is none, or one is damaged.
        """
        paths = sorted(self.folder.glob("clouds-*.npz"))
        if not paths:
            raise FormatError(
                self.folder, "it holds no adversarial clouds", "make them with pointward attack --dataset"
            )
        found = []
        for path in paths:
            columns = self._read(path)
            if columns is None:
                raise FormatError(path, "it is damaged", "remove it, and call the command that made the set again")
            found.append(columns)
        return found

    def _read(self, path: Path) -> Columns | None:
        try:
            with path.open("rb") as raw, np.load(raw) as file:
                absent = set(SHAPE_DISTANCES) - set(file.files)
                return {name: file[name] for name in self._columns if name not in absent}
        except Exception:  # a damaged file makes numpy, zipfile and zlib raise almost anything
            return None

    def _path(self, start: int) -> Path:
        return self.folder / f"clouds-{start:06d}.npz"
