"""State dicts: the tensors in a file of weights, whatever they were wrapped in; nothing in it is run."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from core.models.cards import ModelError
from core.models.checkpoints import read_tensors
from core.models.importers.sources import ACCEPTED
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
    """Whose definition it is."""
    points: tuple[int, ...]
    """Points of a cloud that the definition's training takes; several where the file does not tell which."""


class _StandIn:
    """What is made of an object that known projects put beside their weights, such as an accuracy: nothing."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


_BESIDE = (
    *("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
    *("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    *("numpy.dtype", "numpy.ndarray", "argparse.Namespace"),
)
_STAND_INS: list[Any] = [
    type(name.rpartition(".")[2], (_StandIn,), {"__module__": name.rpartition(".")[0]}) for name in _BESIDE
]
_allowing = threading.Lock()  # PyTorch's list of what may be loaded is the whole process's


def read_state(path: Path) -> State:
    """The state dict in a .safetensors file or in one that ``torch.save`` wrote.

    Raises
    ------
    ModelError
        If there is none, or it could only be loaded by running what is in the file.
    """
    content: Any = read_tensors(path) if path.suffix.lower() == ".safetensors" else _unpickled(path)
    wrapper = ""
    while isinstance(content, Mapping):
        inner = next((name for name in WRAPPERS if isinstance(content.get(name), Mapping)), None)
        if inner is None:
            break
        content, wrapper = content[inner], inner
    tensors = content.items() if isinstance(content, Mapping) else ()
    named = {_plain(name): value for name, value in tensors if isinstance(name, str) and isinstance(value, Tensor)}
    if not named:
        raise ModelError(f"{readable(path)} holds no state dict: save model.state_dict(), or export it as TorchScript.")
    return State(named, wrapper)


def _plain(name: str) -> str:
    """Without what ``nn.DataParallel`` puts before it."""
    while name.startswith("module."):
        name = name.removeprefix("module.")
    return name


def _unpickled(path: Path) -> Any:
    try:
        with _allowing, torch.serialization.safe_globals(_STAND_INS), path.open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except UnpicklingError as error:
        if "unsupported global" in str(error).casefold():
            raise ModelError(
                f"{readable(path)} holds Python objects, which only running its code could load: save "
                "model.state_dict() alone, or export it as TorchScript."
            ) from None
        raise _unreadable(path) from None
    except OSError:
        raise
    except Exception:  # a damaged pickle can raise anything
        raise _unreadable(path) from None


def _unreadable(path: Path) -> ModelError:
    return ModelError(f"{readable(path)} is not a whole file of PyTorch; {ACCEPTED}.")
