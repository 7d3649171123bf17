"""Reads the results in the folder of a transfer experiment, again and again while it grows."""

from dataclasses import fields, replace

from core.results.records import read_npz
from core.studies.transferability.attacking import read_calibration
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import Made, TransferFindings


class Stored:
    """What an experiment has found so far; each call of ``findings`` reads the files that are new."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        data = experiment.dataset.open()
        self._findings = TransferFindings(
            options=experiment.options,
            dataset=data.card.name,
            modality=experiment.modality,
            row=experiment.rows,
            label=data.split("test").labels[experiment.rows],
            classes=tuple(data.card.classes),
            surrogates=experiment.surrogates,
            attacks=experiment.attacks,
            victims=experiment.victims,
            clean={},
            made={},
            predicted={},
            calibration={},
            smoothness={},
            alignment={},
        )

    def findings(self) -> TransferFindings:
        """Everything that is there now; its mappings are those of this moment.

        Raises
        ------
        FormatError
            If a file is damaged.
        """
        kept, experiment = self._findings, self._experiment
        clean, smoothness, alignment = dict(kept.clean), dict(kept.smoothness), dict(kept.alignment)
        calibration, made, predicted = dict(kept.calibration), dict(kept.made), dict(kept.predicted)
        for name in experiment.all_models:
            path = experiment.clean_file(name)
            if name not in clean and path.is_file():
                clean[name], smoothness[name] = read_npz(path, ["prediction", "smoothness"]).values()
        for surrogate in experiment.surrogates:
            if surrogate not in calibration and experiment.calibration_file(surrogate).is_file():
                calibration[surrogate] = read_calibration(experiment, surrogate)
            for victim in experiment.victims_of(surrogate):
                path = experiment.alignment_file(surrogate, victim)
                if (surrogate, victim) not in alignment and path.is_file():
                    alignment[surrogate, victim] = read_npz(path, ["cosine"])["cosine"]
            for attack in experiment.attacks:
                path = experiment.made_file(surrogate, attack)
                if (surrogate, attack) not in made and path.is_file():
                    made[surrogate, attack] = Made(**read_npz(path, [part.name for part in fields(Made)]))
                for victim in experiment.victims_of(surrogate):
                    path = experiment.predicted_file(surrogate, attack, victim)
                    if (surrogate, attack, victim) not in predicted and path.is_file():
                        predicted[surrogate, attack, victim] = read_npz(path, ["prediction"])["prediction"]
        self._findings = replace(
            kept,
            clean=clean,
            made=made,
            predicted=predicted,
            calibration=calibration,
            smoothness={name: smoothness[name] for name in experiment.surrogates if name in smoothness},
            alignment=alignment,
        )
        return self._findings
