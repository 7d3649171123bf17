"""What one model's adversarial clouds do to another that played no part in making them."""

from collections.abc import Iterator

import numpy as np
import torch

from core.attacks import Attack
from core.clouds import linf, rmse
from core.datasets import Split
from core.evaluation.accuracy import Attacked, EvaluationOptions, chosen_clouds
from core.events import Cancel, Done, Event, Progress
from core.models import Classifier
from core.predict import device_of, predict


def transferred(
    surrogate: Classifier,
    victim: Classifier,
    split: Split,
    attack: Attack,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
) -> Iterator[Event]:
    """Attack ``surrogate`` and ask ``victim``.

    Yields
    ------
    Progress after each batch, then Done with the victim's answers (``Attacked``) to the clouds that were reached.
    """
    rows, device = chosen_clouds(split, options), device_of(surrogate)
    generator = torch.Generator().manual_seed(options.seed)
    parts = []
    done = 0
    for start in range(0, len(rows), options.batch_size):
        chosen = rows[start : start + options.batch_size]
        points = np.array(split.points[chosen, : options.points])
        label = torch.from_numpy(split.labels[chosen]).to(device)
        state = attack.start(surrogate, torch.from_numpy(points).to(device), label, generator)
        while state.step < attack.total_steps:
            state = attack.step(surrogate, state)
        moved = state.adversarial.cpu().numpy()
        answers = predict(victim, moved, options.batch_size)
        parts.append((answers.logits, answers.latent, split.labels[chosen], linf(points, moved), rmse(points, moved)))
        done += len(chosen)
        yield Progress(done, len(rows), "clouds transferred")
        if cancel and cancel.requested:
            break
    yield Done(Attacked(*(np.concatenate(part) for part in zip(*parts, strict=True))), complete=done == len(rows))
