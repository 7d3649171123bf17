"""Images: what they are, and reading them from files."""

from core.images.format import ImageFormat, Modality, modality_of

__all__ = ["ImageFormat", "Modality", "modality_of"]
