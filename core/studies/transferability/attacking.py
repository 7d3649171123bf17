"""Adversarial samples of a transfer experiment, made once, and what the victims say of them.

Every function here is the operation of a piece of the work: it opens what it needs, and stores its result at its end.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from core.evaluation.accuracy import LabelledPredictions
from core.evaluation.make import COLUMNS, make_set, read_set
from core.evaluation.provenance import measurement_provenance, set_record
from core.evaluation.set_folder import SetFolder
from core.events import Done, Event, forward
from core.models.port import reseeded
from core.models.predict import predict, predictions
from core.results.records import read_as, read_npz, write_npz
from core.studies.transferability.distances import distance_columns
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import Booleans, Calibration, Floats, Integers
from core.studies.transferability.protocols import attack_under

Array = NDArray[np.float32]
LOSS_TOLERANCE = 1e-4
"""Share of the loss at which attacks end by which a matched sample may be short of it, for rounding."""
RMSE_TOLERANCE = 5e-3
"""The same of the RMSE that attacks have in common."""


def make(experiment: Experiment, surrogate: str, attack_name: str) -> Iterator[Event]:
    """Attack the samples through a surrogate: an adversarial set, and what ``findings.Made`` has of it."""
    model, data, options = experiment.model(surrogate), experiment.dataset.open(), experiment.options
    settled = read_calibration(experiment, surrogate)
    attack = attack_under(options, experiment.kind, attack_name, settled)
    folder = SetFolder(experiment.set_folder(surrogate, attack_name), COLUMNS)
    folder.begin(
        set_record(model, data.card, attack_name.partition("@")[0], attack, experiment.evaluation),
        measurement_provenance([model], data.card, attack, seed=options.seed, evaluation=experiment.evaluation),
    )
    making = make_set(
        model.module, data.split("test"), attack, experiment.evaluation, rows=experiment.rows, parts=folder
    )
    made = (yield from forward(making)).value
    folder.end()
    judged = LabelledPredictions(made.logits, made.latent, made.label)
    columns = _columns(experiment, made.clouds, judged, made.iterations)
    if experiment.of(attack_name, "optimiser"):
        columns["matched"] = _matched(experiment, settled, columns)
    write_npz(experiment.made_file(surrogate, attack_name), columns)
    yield Done()


def make_control(experiment: Experiment, surrogate: str, control: str) -> Iterator[Event]:
    """Noise that knows no model, as large for each sample as the largest perturbation of an optimiser (RMSE).

    ``random-sign`` is that perturbation with random signs. ``gaussian`` is normal noise, scaled and then cut off at
    epsilon so that the RMSE is the same. Values of images stay in their range: a sign that would lead out of it is
    turned, and normal noise is cut off there.
    """
    model, data, options = experiment.model(surrogate), experiment.dataset.open(), experiment.options
    clean = clean_samples(experiment)
    largest, size = clean.copy(), np.full(len(clean), -1.0)
    for attack in experiment.attacks:
        if experiment.of(attack, "optimiser"):
            made, _ = read_set(experiment.set_folder(surrogate, attack))
            larger = made.rmse > size
            largest[larger], size[larger] = made.clouds[larger], made.rmse[larger]
    delta = largest.astype(np.float64) - clean
    random = np.random.default_rng([options.seed, experiment.surrogates.index(surrogate)])
    low, high = (-np.inf, np.inf) if data.card.image is None else data.card.image.value_range
    if control == "random-sign":
        noise = np.abs(delta) * random.choice([-1.0, 1.0], delta.shape)
        noise = np.where((clean + noise < low) | (clean + noise > high), -noise, noise)
    else:
        noise = cut_noise(
            random.standard_normal(delta.shape), np.maximum(size, 0), options.epsilon, low - clean, high - clean
        )
    noisy = (clean + noise).astype(np.float32).clip(low, high)  # of sums that were rounded
    write_npz(experiment.noise_file(surrogate, control), {"samples": noisy})
    said = predict(reseeded(model.module, options.seed), noisy, options.batch_size)
    judged = LabelledPredictions(said.logits, said.latent, data.split("test").labels[experiment.rows])
    columns = _columns(experiment, noisy, judged, np.zeros(len(clean), dtype=np.int64))
    write_npz(experiment.made_file(surrogate, control), columns)
    yield Done()


def cut_noise(
    noise: Floats, size: Floats, most: float, least: ArrayLike = -np.inf, largest: ArrayLike = np.inf
) -> Floats:
    """Noise (n, ...), each scaled and then cut off at ``most`` so that its RMSE is that of ``size`` (n,).

    The scale is found by halving an interval; an RMSE that can't be reached becomes the largest that can.

    Parameters
    ----------
    least, largest : (n, ...), where it is cut off beside, if that is nearer.
    """
    flat = noise.reshape(len(noise), -1)
    floor, ceiling = np.maximum(least, -most), np.minimum(largest, most)
    floor, ceiling = (np.broadcast_to(part, noise.shape).reshape(flat.shape) for part in (floor, ceiling))
    low, high = np.zeros(len(flat)), np.full(len(flat), most / np.abs(flat).min(axis=1).clip(1e-12))
    for _ in range(100):
        middle = (low + high) / 2
        short = np.sqrt(np.square((middle[:, None] * flat).clip(floor, ceiling)).mean(axis=1)) < size
        low, high = np.where(short, middle, low), np.where(short, high, middle)
    return (high[:, None] * flat).clip(floor, ceiling).reshape(noise.shape)


def judge(experiment: Experiment, surrogate: str, attack: str, victim: str) -> Iterator[Event]:
    """The victim's classes ``prediction`` (n,) of the adversarial samples."""
    model, samples = experiment.model(victim), adversarial_samples(experiment, surrogate, attack)
    module = reseeded(model.module, experiment.options.seed)
    judged = yield from forward(predictions(module, samples, experiment.options.batch_size))
    write_npz(experiment.predicted_file(surrogate, attack, victim), {"prediction": judged.value.prediction})
    yield Done()


