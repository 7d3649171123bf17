"""The report on everything that the folder of a transfer experiment holds."""

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np

from core.results.records import provenance
from core.runtime.devices import choose_device, describe_device
from core.studies.transferability.attacking import Array, adversarial_samples, clean_samples
from core.studies.transferability.claims import Verdict
from core.studies.transferability.experiment import Experiment
from core.studies.transferability.findings import TransferFindings
from core.studies.transferability.measures import Measures
from core.studies.transferability.options import Protocol, TransferOptions
from core.studies.transferability.records import ExperimentRecord, ProtocolRecord
from core.studies.transferability.report import write_report
from core.studies.transferability.stored import Stored


def experiments_there(experiment: Experiment) -> dict[Protocol, Experiment]:
    """The experiments of all protocols in the folder of one of them."""
    found = {}
    for protocol in get_args(Protocol):
        record = ProtocolRecord.of(experiment.folder, protocol)
        if record is not None:
            found[protocol] = replace(
                experiment,
                options=TransferOptions.model_validate(record.options),
                surrogates=record.surrogates,
                chosen_attacks=record.attacks,
                victims=record.victims,
            )
    return found


def report_folder(experiment: Experiment) -> tuple[Path, dict[Protocol, TransferFindings], dict[str, Verdict]]:
    """Write the report on all protocols in the folder of an experiment, finished or not.

    Returns
    -------
    page, findings, answers : its file, what it is about, and what it says of each claim of the papers.
    """
    experiments = experiments_there(experiment)
    findings = {protocol: Stored(each).findings() for protocol, each in experiments.items()}
    first = next(iter(experiments))
    record = ExperimentRecord.of(experiment.folder)
    assert record is not None
    folder, card = experiment.folder / "report", experiment.dataset.open().card
    answers = write_report(
        findings,
        folder,
        provenance(
            {protocol: each.options for protocol, each in experiments.items()},
            seed=experiment.options.seed,
            dataset=record.fingerprint,
            weights=record.weights,
            device=describe_device(choose_device(experiment.device)),
            complete=all(_is_whole(each) for each in findings.values()),
        ),
        samples=_example(experiments[first], findings[first]),
        up=card.drawn_up,
        value_range=(0.0, 1.0) if card.image is None else card.image.value_range,
    )
    return folder / "report.html", findings, answers


def _is_whole(findings: TransferFindings) -> bool:
    done, planned = Measures(findings).progress()
    return done == planned


def _example(experiment: Experiment, findings: TransferFindings) -> dict[str, Array]:
    """For figure 3: a clean sample, then what each attack on the first surrogate made of it, by name.

    It is the first of the samples that the surrogate gets right and most of these attacks are matched on. Of an
    optimiser that was ended after several numbers of steps, the largest is shown.
    """
    surrogate = experiment.surrogates[0]
    made = [name for name in experiment.attacks if (surrogate, name) in findings.made]
    attacks = list({name.partition("@")[0]: name for name in made}.values())  # the numbers of steps rise
    if not attacks or surrogate not in findings.clean:
        return {}
    matched = np.sum([findings.made[surrogate, name].matched for name in attacks], axis=0)
    chosen = int(np.argmax(np.where(findings.clean[surrogate] == findings.label, matched, -1)))
    return {"clean": clean_samples(experiment)[chosen]} | {
        name: adversarial_samples(experiment, surrogate, name)[chosen] for name in attacks
    }
