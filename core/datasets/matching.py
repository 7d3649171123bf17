"""Maps the classes of a dataset to those of a model, which may be more, in another order, or named otherwise."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from core.datasets.base import Dataset, DatasetError

_MOST_LISTED = 12
"""Most names that a message lists."""


def class_index(name: str | None, outputs: Sequence[str]) -> int | None:
    """Index of the output with this name, else of the only one that differs in case, spaces, hyphens or underscores."""
    if name is None:
        return None
    if name in outputs:
        return list(outputs).index(name)
    plain = [_simplified(output) for output in outputs]
    return plain.index(_simplified(name)) if plain.count(_simplified(name)) == 1 else None


def unknown_classes(
    classes: Sequence[str], outputs: Sequence[str], names: Mapping[str, str] | None = None
) -> list[str]:
    """The classes of a dataset that a model does not have; ``names``: dataset's name -> model's name."""
    return [name for name in classes if class_index((names or {}).get(name, name), outputs) is None]


def label_map(
    classes: Sequence[str], outputs: Sequence[str], names: Mapping[str, str] | None = None
) -> NDArray[np.int64]:
    """(C,), the index among a model's ``outputs`` of each class of a dataset.

    Parameters
    ----------
    names
        What the model calls classes that the dataset calls otherwise: the dataset's name -> the model's.

    Raises
    ------
    DatasetError
        If a class is unknown to the model, or ``names`` has one that the dataset or the model does not have.
    """
    names = names or {}
    if absent := [name for name in names if name not in classes]:
        raise DatasetError(f"The dataset has no class {listed(absent)}; its classes are {listed(classes)}.")
    if absent := [name for name in names.values() if class_index(name, outputs) is None]:
        raise DatasetError(
            f"The model knows no class {listed(absent)}; its classes are {listed(outputs, len(outputs))}."
        )
    if absent := unknown_classes(classes, outputs, names):
        raise DatasetError(
            f"The model knows no class {listed(absent)}; its classes are {listed(outputs, len(outputs))}. Rename the "
            f"dataset's, or say which are meant, as --classes {absent[0]}={outputs[0]}."
        )
    return np.array([class_index(names.get(name, name), outputs) for name in classes], dtype=np.int64)


def matched(dataset: Dataset, outputs: Sequence[str], names: Mapping[str, str] | None = None) -> Dataset:
    """The dataset with its labels mapped to a model's outputs, whose names become its classes.

    Clouds and fingerprint stay the same. Some of the model's classes may have no cloud.

    Raises
    ------
    DatasetError
        As ``label_map``.
    """
    numbers = label_map(dataset.card.classes, outputs, names)
    if tuple(dataset.card.classes) == tuple(outputs) and (numbers == np.arange(len(numbers))).all():
        return dataset
    splits = {name: replace(split, labels=numbers[split.labels]) for name, split in dataset.splits.items()}
    return Dataset(dataset.card.model_copy(update={"classes": tuple(outputs)}), splits)


def presence(labels: NDArray[np.integer], outputs: Sequence[str]) -> str:
    """How many of a model's classes occur among labels: "3 of the model's 16 classes present"."""
    return f"{len(np.unique(labels))} of the model's {len(outputs)} classes present"


def parse_names(text: str) -> dict[str, str]:
    """``seat=chair,couch=sofa`` as a mapping.

    Raises
    ------
    ValueError
        If the text has another form.
    """
    pairs = [part.partition("=") for part in text.split(",")]
    names = {mine.strip(): theirs.strip() for mine, _, theirs in pairs}
    if len(names) < len(pairs) or not all(names) or not all(names.values()):
        raise ValueError(f"classes are matched as seat=chair,couch=sofa, each of the dataset's once, not as {text!r}")
    return names


def _simplified(name: str) -> str:
    return re.sub(r"[\s_-]+", " ", name).strip().casefold()


def listed(names: Sequence[str], most: int = _MOST_LISTED) -> str:
    """Names as part of a sentence; of many, the last are only counted."""
    listed = ", ".join(names[:most])
    return f"{listed} and {len(names) - most} more" if len(names) > most else listed
