"""Autoencoders on disk: one safetensors file each, whose header carries a card; those of the program are found by data.

Nothing is unpickled. A file is checked as one of a classifier is: its card, the names and shapes of its tensors and,
for those that come with the program, its checksum.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import save
from torch import nn

from core.models.autoencoder import Autoencoder, AutoencoderOptions
from core.models.cards import MOST_CARD_BYTES, ModelError, Text
from core.models.checkpoints import WEIGHTS
from core.models.port import training_data_of
from core.models.weight_files import has_valid_type, open_safetensors, weights_in
from core.options import explain
from core.results.records import read_as, write_json
from core.runtime.files import atomic_path, readable

INDEX = "autoencoders.json"
"""In the folder of the weights that come with the program: file -> SHA-256."""
_CARD = "autoencoder"  # key of the card in the header


class AutoencoderCard(BaseModel):
    """What an autoencoder was trained on, and how well it reconstructs."""

    model_config = ConfigDict(frozen=True)

    dataset: Text
    fingerprint: Text = Field(description="Fingerprint of the training set.")
    classes: tuple[Text, ...] = Field(max_length=10_000)
    up_axis: Text
    options: AutoencoderOptions
    epochs: int = Field(ge=0)
    seed: int = Field(ge=0)
    command: Text
    metrics: dict[Text, float] = Field({}, max_length=1000)
    versions: dict[Text, Text] = Field({}, max_length=1000)
    created: Text


def save_autoencoder(path: Path, model: Autoencoder, card: AutoencoderCard) -> str:
    """Write the weights, as float16, and the card to a file; returns its SHA-256.

    Running statistics stay float32, for a variance can leave the range of float16.
    """
    halved = {name for name, _ in model.named_parameters()}
    tensors = {
        name: value.detach().to("cpu", torch.float16 if name in halved else value.dtype).contiguous()
        for name, value in model.state_dict().items()
    }
    content = save(tensors, {"format": "pt", _CARD: card.model_dump_json()})
    with atomic_path(path) as part:
        part.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load_autoencoder(path: Path) -> tuple[Autoencoder, AutoencoderCard]:
    """The autoencoder of a file, in eval mode, in float32 and without gradients of its weights; and its card.

    Raises
    ------
    ModelError
        If the file is missing or damaged, does not fit its card, or differs from the one that was shipped.
    """
    with open_safetensors(path) as file:
        text, tensors = (file.metadata() or {}).get(_CARD, "null"), weights_in(file)
    if path.resolve().parent == WEIGHTS.resolve() and _index().get(path.name) != _sha256(path):
        raise ModelError(
            f"{readable(path)}: the file is not the one in {INDEX} (its SHA-256 differs); install it again."
        )
    try:
        card = AutoencoderCard.model_validate_json(text if len(text) <= MOST_CARD_BYTES else "null")
    except ValidationError as error:
        raise ModelError(f"{readable(path)}: the file carries no card of an autoencoder: {explain(error)}.") from None
    with torch.device("meta"):  # no memory is taken before the file is known to fill it
        model = Autoencoder(card.options)
    expected = model.state_dict()
    shapes = {name: tuple(value.shape) for name, value in expected.items()}
    if {name: tuple(value.shape) for name, value in tensors.items()} != shapes:
        raise ModelError(f"{readable(path)}: its tensors are not those of the autoencoder that its card describes.")
    if not all(has_valid_type(name, value) and value.isfinite().all() for name, value in tensors.items()):
        raise ModelError(f"{readable(path)}: it holds values that are not finite, or not of their type.")
    model.load_state_dict({name: value.to(expected[name].dtype) for name, value in tensors.items()}, assign=True)
    return model.eval().requires_grad_(False), card


def add_autoencoder(name: str, model: Autoencoder, card: AutoencoderCard) -> Path:
    """Put an autoencoder among those that come with the program; it replaces one of the same name."""
    path = WEIGHTS / f"{name}.safetensors"
    write_json(WEIGHTS / INDEX, {**_index(), path.name: save_autoencoder(path, model, card)})
    return path


def autoencoder_for(model: object, source: str = "", *, like: torch.Tensor) -> nn.Module:
    """The autoencoder of ``autoencoder_path``, which raises the same errors, or ``ModelError`` for a damaged file.

    Parameters
    ----------
    like : Tensor, whose device and type the autoencoder is to have.
    """
    path = autoencoder_path(model, source)
    return _loaded(path, path.stat().st_mtime_ns if path.is_file() else 0, like.device, like.dtype)


def autoencoder_path(model: object, source: str = "") -> Path:
    """The file of an autoencoder: ``source`` or, if that is empty, the one of the shapes a model was trained on.

    Parameters
    ----------
    model : the attacked model; of one that comes with the program its dataset decides, of any other its classes.

    Raises
    ------
    ModelError
        If no autoencoder of these shapes comes with the program.
    """
    if source:
        return Path(source).expanduser()
    dataset, classes = training_data_of(model)
    for name in _index():
        card = _card_of(WEIGHTS / name)
        if card.dataset == dataset or card.classes == classes:
            return WEIGHTS / name
    raise ModelError(
        "This needs an autoencoder of the shapes that the model was trained on, and none is installed for "
        f"{dataset or 'this model'}: train one with packaging/train_autoencoder.py, and give its file as autoencoder."
    )


@lru_cache(maxsize=8)
def _loaded(path: Path, changed: int, device: torch.device, dtype: torch.dtype) -> nn.Module:
    return load_autoencoder(path)[0].to(device, dtype)


@lru_cache(maxsize=8)
def _card_of(path: Path) -> AutoencoderCard:
    return load_autoencoder(path)[1]


def _index() -> dict[str, str]:
    path = WEIGHTS / INDEX
    return _read_index(path, path.stat().st_mtime_ns) if path.is_file() else {}


@lru_cache(maxsize=2)
def _read_index(path: Any, changed: int) -> dict[str, str]:
    """The index that was last changed at this time; an attack needs it at every step."""
    return read_as(path, dict[str, str], "an index of autoencoders")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
