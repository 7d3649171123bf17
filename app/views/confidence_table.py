"""Confidences of several models on a cloud and its adversarial version: the data of the confidence bars."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from core.runtime.text import printable


class ConfidenceTable:
    """Confidences of M models in K classes.

    Parameters
    ----------
    classes, models
        K and M names.
    clean, adversarial
        (M, K) softmax confidences, or None without such a cloud.
    true_class, target_class
        Index of the cloud's true class, and of the target class of a targeted attack.

    Raises
    ------
    ValueError
        If an array is not (M, K) or not finite, or an index is out of range.
    """

    def __init__(
        self,
        classes: Sequence[str] = (),
        models: Sequence[str] = (),
        clean: ArrayLike | None = None,
        adversarial: ArrayLike | None = None,
        true_class: int | None = None,
        target_class: int | None = None,
    ) -> None:
        self.classes, self.models = list(classes), list(models)
        self.true_class, self.target_class = true_class, target_class
        arrays = {"clean": clean, "adversarial": adversarial}
        self.clouds = {name: np.array(values, float) for name, values in arrays.items() if values is not None}
        shape = (len(self.models), len(self.classes))
        for name, values in self.clouds.items():
            if values.shape != shape:
                raise ValueError(f"{name} confidences have shape {values.shape}; {shape} (models, classes) is needed")
            if not np.isfinite(values).all():
                raise ValueError(f"{name} confidences hold a number that is not finite; numbers from 0 to 1 are needed")
        for name, index in (("true", true_class), ("target", target_class)):
            if index is not None and not 0 <= index < len(self.classes):
                raise ValueError(f"{name} class {index} is not one of the {len(self.classes)} classes")
        if not all(shape):
            self.clouds = {}
        self.predicted = {name: [int(k) for k in values.argmax(axis=1)] for name, values in self.clouds.items()}
        self.predicted_classes = {k for predicted in self.predicted.values() for k in predicted}

    def has_same_clean_cloud(self, other: "ConfidenceTable") -> bool:
        """Whether both are equal except for the adversarial cloud and the target."""
        names = (self.classes, self.models, self.true_class) == (other.classes, other.models, other.true_class)
        return names and np.array_equal(self.clouds.get("clean", ()), other.clouds.get("clean", ()))

    def top(self, count: int) -> list[int]:
        """The ``count`` classes to show: true, predicted and target class, and the most confident others.

        The true class comes first, then the others by falling confidence.
        """
        if not self.clouds:
            return []
        wanted = {self.true_class, self.target_class, *self.predicted_classes}
        order = sorted(range(len(self.classes)), key=lambda k: (k not in wanted, -self._highest(k)))[:count]
        return sorted(order, key=lambda k: (k != self.true_class, -self._highest(k)))

    def keep_rows(self, rows: Sequence[int]) -> list[int]:
        """The same rows in the same order, so that they do not move during a drag.

        Only a newly predicted class and a new target replace the least confident of the rows that can be left out.
        """
        kept, wanted = list(rows), {self.true_class, self.target_class, *self.predicted_classes}
        for newcomer in sorted(k for k in wanted if k is not None and k not in kept):
            replaceable = [k for k in kept if k not in wanted]
            if replaceable:
                kept[kept.index(min(replaceable, key=self._highest))] = newcomer
        return kept

    def exact_text(self, model: int, k: int | None) -> str:
        """Confidences of a model in class ``k``, or in its predicted classes for None, with four decimals."""
        lines = [printable(self.models[model] if k is None else f"{self.models[model]} · {self.classes[k]}")]
        for name, values in self.clouds.items():
            shown = self.predicted[name][model] if k is None else k
            class_name = f" {printable(self.classes[shown])}" if k is None else ""
            lines.append(f"{name} {values[model, shown]:.4f}{class_name}")
        return "\n".join(lines)

    def accessible_text(self) -> str:
        """All predictions as text, for a screen reader."""
        return ". ".join(
            f"{model}: " + ", ".join(self._prediction_text(name, m) for name in self.clouds)
            for m, model in enumerate(self.models)
            if self.clouds
        )

    def _prediction_text(self, name: str, model: int) -> str:
        k = self.predicted[name][model]
        correctness = "" if self.true_class is None else " correct" if k == self.true_class else " wrong"
        return f"{name} {self.classes[k]} {self.clouds[name][model, k]:.2f}{correctness}"

    def _highest(self, k: int) -> float:
        return max((float(values[:, k].max()) for values in self.clouds.values()), default=0.0)
