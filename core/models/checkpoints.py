"""Weights on disk: one safetensors file, whose header carries the model card.

Nothing here unpickles. A file is written completely or not at all; reading one checks its card, the names and shapes of
its tensors and, for the models that come with the program, its checksum.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ValidationError
from safetensors.torch import save
from torch import Tensor, nn

from core.models import build, give_name
from core.models.cards import MOST_CARD_BYTES, ModelCard, ModelError, Text
from core.models.discriminator import discriminator_with_weights
from core.models.framed import framed
from core.models.port import (
    discriminator_of,
    give_class_latents,
    give_discriminator,
    give_training_data,
    give_value_range,
    latent_size,
)
from core.models.typical import Typical
from core.models.weight_files import (
    DISCRIMINATOR,
    TRAINING,
    TYPICAL,
    has_valid_type,
    open_with_card,
    tensors_under,
    weights_in,
)
from core.options import explain
from core.results.records import read_as, write_json
from core.runtime.devices import seeded
from core.runtime.files import atomic_path, readable
from resources import RESOURCES

WEIGHTS = RESOURCES / "weights"
"""The models that come with the program, and ``index.json`` with their checksums."""

BEST, LAST = "best.safetensors", "last.safetensors"
"""Weights in the folder of a training run."""


class IndexEntry(BaseModel):
    """The entry of ``index.json`` for a model that comes with the program."""

    title: Text
    dataset: Text
    sha256: Text
    zoo: bool = False
    """Whether it is of the transfer study's zoo: the window does not load it, and it is no surrogate of ``auto``."""


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model ready for use: in eval mode, in float32, on its device.

    Two are equal if they are the same module, whatever their names are.
    """

    module: nn.Module
    card: ModelCard
    sha256: str
    """SHA-256 of the whole file, card included."""
    path: Path | None = None
    """The file."""
    typical: Typical | None = None
    """What is typical of the training data; None if the file does not tell."""
    defense: str = ""
    """The defence before the model, with all settings, as typed in commands; empty without one."""
    bare: "LoadedModel | None" = None
    """The model without its defence; None if it has none."""

    def __post_init__(self) -> None:
        give_name(self.module, self.card.name)
        give_training_data(self.module, self.card.dataset, self.card.classes)
        if self.card.image is not None:
            give_value_range(self.module, self.card.image.value_range)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LoadedModel) and self.module is other.module

    def __hash__(self) -> int:
        return hash(id(self.module))

    @property
    def name(self) -> str:
        return self.card.name

    @property
    def discriminator(self) -> nn.Module | None:
        """The discriminator that it was trained with (Defense-PointNet); None if its file has none."""
        return discriminator_of(self.module)

    @property
    def shipped(self) -> bool:
        """Whether it came with the program."""
        return self.path is not None and self.path.parent == WEIGHTS


def save_model(
    path: Path,
    module: nn.Module,
    card: ModelCard,
    *,
    half: bool = False,
    training: Mapping[str, Tensor] | None = None,
    typical: Typical | None = None,
    discriminator: nn.Module | None = None,
) -> None:
    """Write weights and card to a file, completely or not at all.

    Parameters
    ----------
    half : bool
        Store the weights as float16, half the size. Running statistics stay float32: they are small, and a variance
        can leave the range of float16.
    training : mapping of tensors, optional
        State that ``load_training`` gives back and ``load_model`` skips.
    typical : Typical, optional
        What is typical of the training data; the card is written with its limits.
    discriminator : nn.Module, optional
        The one that the model was trained with.

    Raises
    ------
    ModelError
        If the card is too long to be read again.
    OSError
        If they cannot be written, such as on a full disk; an existing file stays as it was.
    """
    weights = {name for name, _ in module.named_parameters()}
    tensors = {
        name: tensor.detach().to("cpu", torch.float16 if half and name in weights else tensor.dtype).contiguous()
        for name, tensor in module.state_dict().items()
    }
    tensors |= {TRAINING + name: tensor.detach().cpu().contiguous() for name, tensor in (training or {}).items()}
    tensors |= {TYPICAL + name: tensor.contiguous() for name, tensor in (typical.tensors if typical else {}).items()}
    others = discriminator.state_dict() if discriminator is not None else {}
    tensors |= {DISCRIMINATOR + name: tensor.detach().cpu().contiguous() for name, tensor in others.items()}
    update = {"dtype": "float16" if half else "float32", "typical": typical.limits if typical else None}
    card = card.model_copy(update=update)
    text = card.model_dump_json()
    if len(text.encode()) > MOST_CARD_BYTES:
        raise ModelError(f"The model card of {card.name:.100} is longer than {MOST_CARD_BYTES:,} bytes.")
    content = save(tensors, {"format": "pt", "card": text})
    with atomic_path(path) as part:
        part.write_bytes(content)  # safetensors' own writing reports a full disk with no OSError


def read_card(path: Path) -> ModelCard:
    """The card of a file of weights, without reading the weights.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or carries no valid card.
    """
    with open_with_card(path) as (_, card):
        return card


def load_model(path: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """Build the model that a file describes and load its weights; files of other projects go to the importers.

    Raises
    ------
    ModelError
        If the file is missing or damaged, does not fit its card, or differs from the one that was shipped.
    """
    from core.models import importers  # which read what they find with the functions of this module

    if importers.is_foreign(path):
        return importers.load_foreign(path, device)
    with open_with_card(path) as (file, card):
        tensors, typical = weights_in(file), tensors_under(file, TYPICAL)
        discriminator = tensors_under(file, DISCRIMINATOR)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    shipped = path.resolve().parent == WEIGHTS.resolve()
    entry = _index().get(path.name) if shipped else None
    if shipped and (entry is None or entry.sha256 != sha256):
        raise ModelError(
            f"{readable(path)}: the file is not the one in index.json (its SHA-256 differs); install it again."
        )
    module = module_with_weights(path, card.architecture, len(card.classes), card.options, tensors)
    known = _load_typical(path, card, module, typical)
    trained_with = _load_discriminator(path, card, module, discriminator)
    if trained_with is not None:
        give_discriminator(module, trained_with.to(device))
    if card.source is not None:
        module = framed(module, card.source.frame)
    if known is not None and len(known.means) == len(card.classes):
        give_class_latents(module, torch.from_numpy(known.means).float().to(device))
    return LoadedModel(module.to(device), card, sha256, path, known)


def module_with_weights(
    path: Path, architecture: str, classes: int, options: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> nn.Module:
    """The model of an architecture with the weights ``tensors`` that were read from ``path``, in eval mode.

    Raises
    ------
    ModelError
        If they do not fit the architecture, or are not finite.
    """
    try:
        with seeded(0, torch.device("cpu")):  # so that a training in another thread keeps its random sequence
            module = build(architecture, classes, options)
    except ValidationError as error:
        raise ModelError(f"{readable(path)}: the card's options do not fit {architecture}: {explain(error)}.") from None
    except ValueError as error:
        raise ModelError(f"{readable(path)}: {error}") from None
    expected_shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = sorted(name for name in shapes.keys() | expected_shapes if shapes.get(name) != expected_shapes.get(name))
    if wrong:
        found, wanted = (table.get(wrong[0], "absent") for table in (shapes, expected_shapes))
        named = f"a {architecture} of {classes} classes"
        raise ModelError(f"{readable(path)}: {wrong[0]} is {found}, and {named} has {wanted}.")
    strange = next((name for name, tensor in tensors.items() if not has_valid_type(name, tensor)), None)
    if strange:
        raise ModelError(
            f"{readable(path)}: {strange} is {tensors[strange].dtype} or holds what no {architecture} can."
        )
    infinite = next((name for name, tensor in tensors.items() if not tensor.isfinite().all()), None)
    if infinite:
        raise ModelError(
            f"{readable(path)}: {infinite} holds values that are not finite, so the training had diverged."
        )
    module.load_state_dict(tensors)
    return module.eval()


def _load_typical(path: Path, card: ModelCard, module: nn.Module, tensors: Mapping[str, Tensor]) -> Typical | None:
    if card.typical is None:
        return None
    try:
        return Typical.load(card.typical, tensors, latent_size(module, card.image))
    except ValueError as error:
        raise ModelError(f"{readable(path)}: what it holds of its training data is damaged: {error}.") from None


def _load_discriminator(
    path: Path, card: ModelCard, module: nn.Module, tensors: Mapping[str, Tensor]
) -> nn.Module | None:
    """The discriminator of these tensors; without any, that of the last epoch of the run that ``path`` is of.

    Runs of earlier versions keep no other beside their best weights.
    """
    if tensors:
        try:
            return discriminator_with_weights(latent_size(module, card.image), tensors)
        except ValueError as error:
            raise ModelError(f"{readable(path)}: the discriminator that it holds is damaged: {error}.") from None
    last = path.with_name(LAST)
    if path.name != BEST or not last.is_file():
        return None
    try:
        with open_with_card(last) as (file, other):
            found, names = tensors_under(file, TRAINING + DISCRIMINATOR), ("options", "regime", "seed", "fingerprint")
        same = all(getattr(card, name) == getattr(other, name) for name in names)
        return discriminator_with_weights(latent_size(module, card.image), found) if found and same else None
    except ValueError:
        return None  # the best weights are of use without it


def load_training(path: Path) -> tuple[ModelCard, dict[str, Tensor], dict[str, Tensor]]:
    """Card, weights and training state of a file written with ``save_model(..., training=...)``."""
    with open_with_card(path) as (file, card):
        return card, weights_in(file), tensors_under(file, TRAINING)


def builtin_models(dataset: str | None = None, *, zoo: bool = False) -> dict[str, Path]:
    """The models that come with the program, or those of one dataset: name -> file, in the order to be shown in.

    Those of the transfer study's zoo are among them only with ``zoo``.
    """
    return {
        Path(file).stem: WEIGHTS / file
        for file, entry in _index().items()
        if (dataset is None or entry.dataset == dataset) and (zoo or not entry.zoo)
    }


def save_builtin(module: nn.Module, card: ModelCard, typical: Typical | None = None, *, zoo: bool = False) -> Path:
    """Save a model, as float16, among those that come with the program; it replaces one of the same name.

    With ``zoo`` it is one of the transfer study's zoo, and one that replaces such a model is too.
    """
    path, index = WEIGHTS / f"{card.name}.safetensors", _index()
    save_model(path, module, card, half=True, typical=typical)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    zoo = zoo or (path.name in index and index[path.name].zoo)
    entry = IndexEntry(title=card.title, dataset=card.dataset or "unknown", sha256=sha256, zoo=zoo)
    write_json(WEIGHTS / "index.json", index | {path.name: entry})
    return path


def resolve_model(source: str | Path) -> Path:
    """The file that a person means: the name of a built-in or imported model, a file, or the folder of a training run.

    Raises
    ------
    ModelError
        If it is none of them.
    """
    from core.models import importers

    if (named := (importers.imported_models() | builtin_models(zoo=True)).get(str(source))) is not None:
        return named
    path = Path(source).expanduser()
    if path.is_dir():
        if not (path / BEST).is_file():
            raise ModelError(
                f"{readable(path)} is not the folder of a training run with a finished epoch: it has no {BEST}."
            )
        return path / BEST
    if not importers.split_factory(path)[0].is_file():
        known = ", ".join(builtin_models()) or "none is installed"
        raise ModelError(
            f"There is no model {str(source)!r}: give a built-in one ({known}), one of `pointward models`, a file or a "
            "run's folder."
        )
    return path


def _index() -> dict[str, IndexEntry]:
    path = WEIGHTS / "index.json"
    return read_as(path, dict[str, IndexEntry], "an index of weights") if path.is_file() else {}
