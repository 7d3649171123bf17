"""Predictions of a model for many clouds: logits, latents and confidences, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from core.events import Cancel, Done, Event, Progress, result
from core.images import modality_of
from core.models import Classifier, eval_view, require_finite

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's outputs for n clouds."""

    logits: Array
    """(n, K)"""
    latent: Array
    """(n, D)"""

    @property
    def prediction(self) -> NDArray[np.int64]:
        """(n,), the predicted class."""
        return np.asarray(self.logits.argmax(1))

    @property
    def probabilities(self) -> Array:
        """(n, K), softmax of the logits."""
        return torch.tensor(self.logits).softmax(1).numpy()

    @property
    def confidence(self) -> Array:
        """(n,), maximum softmax probability: the confidence in the predicted class."""
        return np.asarray(self.probabilities.max(1))


def device_of(model: Classifier) -> torch.device:
    """Where a model's weights are; the CPU for a callable without weights."""
    weights = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return weights.device if weights is not None else torch.device("cpu")


def predictions(model: Classifier, points: Array, batch: int = 32, cancel: Cancel | None = None) -> Iterator[Event]:
    """Run the model over ``points`` in eval mode, whatever its mode is, and leave it in its own mode.

    Parameters
    ----------
    points : array (n, N, 3)
        Clouds in the unit sphere, or images (n, C, H, W); a memory map is read batch by batch.
    batch : int
        Clouds in one forward pass; the predictions do not depend on it.

    Yields
    ------
    Progress after each batch, then Done with the ``Predictions`` for the clouds done so far.

    Raises
    ------
    ValueError
        If ``points`` does not have the shape (n, N, 3) or (n, C, H, W), or is empty; ``NonFiniteError`` if logits are
        not finite.
    """
    if not (points.ndim == 4 or points.shape[2:] == (3,)) or points.size == 0:
        raise ValueError(f"Clouds to predict need the shape (n, points, 3), and these have {points.shape}.")
    device = device_of(model)
    logits, latents = [], []
    for start in range(0, len(points), batch):
        clouds = torch.from_numpy(np.array(points[start : start + batch], dtype=np.float32)).to(device)
        with eval_view(model) as classify, torch.inference_mode():  # not over the yield: both change the thread's state
            output = classify(clouds)
        logits.append(require_finite(model, output.logits.cpu()).numpy())
        latents.append(output.latent.cpu().numpy())
        yield Progress(min(start + batch, len(points)), len(points), f"{modality_of(points)} predicted")
        if cancel and cancel.requested:
            break
    done = Predictions(np.concatenate(logits), np.concatenate(latents))
    yield Done(done, complete=len(done.logits) == len(points))


def predict(model: Classifier, points: Array, batch: int = 32) -> Predictions:
    """The predictions for all clouds (n, N, 3), as ``predictions`` but without progress."""
    all_predictions: Predictions = result(predictions(model, points, batch))
    return all_predictions
