"""What comes before the attacks: each model on the clean samples, and what is settled on held-out ones.

Every function here is the operation of a piece of the work: it opens what it needs, and stores its result at its end.
"""

from collections.abc import Generator, Iterator
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray

from core.attacks.evaluation import evaluate
from core.datasets import Split
from core.evaluation.make import AdversarialSet, make_set
from core.events import Done, Event, Progress, forward
from core.models import Classifier
from core.models.checkpoints import LoadedModel
from core.models.port import reseeded
from core.models.predict import device_of, predict
from core.results.records import read_as, read_npz, write_json, write_npz
from core.studies.transferability.distances import distance_columns
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import Calibration, Floats, Integers
from core.studies.transferability.options import AT_A_LOSS, TransferOptions
from core.studies.transferability.protocols import MOST_STEPS, RMSE_WEIGHT, attack_under, first_step
from core.studies.transferability.records import LossRecord

NEARBY = 0.1
"""Largest change of a coordinate, in units of epsilon, between the places at which gradients are compared."""
NEIGHBOURS = 2
"""Number of those places for each sample."""
LEAST_HELD_OUT = 4
"""Least number of held-out samples that a surrogate gets right, with which losses are calibrated."""
TUNING_FACTOR = 4.0
"""Ratio of neighbouring lengths of the first step that are tried."""


def measure_model(experiment: Experiment, name: str) -> Iterator[Event]:
    """The classes of the clean samples, the input gradients at them and how they change nearby, and the time it takes.

    Stores ``prediction`` (n,), ``gradient`` (n, D) of length 1, ``smoothness`` (n,), 1 - the cosine of the gradients at
    a sample and near it, and ``seconds`` (3,) of a prediction, of a gradient, and of measuring the distances of an
    adversarial sample, for each.
    """
    model, data = experiment.model(name), experiment.dataset.open()
    split, rows, options = data.split("test"), experiment.rows, experiment.options
    module, device = reseeded(model.module, options.seed), device_of(model.module)
    generator = torch.Generator().manual_seed(options.seed)
    classes, gradients, changes, seconds = [], [], [], []
    for start in range(0, len(rows), options.batch_size):
        chosen = rows[start : start + options.batch_size]
        samples = torch.from_numpy(np.array(split.samples(chosen, options.points))).to(device)
        label = torch.from_numpy(split.labels[chosen]).to(device)
        began = perf_counter()
        classes.append(evaluate(module, samples, label, gradient=False).prediction.cpu().numpy())
        predicted = perf_counter()
        at = _unit_gradients(module, samples, label)
        differentiated, cosines = perf_counter(), []
        for _ in range(NEIGHBOURS):
            noise = (2 * torch.rand(samples.shape, generator=generator) - 1).to(device)
            near = samples + NEARBY * options.epsilon * noise
            if data.card.image is not None:
                near = near.clamp(*data.card.image.value_range)
            cosines.append((at * _unit_gradients(module, near, label)).sum(1))
        measured = perf_counter()
        distance_columns(samples.cpu().numpy(), near.cpu().numpy())
        times = (predicted - began, differentiated - predicted, perf_counter() - measured)
        seconds.append(np.array(times) / len(chosen))
        gradients.append(at)
        changes.append(1 - np.mean(cosines, axis=0))
        yield Progress(start + len(chosen), len(rows))
    write_npz(
        experiment.clean_file(name),
        {
            "prediction": np.concatenate(classes),
            "gradient": np.concatenate(gradients),
            "smoothness": np.concatenate(changes).astype(np.float64),
            "seconds": np.median(seconds, axis=0),
        },
    )
    yield Done()


def _unit_gradients(module: Classifier, samples: torch.Tensor, label: torch.Tensor) -> NDArray[np.float32]:
    """The input gradients at samples as rows (n, D) of length 1; 0 stays 0."""
    gradient = evaluate(module, samples, label, gradient=True).gradient
    assert gradient is not None
    rows = gradient.flatten(1)
    length = rows.norm(dim=1, keepdim=True)
    return (rows / length.masked_fill(length == 0, 1)).cpu().numpy()


def align(experiment: Experiment, surrogate: str, victim: str) -> Iterator[Event]:
    """The ``cosine`` (n,) of the gradients of a surrogate and of a victim at the clean samples."""
    one, other = (read_npz(experiment.clean_file(name), ["gradient"])["gradient"] for name in (surrogate, victim))
    cosine = (one * other).sum(1, dtype=np.float64)
    write_npz(experiment.alignment_file(surrogate, victim), {"cosine": cosine})
    yield Done()


def measure_loss(experiment: Experiment, surrogate: str) -> Iterator[Event]:
    """How far the optimisers raise the loss of held-out samples, and the loss at which they are to end."""
    options, model, kind = experiment.options, experiment.model(surrogate), experiment.kind
    names = [name for name in experiment.attacks if experiment.of(name, "optimiser")]
    split, rows = held_out(experiment, model)
    traces: dict[str, Floats] = {}
    for place, name in enumerate(names):
        attack = attack_under(
            options.model_copy(update={"protocol": "steps"}),
            kind,
            f"{name}@{MOST_STEPS[kind][name]}",
            Calibration(first_step={name: first_step(options, kind, name)}),
        )
        made = yield from forward(
            make_set(model.module, split, attack, experiment.evaluation, rows=rows),
            before=place,
            weight=1,
            total=len(names),
            text=name,
        )
        traces[name] = made.value.loss_trace
    quantile = {name: float(np.quantile(trace.max(axis=1), 1 - options.reached)) for name, trace in traces.items()}
    loss = options.loss if options.loss is not None else min(quantile.values(), default=0.0)
    iterations = {name: float(_steps_to(trace, loss).mean()) for name, trace in traces.items()}
    record = LossRecord(samples=len(rows), quantile=quantile, loss=loss, iterations=iterations)
    write_json(experiment.loss_file(surrogate), record)
    yield Done()


