"""Make once: what an attack on one model makes of given clouds, which any number of models can then judge."""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks import Attack, Ended, Evaluation
from core.clouds import chamfer_and_hausdorff, l2, linf, per_point_l2, rmse
from core.datasets import Split
from core.evaluation.accuracy import (
    AccuracyReport,
    AdversarialPredictions,
    CleanCache,
    EvaluationOptions,
    LabelledPredictions,
    chosen_clouds,
)
from core.evaluation.draws import Draws
from core.evaluation.set_folder import SHAPE_DISTANCES, Columns, SetFolder, SetRecord
from core.events import Cancel, Done, Event, Progress
from core.images import modality_of
from core.models import Classifier
from core.models.port import draws_anew, reseeded
from core.models.predict import device_of

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class AdversarialSet:
    """n adversarial clouds, how each was made, and what the attacked model, the surrogate, says of it.

    Of a surrogate that draws, that is what it said in the draws that the attack saw: lucky ones, so that only fresh
    draws can judge it.

    Distances, (n,) each, are those of ``core.clouds.Distances`` in unit-sphere radii, of the clouds as they are stored.
    """

    row: NDArray[np.int64]
    """(n,), places of the clean clouds in their split."""
    label: NDArray[np.int64]
    """(n,), true classes."""
    clouds: Array
    """(n, N, 3), never normalised again; of images (n, C, H, W)."""
    clean_logits: Array
    """(n, K), of the surrogate."""
    clean_latent: Array
    logits: Array
    """(n, K), of the surrogate for the adversarial clouds."""
    latent: Array
    success: NDArray[np.bool_]
    """(n,), whether the surrogate is fooled."""
    stop: NDArray[np.int64]
    """(n,), why the attack ended, a ``core.attacks.Stop``."""
    iterations: NDArray[np.int64]
    """(n,)"""
    forwards: NDArray[np.int64]
    """(n,), forward passes of the surrogate."""
    backwards: NDArray[np.int64]
    """(n,), backward passes."""
    zero_gradient: NDArray[np.float64]
    """(n,), share of the clean cloud's points at which the gradient is zero."""
    linf: NDArray[np.float64]
    per_point_l2: NDArray[np.float64]
    l2: NDArray[np.float64]
    rmse: NDArray[np.float64]
    chamfer: NDArray[np.float64]
    """NaN, as is ``hausdorff``, of a folder of an earlier version, until ``with_shape_distances`` computes them.

    Of images both are NaN, and so is ``per_point_l2``.
    """
    hausdorff: NDArray[np.float64]
    loss_trace: NDArray[np.float64]
    """(n, T + 1), cross-entropy in nats of the iterates of T steps; NaN after the attack on a cloud ended."""
    rmse_trace: NDArray[np.float64]
    """(n, T + 1)"""
    by: NDArray[np.str_]
    """(n,), the attack that made it."""

    def of(self, places: NDArray[np.int64]) -> Self:
        """Some of the clouds, (m,)."""
        return replace(self, **{part.name: getattr(self, part.name)[places] for part in fields(self)})

    def report(self, copies_left_out: int = 0) -> AccuracyReport:
        """What the surrogate itself says of the clouds, as the attack saw it."""
        return AccuracyReport(
            self.row,
            LabelledPredictions(self.clean_logits, self.clean_latent, self.label),
            self.judged(self.logits, self.latent),
            copies_left_out,
        )

    def judged(self, logits: Array, latent: Array, draws: Draws | None = None) -> AdversarialPredictions:
        """A model's predictions for these clouds, with their distances."""
        return AdversarialPredictions(logits, latent, self.label, self.linf, self.rmse, draws=draws)


COLUMNS = tuple(part.name for part in fields(AdversarialSet))


def read_set(folder: Path) -> tuple[AdversarialSet, SetRecord]:
    """The clouds of a folder, and how they were made; ``SHAPE_DISTANCES`` are NaN where the folder lacks them.

    Raises
    ------
    FormatError
        If it holds no adversarial set, or a damaged one.
    """
    store = SetFolder(folder, COLUMNS)
    record = store.record()
    return joined(store.batches()), record


def with_shape_distances(made: AdversarialSet, split: Split, points: int) -> AdversarialSet:
    """The set with the Chamfer and Hausdorff distances that are NaN computed from its clouds.

    Parameters
    ----------
    split : the clean clouds that it was made of.
    points : of each clean cloud, N.
    """
    absent = np.flatnonzero(np.isnan(made.chamfer) | np.isnan(made.hausdorff))
    if not len(absent):
        return made
    chamfer, hausdorff = made.chamfer.copy(), made.hausdorff.copy()
    clean = np.array(split.samples(made.row[absent], points))
    chamfer[absent], hausdorff[absent] = chamfer_and_hausdorff(clean, made.clouds[absent])
    return replace(made, chamfer=chamfer, hausdorff=hausdorff)


def stored_batch(parts: SetFolder | None, start: int, split: Split, points: int) -> Columns | None:
    """The batch of a folder that begins at the place ``start`` of the chosen clouds; None if it is absent or damaged.

    Chamfer and Hausdorff distances that it lacks are computed, see ``with_shape_distances``.
    """
    columns = parts.read(start) if parts is not None else None
    return columns and columns_of(with_shape_distances(joined([columns]), split, points))


