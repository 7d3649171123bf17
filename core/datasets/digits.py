"""digits: the 8 x 8 images of handwritten digits that come with scikit-learn, which read as arrays of 0 to 16."""

from collections.abc import Iterator

import numpy as np

from core.datasets.base import Listing, Source, held_out, sizes
from core.events import Done, Event
from core.images import ImageFormat

NAME = "digits"
TEST_FRACTION = 0.56
"""Fraction of each class that is the test split (seed 0): 1,005 images, about as many as the second paper attacks."""
FORMAT = ImageFormat(shape=(1, 8, 8), value_range=(0.0, 1.0))


def find() -> Source:
    """The images of scikit-learn, which are the same in all its versions."""
    return Source(
        name=NAME,
        title=NAME,
        up_axis="none",
        licence="CC BY 4.0",
        origin="Optical Recognition of Handwritten Digits, its test part (Alpaydin and Kaynak 1998), by scikit-learn",
        sampling="8 x 8 pixels of a scan, each the share of its 16 dots that have ink",
        location="",
        signature=f"1,797 images, {TEST_FRACTION:g} of each class to test",
        read=_read,
    )


def _read() -> Iterator[Event]:
    from sklearn.datasets import load_digits

    found = load_digits()
    test = held_out(found.target, TEST_FRACTION, seed=0)
    order = np.lexsort((found.target, test))  # split by split, and each by class
    yield Done(
        Listing(
            classes=tuple(str(digit) for digit in range(10)),
            splits=sizes("test" if held else "train" for held in test),
            labels=found.target[order],
            names=[f"{found.target[row]}_{row:04d}" for row in order],
            points=0,
            clouds=(found.images[row][None] / 16 for row in order),
            image=FORMAT,
        )
    )
