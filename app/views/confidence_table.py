"""Confidences of a model on a cloud and its adversarial version: the data of the confidence bars."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from core.runtime.text import printable


class ConfidenceTable:
    """Confidences of a model in K classes.

    Parameters
    ----------
    classes
        K names.
    clean, adversarial
        (K,) softmax confidences, or None without such a cloud.
    true_class, target_class
        Index of the cloud's true class, and of the target class of a targeted attack.

    Raises
    ------
    ValueError
        If an array is not (K,) or not finite, or an index is out of range.
    """

    def __init__(
        self,
        classes: Sequence[str] = (),
        clean: ArrayLike | None = None,
        adversarial: ArrayLike | None = None,
        true_class: int | None = None,
        target_class: int | None = None,
    ) -> None:
        self.classes = list(classes)
        self.true_class, self.target_class = true_class, target_class
        arrays = {"clean": clean, "adversarial": adversarial}
        self.clouds = {name: np.array(values, float) for name, values in arrays.items() if values is not None}
        for name, values in self.clouds.items():
            if values.shape != (len(self.classes),):
                raise ValueError(f"{name} confidences have shape {values.shape}; ({len(self.classes)},) is needed")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} confidences hold a number that is not finite; numbers from 0 to 1 are needed")
        for name, index in (("true", true_class), ("target", target_class)):
            if index is not None and not 0 <= index < len(self.classes):
                raise ValueError(f"{name} class {index} is not one of the {len(self.classes)} classes")
        self.predicted = {name: int(values.argmax()) for name, values in self.clouds.items()}
        self._always = {self.true_class, self.target_class, *self.predicted.values()} - {None}
        """Classes that always have a row."""

    def has_same_clean_cloud(self, other: "ConfidenceTable") -> bool:
        """Whether both are equal except for the adversarial cloud and the target."""
        same = (self.classes, self.true_class) == (other.classes, other.true_class)
        return same and np.array_equal(self.clouds.get("clean", ()), other.clouds.get("clean", ()))

    def top(self, count: int) -> list[int]:
        """The ``count`` classes to show: true, predicted and target class, and the most confident others.

        The true class comes first, then the others by falling confidence.
        """
        if not self.clouds:
            return []
        order = sorted(range(len(self.classes)), key=lambda k: (k not in self._always, -self._highest(k)))[:count]
        return sorted(order, key=lambda k: (k != self.true_class, -self._highest(k)))

    def keep_rows(self, rows: Sequence[int]) -> list[int]:
        """The same rows in the same order, so that they do not move during a drag.

        Only a newly predicted class and a new target replace the least confident of the rows that can be left out.
        """
        kept = list(rows)
        for newcomer in sorted(k for k in range(len(self.classes)) if k in self._always and k not in kept):
            replaceable = [k for k in kept if k not in self._always]
            if replaceable:
                kept[kept.index(min(replaceable, key=self._highest))] = newcomer
        return kept

    def exact_text(self, k: int) -> str:
        """Confidences in class ``k``, with four decimals."""
        return "\n".join(
            [printable(self.classes[k]), *(f"{name} {values[k]:.4f}" for name, values in self.clouds.items())]
        )

    def accessible_text(self) -> str:
        """The predictions as text, for a screen reader."""
        return ", ".join(self._prediction_text(name) for name in self.clouds)

    def _prediction_text(self, name: str) -> str:
        k = self.predicted[name]
        correctness = "" if self.true_class is None else " correct" if k == self.true_class else " wrong"
        return f"{name} {self.classes[k]} {self.clouds[name][k]:.2f}{correctness}"

    def _highest(self, k: int) -> float:
        return max((float(values[k]) for values in self.clouds.values()), default=0.0)
