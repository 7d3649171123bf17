"""Reading the tensors and the card of a safetensors file; nothing is unpickled."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from core.models.cards import MOST_CARD_BYTES, ModelCard, ModelError
from core.options import explain
from core.runtime.files import readable

TRAINING = "training/"
"""First part of the names of tensors that only a resumed training reads."""
TYPICAL = "typical/"
"""That of the tensors that tell what is typical of the training data."""
DISCRIMINATOR = "discriminator/"
"""That of the weights of the discriminator that a model was trained with."""
_OTHERS = (TRAINING, TYPICAL, DISCRIMINATOR)


def has_valid_type(name: str, tensor: Tensor) -> bool:
    """Whether a weight has a type of its kind, and is not a negative variance."""
    if name.endswith("num_batches_tracked"):
        return tensor.dtype == torch.int64
    real = tensor.dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)
    return real and not (name.endswith("running_var") and bool((tensor < 0).any()))


def has_card(path: Path) -> bool:
    """Whether a safetensors file is one of this program; raises as ``read_card`` if it is damaged."""
    with open_safetensors(path) as file:
        return "card" in (file.metadata() or {})


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of any safetensors file; raises as ``read_card`` if it is damaged."""
    with open_safetensors(path) as file:
        return weights_in(file)


@contextmanager
def open_with_card(path: Path) -> Iterator[tuple[Any, ModelCard]]:
    """An open file of this program and its card.

    Raises
    ------
    ModelError
        If the file is missing or damaged, or carries no valid card.
    """
    with open_safetensors(path) as file:
        text = (file.metadata() or {}).get("card", "null")
        if len(text) > MOST_CARD_BYTES:
            raise ModelError(f"{readable(path)}: its model card is longer than {MOST_CARD_BYTES:,} bytes.")
        try:
            card = ModelCard.model_validate_json(text)
        except ValidationError as error:
            raise ModelError(f"{readable(path)}: the file carries no valid model card: {explain(error)}.") from None
        yield file, card


@contextmanager
def open_safetensors(path: Path) -> Iterator[Any]:
    """An open safetensors file; raises ``ModelError`` if it is missing or damaged."""
    try:
        with _name_in_utf8(path) as name, safe_open(name, framework="pt") as file:
            yield file
    except FileNotFoundError:
        raise ModelError(f"{readable(path)}: there is no such file of weights.") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{readable(path)}: not a whole safetensors file ({error}).") from None


@contextmanager
def _name_in_utf8(path: Path) -> Iterator[str]:
    """A name by which safetensors can open a file; a path that is not UTF-8, which it refuses, is opened here first."""
    if readable(path) == str(path):
        yield str(path)
    else:
        with path.open("rb") as file:
            yield f"/dev/fd/{file.fileno()}"


def weights_in(file: Any) -> dict[str, Tensor]:
    """The tensors of the model itself."""
    return {name: file.get_tensor(name) for name in file.keys() if not name.startswith(_OTHERS)}  # noqa: SIM118


def tensors_under(file: Any, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with ``prefix``, without it."""
    return {name.removeprefix(prefix): file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