def read_calibration(experiment: Experiment, surrogate: str) -> Calibration:
    """What was settled for a surrogate."""
    return read_as(experiment.calibration_file(surrogate), Calibration, "the record of a calibration")


def clean_samples(experiment: Experiment) -> Array:
    """The clean samples (n, ...)."""
    split = experiment.dataset.open().split("test")
    return np.array(split.samples(experiment.rows, experiment.options.points))


def adversarial_samples(experiment: Experiment, surrogate: str, attack: str) -> Array:
    """What an attack, or a control, has made of them (n, ...)."""
    if experiment.of(attack, "control"):
        return read_npz(experiment.noise_file(surrogate, attack), ["samples"])["samples"]
    return read_set(experiment.set_folder(surrogate, attack))[0].clouds


def _matched(experiment: Experiment, settled: Calibration, made: dict[str, NDArray[Any]]) -> Booleans:
    """(n,), whether the protocol's condition is met."""
    options = experiment.options
    match options.protocol:
        case "equal-loss" | "rmse-term":
            assert settled.loss is not None
            return np.asarray(made["loss"] >= (1 - LOSS_TOLERANCE) * settled.loss)
        case "equal-rmse":
            wanted = options.rmse * options.epsilon
            return np.asarray(np.abs(made["rmse"] - wanted) <= RMSE_TOLERANCE * wanted)
        case "steps":
            return np.ones(len(made["loss"]), dtype=np.bool_)


def _columns(
    experiment: Experiment, samples: Array, judged: LabelledPredictions, iterations: Integers
) -> dict[str, NDArray[Any]]:
    """The fields of ``findings.Made``, all samples matched."""
    clean = clean_samples(experiment)
    return {
        "matched": np.ones(len(clean), dtype=np.bool_),
        "prediction": judged.prediction,
        "loss": judged.loss.astype(np.float64),
        "iterations": iterations,
        **distance_columns(clean, samples),
    }
