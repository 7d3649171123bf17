"""How long the pieces of a transfer experiment will take, from times that were measured on its models."""

import numpy as np

from core.studies.transferability.attacking import read_calibration
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import CONTROLS
from core.studies.transferability.protocols import attack_under


class Costs:
    """Seconds of each piece of the work, once the models are measured and the attacks calibrated."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._settled = {name: read_calibration(experiment, name) for name in experiment.surrogates}
        self._seconds: dict[str, list[float]] = {}
        for name in experiment.all_models:
            with np.load(experiment.clean_file(name)) as file:
                self._seconds[name] = file["seconds"].tolist()

    def left(self) -> float:
        """For all that is not done yet."""
        experiment, total = self._experiment, 0.0
        for surrogate in experiment.surrogates:
            for attack in experiment.attacks:
                if not experiment.made_file(surrogate, attack).exists():
                    total += self.of_attack(surrogate, attack)
                for victim in experiment.victims_of(surrogate):
                    if not experiment.predicted_file(surrogate, attack, victim).exists():
                        total += self.of_judgement(victim)
        return total

    def of_attack(self, surrogate: str, attack: str) -> float:
        """To attack the samples through a surrogate."""
        prediction, gradient, distances = self._seconds[surrogate]
        samples = self._experiment.options.samples
        if attack in CONTROLS:
            return samples * (prediction + distances)
        options = attack_under(self._experiment.options, self._experiment.modality, attack, self._settled[surrogate])
        steps = self._settled[surrogate].iterations.get(attack, options.total_steps)
        looks_ahead = attack.startswith(("na-gd", "ni"))  # whose gradients are at another place than the iterate
        each = prediction if not options.gradients_a_step else gradient + looks_ahead * prediction
        return samples * (steps * each + distances)

    def of_judgement(self, victim: str) -> float:
        """To predict the adversarial samples of one attack."""
        return self._experiment.options.samples * self._seconds[victim][0]


def duration_text(seconds: float) -> str:
    """A duration for people: 40 s, 12 min, 2 h 10 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{max(1, round(seconds))} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
