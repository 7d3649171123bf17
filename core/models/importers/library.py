"""The imported models of this person, by name."""

from pathlib import Path

from platformdirs import user_data_path

from core.models.cards import ModelCard
from core.models.checkpoints import read_card
from core.models.importers.sources import CARD
from core.results.records import read_as

SAFETENSORS = ".safetensors"


def library_folder() -> Path:
    """Folder of the imported models: our own files of weights, and cards that name foreign files."""
    return user_data_path("pointward") / "models"


def imported_models() -> dict[str, Path]:
    """Name -> file of weights or card, sorted by name."""
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


def read_imported(path: Path) -> ModelCard:
    """The card of an imported model, without reading the model.

    Raises
    ------
    ModelError, FormatError
        If it is damaged.
    """
    return read_card(path) if path.suffix == SAFETENSORS else read_as(path, ModelCard, "the card of an imported model")
