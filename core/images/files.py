"""Reading an image file as the square of bytes that a classifier takes; what is in the file is bounded before work."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.runtime.files import FormatError, reason, require_regular_file

READABLE = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
"""Endings of the names of files that are taken for images."""
ACCEPTED = "accepted are JPEG, PNG, BMP and WebP of up to 64 million pixels with 8 bits a channel"
MOST_BYTES = 1 << 27
MOST_PIXELS = 64_000_000
SHORTER_SIDE, CROP = 256, 224
"""As usual for ImageNet: the shorter side becomes 256 pixels, of which the middle 224 are kept."""

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
_MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")


def read_image(path: Path) -> NDArray[np.uint8]:
    """The middle of an image: RGB, (3, 224, 224), 0 to 255.

    The square is cut out before it is resized, so that the work does not depend on how long the other side is.

    Raises
    ------
    FormatError
        If it is no whole image of an accepted kind, or larger than is read.
    """
    from PIL import Image

    if (size := require_regular_file(path, ACCEPTED)) > MOST_BYTES:
        raise FormatError(path, f"it has {size:,} bytes, more than {MOST_BYTES:,}", ACCEPTED)
    try:
        with warnings.catch_warnings(), path.open("rb") as file:
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of damaged metadata
            image = Image.open(file, formats=_FORMATS)
            _check(path, image)
            side = min(image.size) * CROP / SHORTER_SIDE
            left, top = ((length - side) / 2 for length in image.size)
            square = image.convert("RGB").resize(
                (CROP, CROP), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)
            )
    except FormatError:
        raise
    except Image.DecompressionBombError:
        raise FormatError(path, "it has more pixels than are read", ACCEPTED) from None
    except OSError as error:
        wrong = f"it cannot be read ({error.strerror})" if error.strerror else f"it is no whole image{reason(error)}"
        raise FormatError(path, wrong, ACCEPTED) from None
    except Exception as error:  # a damaged image makes Pillow raise almost anything
        raise FormatError(path, f"it is no whole image{reason(error)}", ACCEPTED) from None
    return np.asarray(square).transpose(2, 0, 1)


def _check(path: Path, image: Any) -> None:
    """Raise a ``FormatError`` if an image, of which the head alone has been read, is too large or of another kind."""
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise FormatError(path, f"it has {width:,} x {height:,} pixels", ACCEPTED)
    if image.mode not in _MODES:
        raise FormatError(path, f"its pixels are of the kind {image.mode}", ACCEPTED)
