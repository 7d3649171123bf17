"""Loads what the studio shows first: the shipped models and one built-in shape, before any dataset is opened."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from core.clouds import SHOWN, Cloud, resample
from core.events import Done, Event, Note, Progress, forward

if TYPE_CHECKING:  # importing it takes seconds; the window is painted first
    from core.models.checkpoints import LoadedModel

FIRST_DATASET = "shapes16"
FIRST_CLASS, FIRST_SEED = "chair", 218
"""Under FGSM the simple model is wrong from epsilon 0.025 up to the end of the slider. At 0.1 it predicts table, and
the others still predict chair."""


@dataclass(frozen=True, eq=False)
class Startup:
    """The first things on the screen."""

    models: tuple[LoadedModel, ...]
    cloud: Cloud
    device: str
    """The device that computes, in words."""
    read_device: Callable[[], str] | None
    """Says it anew, of a GPU, whose free memory changes; None for a CPU."""


def startup() -> Iterator[Event]:
    """Load PyTorch, then the models of the first dataset, then make one shape; ``Done`` with a ``Startup``."""
    yield Progress(0, 1, "loading PyTorch")
    from core.datasets.shapes16 import CATEGORIES, make_shape
    from core.runtime.devices import choose_device, describe_device
    from core.runtime.threads import set_threads_beside_window

    set_threads_beside_window()
    models: tuple[LoadedModel, ...] = (yield from forward(shipped_models(FIRST_DATASET))).value
    points = resample(make_shape(FIRST_CLASS, FIRST_SEED), SHOWN, "first")
    cloud = Cloud(points, FIRST_CLASS, CATEGORIES.index(FIRST_CLASS), FIRST_CLASS)
    device = choose_device("auto")
    described = partial(describe_device, device)
    yield Done(Startup(models, cloud, described(), described if device.type != "cpu" else None))


def shipped_models(dataset: str) -> Iterator[Event]:
    """Load the models that come with the program for a dataset; ``Done`` with a tuple of ``LoadedModel``.

    A damaged model is left out with a ``Note``, and so are all of them if their index is damaged.
    """
    from core.models.checkpoints import builtin_models, load_model
    from core.runtime.devices import choose_device

    device, models = choose_device("auto"), []
    try:
        paths = builtin_models(dataset)
    except ValueError as error:
        yield Note(str(error))
        yield Done(())
        return
    for place, (name, path) in enumerate(paths.items()):
        yield Progress(place, len(paths), f"loading {name}")
        try:
            models.append(load_model(path, device))
        except ValueError as error:
            yield Note(str(error))
    yield Done(tuple(models))
