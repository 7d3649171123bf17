"""How long the pieces of a transfer experiment will take, from times that were measured on its models."""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from time import perf_counter

import numpy as np
import torch

from core.attacks.evaluation import evaluate
from core.events import Cancel, Done, Event, Progress
from core.models.checkpoints import load_model
from core.models.predict import device_of
from core.results.records import read_npz
from core.runtime.devices import DeviceName, choose_device
from core.studies.transferability.attacking import read_calibration
from core.studies.transferability.distances import distance_columns
from core.studies.transferability.experiment import DatasetPlace, Experiment
from core.studies.transferability.findings import CONTROLS, Calibration
from core.studies.transferability.options import AT_A_LOSS
from core.studies.transferability.preparing import NEIGHBOURS
from core.studies.transferability.protocols import MOST_STEPS, attack_under, first_step


class Costs:
    """Seconds of each piece of the work.

    Parameters
    ----------
    seconds : by model, of a prediction, of a gradient, and of measuring distances, for each sample; those that the
        models were measured with if there are none. Attacks that are not calibrated yet are taken to make all steps.
    """

    def __init__(self, experiment: Experiment, seconds: Mapping[str, Sequence[float]] | None = None) -> None:
        self._experiment = experiment
        self._settled = {name: _settled(experiment, name) for name in experiment.surrogates}
        self._seconds = seconds or {name: _measured(experiment, name) for name in experiment.all_models}

    def left(self) -> float:
        """For all that is not done yet."""
        experiment, total = self._experiment, 0.0
        for surrogate in experiment.surrogates:
            for attack in experiment.attacks:
                if not experiment.is_made(surrogate, attack):
                    total += self.of_attack(surrogate, attack)
                for victim in experiment.victims_of(surrogate):
                    if not experiment.predicted_file(surrogate, attack, victim).exists():
                        total += self.of_judgement(victim)
        return total

    def of_preparation(self) -> float:
        """To measure the models and to calibrate the attacks, of which nothing is taken to be done."""
        experiment, options, total = self._experiment, self._experiment.options, 0.0
        for prediction, gradient, distances in self._seconds.values():
            total += options.samples * (prediction + (1 + NEIGHBOURS) * gradient + distances)
        steps = MOST_STEPS[experiment.kind]
        optimisers = {name.partition("@")[0] for name in experiment.attacks if experiment.of(name, "optimiser")}
        rounds = int(options.protocol in AT_A_LOSS)
        rounds += options.tuning if options.tuning > 1 or options.protocol == "equal-rmse" else 0
        for surrogate in experiment.surrogates:
            each = sum(steps[name] * self._of_step(surrogate, name) for name in optimisers)
            total += rounds * options.held_out * each
        return total

    def of_attack(self, surrogate: str, attack: str) -> float:
        """To attack the samples through a surrogate."""
        prediction, _, distances = self._seconds[surrogate]
        samples = self._experiment.options.samples
        if attack in CONTROLS:
            return samples * (prediction + distances)
        options = attack_under(self._experiment.options, self._experiment.kind, attack, self._settled[surrogate])
        steps = self._settled[surrogate].iterations.get(attack, options.total_steps)
        each = self._of_step(surrogate, attack) if options.gradients_a_step else prediction
        return samples * (steps * each + distances)

    def of_judgement(self, victim: str) -> float:
        """To predict the adversarial samples of one attack."""
        return self._experiment.options.samples * self._seconds[victim][0]

    def _of_step(self, surrogate: str, attack: str) -> float:
        """Of an attack that follows gradients, for a sample."""
        prediction, gradient, _ = self._seconds[surrogate]
        looks_ahead = attack.startswith(("na-gd", "ni"))  # whose gradients are at another place than the iterate
        return gradient + looks_ahead * prediction


def estimate_before_start(experiment: Experiment, cancel: Cancel | None = None) -> Iterator[Event]:
    """Measure a batch of samples with each model, and estimate how long the experiment, or the rest of it, will take.

    Yields
    ------
    Progress with each model; at last Done with the seconds, None if it was cancelled.
    """
    seconds: dict[str, Sequence[float]] = {}
    for place, name in enumerate(experiment.all_models):
        yield Progress(place, len(experiment.all_models), f"timing {name}")
        if cancel and cancel.requested:
            yield Done(None, complete=False)
            return
        if experiment.clean_file(name).is_file():
            seconds[name] = _measured(experiment, name)
        else:
            path, options = experiment.models[name], experiment.options
            changed, batch = path.stat().st_mtime_ns, min(options.batch_size, options.samples)
            seconds[name] = _timed(experiment.dataset, path, changed, experiment.device, options.points, batch)
    costs = Costs(experiment, seconds)
    begun = all(experiment.calibration_file(surrogate).is_file() for surrogate in experiment.surrogates)
    yield Done(costs.left() + (0.0 if begun else costs.of_preparation()))


@lru_cache(maxsize=64)
def _timed(
    dataset: DatasetPlace, path: Path, changed: int, device: DeviceName, points: int, batch: int
) -> tuple[float, float, float]:
    """Seconds of a prediction, of a gradient and of measuring distances, for each sample of a batch.

    ``changed`` is when the file was written: measured once, unless that changes.
    """
    module, split = load_model(path, choose_device(device)).module, dataset.open().split("test")
    samples = torch.from_numpy(np.array(split.samples(np.arange(batch), points))).to(device_of(module))
    label = torch.from_numpy(split.labels[:batch]).to(samples.device)
    evaluate(module, samples[:1], label[:1], gradient=True)  # the first call is slower than all others
    began = perf_counter()
    evaluate(module, samples, label, gradient=False).loss.cpu()
    predicted = perf_counter()
    evaluate(module, samples, label, gradient=True).loss.cpu()
    differentiated, clouds = perf_counter(), samples.cpu().numpy()
    distance_columns(clouds, clouds)
    ends = predicted - began, differentiated - predicted, perf_counter() - differentiated
    prediction, gradient, distances = (seconds / len(samples) for seconds in ends)
    return prediction, gradient, distances


def _measured(experiment: Experiment, name: str) -> list[float]:
    seconds: list[float] = read_npz(experiment.clean_file(name), ["seconds"])["seconds"].tolist()
    return seconds


def _settled(experiment: Experiment, surrogate: str) -> Calibration:
    """What was settled for a surrogate; before that, the usual first steps alone."""
    if experiment.calibration_file(surrogate).is_file():
        return read_calibration(experiment, surrogate)
    names = {name.partition("@")[0] for name in experiment.attacks if experiment.of(name, "optimiser")}
    return Calibration(first_step={name: first_step(experiment.options, experiment.kind, name) for name in names})


def duration_text(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
