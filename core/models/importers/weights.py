"""Reads state dicts: the tensors in a file of weights, however they are wrapped. No code in the file is run."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from core.models.cards import ModelError
from core.models.importers.sources import ACCEPTED
from core.models.weight_files import read_tensors
from core.runtime.files import readable

WRAPPERS = ("model_state_dict", "net", "model", "base_model", "state_dict")
"""Entries under which known projects keep the state dict."""


@dataclass(frozen=True, eq=False)
class State:
    """The weights of a model, by name."""

    tensors: Mapping[str, Tensor]
    wrapper: str
    """The entry they were in; empty if they were not wrapped."""

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor; () if it is not there."""
        return tuple(self.tensors[name].shape) if name in self.tensors else ()


@dataclass(frozen=True, eq=False)
class Built:
    """How the weights of a family become a model of ours."""

    architecture: str
    classes: int
    options: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    project: str
    """The project that defined the architecture."""
    points: tuple[int, ...]
    """Points per cloud in that project's training; several if the file does not tell which."""
    options_of_points: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """Options that the number of points decides."""


class _StandIn:
    """Replaces an object that known projects save beside weights, such as an accuracy; its content is ignored."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_HARMLESS_TYPES = (
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    *("numpy.dtype", "numpy.ndarray", "argparse.Namespace"),
)
_STAND_INS: list[Any] = [
    type(name.rpartition(".")[2], (_StandIn,), {"__module__": name.rpartition(".")[0]}) for name in _HARMLESS_TYPES
]
_allow_list_lock = threading.Lock()  # PyTorch's list of allowed types is shared by all threads


def read_state(path: Path) -> State:
    """The state dict in a .safetensors file or in one that ``torch.save`` wrote.

    Raises
    ------
    ModelError
        If there is none, or loading it would run code in the file.
    """
    found: Any = read_tensors(path) if path.suffix.lower() == ".safetensors" else _load_weights_only(path)
    content: Mapping[Any, Any] = found if isinstance(found, Mapping) else {}
    wrapper = ""
    for _ in WRAPPERS:  # bounded, because a malicious file may be wrapped in itself
        inner = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content, wrapper = content[inner], inner
    named = {
        _without_module_prefix(name): value
        for name, value in content.items()
        if isinstance(name, str) and _is_weight(value)
    }
    if not named:
        raise ModelError(f"{readable(path)} holds no state dict: save model.state_dict(), or export it as TorchScript.")
    return State(named, wrapper)


def _without_module_prefix(name: str) -> str:
    """The name of a weight without the ``module.`` that ``nn.DataParallel`` puts before it."""
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _is_weight(value: Any) -> bool:
    """Whether a value is a usable weight: a tensor on the CPU that is neither sparse nor quantised."""
    if not isinstance(value, Tensor):
        return False
    return value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized


def _load_weights_only(path: Path) -> Any:
    try:
        with _allow_list_lock, torch.serialization.safe_globals(_STAND_INS), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "unsupported global" in str(error).casefold():
            raise ModelError(
                f"{readable(path)} holds Python objects, which only running its code could load: save "
                "model.state_dict() alone, or export it as TorchScript."
            ) from None
        raise _unreadable_error(path) from None
    except OSError:
        raise
    except Exception:  # a damaged pickle can raise anything
        raise _unreadable_error(path) from None


def _unreadable_error(path: Path) -> ModelError:
    return ModelError(f"{readable(path)} is not a whole file of PyTorch; {ACCEPTED}.")
