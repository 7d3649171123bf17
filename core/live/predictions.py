"""The predictions of several models for one cloud, computed at the same time on several cores."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks import evaluate
from core.clouds import Distances, distances
from core.live.scene import Setup
from core.models import Classifier, eval_view, require_finite
from core.models.cards import NoGradientError
from core.models.checkpoints import LoadedModel
from core.models.port import reseeded
from core.models.predict import device_of
from core.runtime.threads import run_concurrently

Array = NDArray[np.float32]
_VERDICT = 2**31  # PyTorch takes 32 bits of a seed
"""Between the seeds of an attack and of the verdicts on its clouds: no step draws what a verdict draws, or the attack
would know the random numbers of the defence that judges it."""


def clean_batch(setup: Setup) -> torch.Tensor:
    """The clean cloud (1, N, 3) on the device of the attacked model."""
    return torch.from_numpy(setup.cloud.points)[None].to(device_of(setup.models[setup.primary].module))


def predict_all(setup: Setup, x: torch.Tensor, clean: torch.Tensor) -> tuple[Array, list[Array], Distances]:
    """All models' confidences (M, K) for x (1, N, 3), the latent (D,) of each, and the distances from ``clean``."""
    distance, *predictions = run_concurrently(
        [
            partial(distances, clean[0].numpy(force=True), x[0].numpy(force=True)),
            *(partial(predict_batch, model, x, setup.seed) for model in setup.models),
        ]
    )
    confidences = np.stack([confidence[0] for confidence, _ in predictions])
    return confidences, [latent[0] for _, latent in predictions], distance


def judging(model: LoadedModel, seed: int) -> Classifier:
    """The model as it judges clouds: one that draws does so by the seed of the attack, but not as its steps do.

    So the same cloud has the same verdict wherever it is asked for, and an independent one.
    """
    return reseeded(model.module, seed + _VERDICT)


@torch.no_grad()
def predict_batch(model: LoadedModel, x: torch.Tensor, seed: int) -> tuple[Array, Array]:
    """Confidences (B, K) and latents (B, D) of a model on clouds x (B, N, 3)."""
    with eval_view(judging(model, seed)) as classify:
        output = classify(x.to(device_of(model.module)))
    logits = require_finite(model.module, output.logits.cpu())
    return logits.softmax(1).numpy(), output.latent.cpu().numpy()


def gradient_lengths(setup: Setup, x: torch.Tensor, label: torch.Tensor) -> Array:
    """(N,) length of the gradient of the cross-entropy to ``label`` (1,) at each point of x (1, N, 3).

    It is 0 everywhere for a model that gives no gradient.
    """
    try:
        gradient = evaluate(judging(setup.models[setup.primary], setup.seed), x, label, gradient=True).gradient
    except NoGradientError:
        return np.zeros(x.shape[1], np.float32)
    assert gradient is not None
    return gradient[0].norm(dim=1).cpu().numpy()
