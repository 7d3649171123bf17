"""The points of a latent map, and how they are found by words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.runtime.text import printable

HINT = "Find: chair, =table, wrong…"
HELP = (
    "Words that must all hold. chair: of this class. =table: predicted so. clean, adversarial: the kind. right, wrong: "
    "whether the prediction is the true class. #12: this cloud. Enter opens the next one that was found."
)


@dataclass(frozen=True, eq=False)
class MapPoints:
    """n points of clean and adversarial clouds.

    Raises
    ------
    ValueError
        If the lengths differ, a position is not finite, or a label is not that of a class.
    """

    xy: NDArray[np.floating]
    """(n, 2) positions."""
    labels: NDArray[np.integer]
    """(n,) true classes."""
    adversarial: NDArray[np.bool_]
    """(n,) whether a point is of an adversarial cloud. If there are as many as clean points, the k-th adversarial point
    belongs to the k-th clean one."""
    predicted: NDArray[np.integer]
    """(n,) predicted classes."""
    rows: NDArray[np.integer]
    """(n,) rows of the clouds in their split, by which they are found and named."""
    classes: tuple[str, ...]
    """Names of all classes."""

    def __post_init__(self) -> None:
        n, shapes = len(self.xy), [each.shape for each in (self.labels, self.adversarial, self.predicted, self.rows)]
        if self.xy.shape != (n, 2) or any(shape != (n,) for shape in shapes):
            raise ValueError(
                f"a map of shape {self.xy.shape} with labels, adversarial marks, predictions and rows of shapes "
                f"{', '.join(map(str, shapes))} was given; (n, 2) and four times (n,) are needed"
            )
        if not np.isfinite(self.xy).all():
            raise ValueError("the map has a position that is not finite")
        both = np.concatenate([self.labels, self.predicted])
        if both.size and not 0 <= both.min() <= both.max() < len(self.classes):
            raise ValueError(f"labels from {both.min()} to {both.max()} do not fit {len(self.classes)} classes")

    @property
    def present(self) -> list[int]:
        """The classes that some point has, ascending."""
        return [int(k) for k in np.unique(self.labels)]

    @property
    def pairs(self) -> NDArray[np.int64]:
        """(m, 2) indices of each clean point and its adversarial one; none if their numbers differ."""
        clean, adversarial = np.flatnonzero(~self.adversarial), np.flatnonzero(self.adversarial)
        return np.stack([clean, adversarial], axis=1) if len(clean) == len(adversarial) else np.empty((0, 2), np.int64)

    def matching(self, text: str) -> NDArray[np.bool_]:
        """(n,) whether all words of ``text`` hold for a point; see ``HELP``."""
        names = [name.lower() for name in self.classes]
        found = np.ones(len(self.xy), bool)
        for word in text.lower().split():
            if word in ("clean", "adversarial"):
                found &= self.adversarial == (word == "adversarial")
            elif word in ("right", "wrong"):
                found &= (self.labels == self.predicted) == (word == "right")
            elif word.startswith("="):
                found &= np.array([word[1:] in name for name in names], bool)[self.predicted]
            elif word.startswith("#"):
                found &= np.array([str(row) == word[1:] for row in self.rows], bool)
            else:
                found &= np.array([word in name for name in names], bool)[self.labels]
        return found

    def centre(self, k: int) -> tuple[NDArray[np.floating], float]:
        """Medoid (2,) of class ``k``, and y of the highest point of the half of the class that is nearest to it.

        Both are of the clean points, if the class has any.
        """
        of_class = self.labels == k
        clean = of_class & ~self.adversarial
        places = self.xy[clean if clean.any() else of_class]
        place = places[medoid(places)]
        distances = np.linalg.norm(places - place, axis=1)
        return place, float(places[distances <= np.median(distances), 1].max())

    def tip(self, index: int) -> str:
        """Class, number and kind of a point, and the predictions for both its clouds."""
        kind = "adversarial" if self.adversarial[index] else "clean"
        lines = [f"{printable(self.classes[self.labels[index]])} #{self.rows[index]}, {kind}"]
        for of_kind, name in ((False, "clean"), (True, "adversarial")):
            same = np.flatnonzero((self.rows == self.rows[index]) & (self.adversarial == of_kind))
            lines += [f"{name}: predicted {printable(self.classes[self.predicted[at]])}" for at in same[:1]]
        return "\n".join(lines)


def medoid(points: NDArray[np.floating]) -> int:
    """Index of the point (of (n, 2)) whose summed distance to all others is smallest."""
    places = points @ (1, 1j)
    return int(np.abs(places[:, None] - places).sum(axis=1).argmin())


NO_POINTS = MapPoints(
    np.empty((0, 2)), np.empty(0, int), np.empty(0, bool), np.empty(0, int), np.empty(0, int), classes=()
)