def make_set(
    model: Classifier,
    split: Split,
    attack: Attack,
    options: EvaluationOptions,
    cancel: Cancel | None = None,
    *,
    rows: NDArray[np.int64] | None = None,
    clean_cache: CleanCache | None = None,
    parts: SetFolder | None = None,
) -> Iterator[Event]:
    """Attack the chosen clouds of a split through the gradients of ``model``.

    The random numbers for a cloud follow from ``options.seed`` and its place in the split: the same whichever others
    are attacked. A model that draws does so in each batch by a sequence that ``options.seed`` gives. Its clouds are
    attacked to the end, whatever ``options`` say: it may not be fooled in the next draw.

    Parameters
    ----------
    rows : places (n,) of the clouds in the split, in the place of those that ``options`` choose.
    clean_cache : evaluations of the model at clean clouds; missing batches are added.
    parts : where batches are kept as they are made; those that are there are not made again.

    Yields
    ------
    Progress after each batch, then Done with the ``AdversarialSet`` of the clouds that were reached; None if none was.
    """
    rows = chosen_clouds(split, options) if rows is None else rows
    seeds = torch.zeros(len(split), dtype=torch.long).random_(
        2**62, generator=torch.Generator().manual_seed(options.seed)
    )
    found: list[Columns] = []
    done = 0
    for start in range(0, len(rows), options.batch_size):
        chosen = rows[start : start + options.batch_size]
        columns = stored_batch(parts, start, split, options.points)
        if columns is None:
            columns = _batch(model, split, chosen, attack, options, seeds[chosen], clean_cache, start, cancel)
            if columns is None:
                break
            if parts is not None:
                parts.write(start, columns)
        found.append(columns)
        done += len(chosen)
        yield Progress(done, len(rows), f"{modality_of(split.points)} attacked")
        if cancel and cancel.requested:
            break
    yield Done(joined(found) if found else None, complete=done == len(rows))


def joined(parts: list[Columns]) -> AdversarialSet:
    """The set of several batches; traces are as long as the longest, absent ``SHAPE_DISTANCES`` are NaN."""
    parts = [{name: np.full(len(columns["row"]), np.nan) for name in SHAPE_DISTANCES} | columns for columns in parts]
    return AdversarialSet(**{name: np.concatenate(_even([columns[name] for columns in parts])) for name in COLUMNS})


def columns_of(made: AdversarialSet) -> Columns:
    return {part.name: getattr(made, part.name) for part in fields(made)}


def _even(arrays: list[NDArray[Any]]) -> list[NDArray[Any]]:
    """Arrays with rows (n, T) of different T, filled up with NaN."""
    if arrays[0].ndim != 2 or len({array.shape[1] for array in arrays}) == 1:
        return arrays
    most = max(array.shape[1] for array in arrays)
    return [np.pad(array, ((0, 0), (0, most - array.shape[1])), constant_values=np.nan) for array in arrays]


def _batch(
    model: Classifier,
    split: Split,
    chosen: NDArray[np.int64],
    attack: Attack,
    options: EvaluationOptions,
    seeds: torch.Tensor,
    clean_cache: CleanCache | None,
    start: int,
    cancel: Cancel | None,
) -> Columns | None:
    """The columns of one batch; None if it was cancelled."""
    model, until_fooled = reseeded(model, options.seed + start), options.stop_on_success and not draws_anew(model)
    points, device = np.array(split.samples(chosen, options.points)), device_of(model)
    clouds, label = (torch.from_numpy(part).to(device) for part in (points, split.labels[chosen]))
    state = attack.start(model, clouds, label, at_clean=clean_cache.get(start) if clean_cache else None)
    state = replace(state, seed=seeds)
    at_clean = state.at_clean
    assert at_clean is not None
    if clean_cache is not None and at_clean.gradient is not None and torch.equal(at_clean.objective, at_clean.loss):
        clean_cache[start] = at_clean  # an attack with another objective has another gradient
    parts = list(attack.finish(model, state, stop_on_success=until_fooled, cancel=cancel))
    if sum(len(part.rows) for part in parts) < len(label):
        return None
    made = _ordered([_ended(attack, part) for part in parts], torch.cat([part.rows for part in parts]))
    clean, adversarial = state.clean.cpu().numpy(), made["clouds"]  # both longer where points are added
    still = at_clean.zero_gradient
    chamfer, hausdorff = chamfer_and_hausdorff(clean, adversarial)
    return {
        "row": chosen,
        "label": split.labels[chosen],
        "clean_logits": at_clean.logits.cpu().numpy(),
        "clean_latent": at_clean.latent.cpu().numpy(),
        "zero_gradient": np.zeros(len(label)) if still is None else still.cpu().numpy(),
        "by": np.full(len(label), attack.description),
        "linf": linf(clean, adversarial),
        "per_point_l2": per_point_l2(clean, adversarial),
        "l2": l2(clean, adversarial),
        "rmse": rmse(clean, adversarial),
        "chamfer": chamfer,
        "hausdorff": hausdorff,
        **made,
    }


def _ended(attack: Attack, part: Ended) -> Columns:
    state, best = part.state, part.state.best
    assert isinstance(best, Evaluation)
    columns = {
        "clouds": state.adversarial,
        "logits": best.logits,
        "latent": best.latent,
        "success": attack.fooled(best.prediction, state.label),
        "stop": state.stop,
        "iterations": state.iterations,
        "forwards": state.forwards,
        "backwards": state.backwards,
        "loss_trace": part.loss.double(),
        "rmse_trace": part.rmse.double(),
    }
    return {name: value.cpu().numpy() for name, value in columns.items()}


def _ordered(parts: list[Columns], rows: torch.Tensor) -> Columns:
    """Columns of clouds that ended in turn, in the order of the batch."""
    order = rows.argsort().cpu().numpy()
    return {name: np.concatenate(_even([part[name] for part in parts]))[order] for name in parts[0]}
