"""Pictures in rows with names beneath."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure

MOST_IN_ROW = 5
Box = tuple[float, float, float, float]
"""Left, bottom, width and height, as shares of a figure."""


def rows_of_boxes(names: Sequence[str], aspect: float, width: float) -> tuple[Figure, list[Box]]:
    """A figure with a place for each of several pictures, and their names, of one or several lines, beneath.

    Parameters
    ----------
    aspect : height of a picture as a share of its width.
    width : inches.
    """
    rows = math.ceil(len(names) / MOST_IN_ROW)
    columns = math.ceil(len(names) / rows)
    share, lines = 1 / columns, max(name.count("\n") for name in names) + 1
    picture = aspect * share * width
    row_height = picture + 0.13 * lines + 0.06
    figure = Figure(figsize=(width, rows * row_height))
    boxes = []
    for index, name in enumerate(names):
        row, column = divmod(index, columns)
        bottom = 1 - (row * row_height + picture) / (rows * row_height)
        boxes.append((column * share, bottom, share, picture / (rows * row_height)))
        figure.text((column + 0.5) * share, bottom, name, size=7, ha="center", va="top")
    return figure, boxes
