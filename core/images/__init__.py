"""Images: what they are, and reading them from files."""

from core.images.format import ImageFormat

__all__ = ["ImageFormat"]