def _steps_to(trace: Floats, loss: float) -> Integers:
    """The steps (m,) after which traces (m, T + 1) first reach a loss; T if they don't."""
    reached = trace >= loss
    return np.where(reached.any(axis=1), reached.argmax(axis=1), trace.shape[1] - 1)


def calibrate(experiment: Experiment, surrogate: str) -> Iterator[Event]:
    """Settle how the optimisers attack a surrogate under the protocol: the loss, the RMSE term, the first steps."""
    options, names = experiment.options, [name for name in experiment.attacks if experiment.of(name, "optimiser")]
    optimisers = tuple(dict.fromkeys(name.partition("@")[0] for name in names))
    loss, weight, iterations = None, 0.0, {}
    if options.protocol in AT_A_LOSS:
        measured = read_as(experiment.loss_file(surrogate), LossRecord, "the record of a calibration")
        loss, iterations = measured.loss, dict(measured.iterations)
        if options.protocol == "rmse-term":
            weight = RMSE_WEIGHT * loss if options.rmse_weight is None else options.rmse_weight
    steps = {name: first_step(options, experiment.kind, name) for name in optimisers}
    settled = Calibration(loss=loss, rmse_weight=weight, first_step=steps, iterations=iterations)
    if options.protocol == "steps":
        settled = settled.model_copy(update={"iterations": {name: float(name.partition("@")[2]) for name in names}})
    if optimisers and (options.tuning > 1 or options.protocol == "equal-rmse"):
        settled = yield from _tuned(experiment, surrogate, settled)
    write_json(experiment.calibration_file(surrogate), settled)
    yield Done()


def _tuned(experiment: Experiment, surrogate: str, settled: Calibration) -> Generator[Event, None, Calibration]:
    """``settled`` with the best first step of each optimiser among those tried, and the steps that attacks take."""
    options, model = experiment.options, experiment.model(surrogate)
    split, rows = held_out(experiment, model)
    others = [experiment.model(name) for name in experiment.surrogates if name != surrogate]
    lengths = TUNING_FACTOR ** (np.arange(options.tuning) - options.tuning // 2)
    chosen, tried, iterations = dict(settled.first_step), {}, dict(settled.iterations)
    total, done = len(chosen) * len(lengths), 0
    for optimiser, usual in settled.first_step.items():
        rates: dict[float, float] = {}
        steps: dict[float, float] = {}
        for length in np.minimum(usual * lengths, 1).tolist():
            changes = {"first_step": settled.first_step | {optimiser: length}}
            name = f"{optimiser}@{MOST_STEPS[experiment.kind][optimiser]}"
            attack = attack_under(
                options,
                experiment.kind,
                name if options.protocol == "steps" else optimiser,
                settled.model_copy(update=changes),
            )
            making = make_set(model.module, split, attack, experiment.evaluation, rows=rows)
            made = (yield from forward(making, before=done, weight=1, total=total, text=optimiser)).value
            assert isinstance(made, AdversarialSet)
            done += 1
            rates[length] = _success(others, made, options)
            steps[length] = float(made.iterations.mean())
        best = max(rates, key=lambda length: rates[length])
        chosen[optimiser] = best if options.tuning > 1 else usual
        if options.protocol != "steps":
            iterations[optimiser] = steps[best]
        if options.tuning > 1:
            tried[optimiser] = rates
    return settled.model_copy(update={"first_step": chosen, "tried": tried, "iterations": iterations})


def _success(models: list[LoadedModel], made: AdversarialSet, options: TransferOptions) -> float:
    """Mean over models of the share of adversarial samples that they get wrong; 0 without models."""
    modules = [reseeded(model.module, options.seed) for model in models]
    wrong = [predict(module, made.clouds, options.batch_size).prediction != made.label for module in modules]
    return float(np.mean(wrong)) if wrong else 0.0


def held_out(experiment: Experiment, model: LoadedModel) -> tuple[Split, Integers]:
    """The train split, and the held-out samples in it that a surrogate gets right.

    Raises
    ------
    ValueError
        If there are too few.
    """
    split, rows, options = experiment.dataset.open().split("train"), experiment.held_out_rows, experiment.options
    predicted = predict(
        reseeded(model.module, options.seed), split.samples(rows, options.points), options.batch_size
    ).prediction
    right = rows[predicted == split.labels[rows]]
    if len(right) < LEAST_HELD_OUT:
        raise ValueError(
            f"{model.name} gets {len(right)} of {len(rows)} held-out samples right, and {LEAST_HELD_OUT} are needed to "
            "calibrate attacks: choose another surrogate, or more held-out samples."
        )
    return split, right
