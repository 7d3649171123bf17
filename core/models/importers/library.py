"""The imported models of this person, by name."""

from pathlib import Path

from platformdirs import user_data_path

from core.models.importers.sources import CARD

SAFETENSORS = ".safetensors"


def library_folder() -> Path:
    """Where imported models are kept: weights of ours, and the cards of foreign files."""
    return user_data_path("pointward") / "models"


def imported_models() -> dict[str, Path]:
    """Name -> weights or card, by name."""
    folder = library_folder()
    if not folder.is_dir():
        return {}
    found = {
        path.name.removesuffix(ending): path
        for ending in (SAFETENSORS, CARD)
        for path in folder.glob(f"*{ending}")
        if not path.name.startswith(".")
    }
    return dict(sorted(found.items()))
