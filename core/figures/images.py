"""Figures of images."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from core.figures.rows import rows_of_boxes
from core.figures.style import PAGE, styled


@styled
def image_rows(
    images: Sequence[ArrayLike],
    names: Sequence[str],
    value_range: tuple[float, float] = (0.0, 1.0),
    width: float = PAGE,
) -> Figure:
    """Images (C, H, W), grey or of three colours, in rows with their names beneath.

    Parameters
    ----------
    names : of one or several lines.
    value_range : the values that are black and white.
    width : inches.
    """
    low, high = value_range
    pixels = [((np.asarray(image, dtype=np.float64) - low) / (high - low)).transpose(1, 2, 0) for image in images]
    height, across = pixels[0].shape[:2]
    figure, boxes = rows_of_boxes(names, 0.9 * height / across, width)
    for image, (left, bottom, share, along) in zip(pixels, boxes, strict=True):
        axes = figure.add_axes((left + 0.05 * share, bottom, 0.9 * share, along))
        axes.imshow(image.clip(0, 1) if image.shape[2] == 3 else image[..., 0], cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
    return figure
