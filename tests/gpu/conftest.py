"""The device, and the same models and clouds on it and on the CPU, which is what a GPU's answers are compared with."""

from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from core.datasets import Split
from core.datasets.shapes16 import CATEGORIES, make_shape
from core.models.checkpoints import LoadedModel, builtin_models, load_model
from tests.gpu import DEVICE

POINTS, EACH = 1024, 4


class Pair(NamedTuple):
    """One model on both."""

    here: LoadedModel
    """On the CPU."""
    there: LoadedModel
    """On the device."""


@pytest.fixture(scope="session")
def device() -> torch.device:
    return torch.device(DEVICE)


@pytest.fixture(scope="session")
def pairs(device: torch.device) -> list[Pair]:
    """The shipped models of shapes16."""
    return [Pair(load_model(path), load_model(path, device)) for path in builtin_models("shapes16").values()]


@pytest.fixture(scope="session")
def shapes() -> Split:
    """A few shapes of every class that the models know and were not trained on."""
    labels: NDArray[np.int64] = np.repeat(np.arange(len(CATEGORIES)), EACH)
    points = np.stack([make_shape(CATEGORIES[label], 1000 + row, POINTS) for row, label in enumerate(labels)])
    return Split(points, labels, [f"{CATEGORIES[label]} {row}" for row, label in enumerate(labels)])
