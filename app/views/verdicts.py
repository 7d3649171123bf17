"""What several models think of one cloud and of its adversarial copy: the numbers behind the confidence bars."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Confidences = NDArray[np.floating]


class Verdicts:
    """Confidences of M models in K classes.

    Parameters
    ----------
    classes, models
        K and M names.
    clean, adversarial
        (M, K) softmax confidences from 0 to 1, or None where there is no such cloud.
    true_class, target_class
        Index of the class that the cloud is of, and that a targeted attack wants.

    Raises
    ------
    ValueError
        If an array is not (M, K) or not finite, or an index is not that of a class.
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
        given = {"clean": clean, "adversarial": adversarial}
        self.clouds = {name: np.array(values, float) for name, values in given.items() if values is not None}
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
        self.winners = {k for predicted in self.predicted.values() for k in predicted}

    def of_same_cloud(self, other: "Verdicts") -> bool:
        """Whether only the adversarial copy differs."""
        names = (self.classes, self.models, self.true_class) == (other.classes, other.models, other.true_class)
        return names and np.array_equal(self.clouds.get("clean", ()), other.clouds.get("clean", ()))

    def top(self, count: int) -> list[int]:
        """Classes worth a row: the true class first, then the others by falling confidence."""
        order = sorted(range(len(self.classes)), key=lambda k: (k != self.true_class, -self._best(k)))
        return order[:count] if self.clouds else []

    def hold(self, rows: Sequence[int]) -> list[int]:
        """The same rows in the same places, so that nothing jumps while a slider moves. Only a class that a model now
        predicts comes in, for the least confident row that is neither predicted nor true."""
        held = list(rows)
        for newcomer in sorted(self.winners - set(held)):
            free = [k for k in held if k not in self.winners and k != self.true_class]
            if free:
                held[held.index(min(free, key=self._best))] = newcomer
        return held

    def exact(self, model: int, k: int | None) -> str:
        """The numbers of a model for a class, or for what it predicts, to four decimals."""
        lines = [self.models[model] if k is None else f"{self.models[model]} · {self.classes[k]}"]
        for name, values in self.clouds.items():
            shown = self.predicted[name][model] if k is None else k
            lines.append(f"{name} {values[model, shown]:.4f}" + (f" {self.classes[shown]}" if k is None else ""))
        return "\n".join(lines)

    def spoken(self) -> str:
        """All verdicts as text, for a screen reader."""
        return ". ".join(
            f"{model}: " + ", ".join(self._say(name, m) for name in self.clouds)
            for m, model in enumerate(self.models)
            if self.clouds
        )

    def _say(self, name: str, model: int) -> str:
        k = self.predicted[name][model]
        judged = "" if self.true_class is None else " correct" if k == self.true_class else " wrong"
        return f"{name} {self.classes[k]} {self.clouds[name][model, k]:.2f}{judged}"

    def _best(self, k: int) -> float:
        return max((float(values[:, k].max()) for values in self.clouds.values()), default=0.0)
