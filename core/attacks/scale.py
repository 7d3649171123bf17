"""What epsilon measures under an attack."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class EpsilonScale:
    """The unit of an attack's epsilon, and the range of sliders and sweeps."""

    unit: str
    """Short unit, written after a number."""
    words: str
    """The unit in words."""
    highest: float
    """End of sliders and sweeps; an attack may allow more."""
    step: float
    """Change by one key press on a slider."""

    def text(self, epsilon: float) -> str:
        """A value with its unit, and with the decimals of a step: 0.100 r; more only for three significant digits."""
        decimals = max(0, -math.floor(math.log10(self.step) + 1e-9))
        fixed, short = f"{epsilon:.{decimals}f}", f"{epsilon:.3g}"
        return f"{fixed if float(f'{float(fixed):.3g}') == float(short) else short} {self.unit}"


MOST = 300.0
"""Largest epsilon that is a distance: that of images whose values are bytes. Of clouds it is ``DIAMETER``."""
DIAMETER = 2.0
"""That of the unit sphere."""

RADII = EpsilonScale("r", "unit-sphere radii", 0.3, 0.001)
POINTS = EpsilonScale("%", "per cent of the points", 50.0, 0.1)
DEGREES = EpsilonScale("°", "degrees", 180.0, 1.0)
SHARE = EpsilonScale("%", "per cent", 50.0, 0.1)


def points_of(per_cent: float, points: int) -> int:
    """``per_cent`` of a number of points, rounded down."""
    return int(per_cent * points / 100 + 1e-9)
