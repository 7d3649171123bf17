"""``pointward evaluate``."""

from typing import Annotated

import numpy as np
from cyclopts import Parameter

from core.commands.app import STOPPED
from core.commands.console import UserError, follow, note, show
from core.commands.shared import Count, DefenseName, Json, TableFile
from core.commands.trial import MEASUREMENT, Measurement, Trial
from core.datasets.matching import presence
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.judge import evaluate_accuracy
from core.evaluation.provenance import measurement_provenance
from core.results.records import write_csv, write_provenance


def evaluate(
    trial: Trial,
    *,
    clouds: Count = None,
    measurement: Measurement = MEASUREMENT,
    without_copies: Annotated[bool, Parameter(negative="")] = False,
    stop_on_success: Annotated[bool, Parameter(negative="")] = False,
    defense: DefenseName = None,
    records: TableFile = None,
    as_json: Json = False,
) -> int:
    """Clean and adversarial accuracy of a model on test clouds, with the realised distances.

    Parameters
    ----------
    clouds
        Test clouds to use; the default is all.
    without_copies
        Leave out test clouds that are copies of training clouds; the result says how many.
    stop_on_success
        End the attack on a cloud once the model is fooled: same accuracy, less time; confidences are of that moment.
    records
        CSV file for one line per cloud; how it was made goes into a file beside it, RECORDS.json.
    """
    model, data, attack, frame = trial.open(defense)
    options = EvaluationOptions(
        clouds=clouds,
        without_copies=without_copies,
        stop_on_success=stop_on_success,
        **measurement.options(model),
    )
    if data.card.copies and not without_copies:
        note(
            f"{data.card.copies:,} of the test clouds are copies of training clouds; --without-copies leaves them out."
        )
    surrogates = trial.surrogates(model)
    report, complete = follow(
        lambda cancel: evaluate_accuracy(
            model.module, data.split("test"), attack, options, cancel, surrogates=surrogates
        ),
        "evaluating",
    )
    if report is None:
        raise UserError("Stopped before the first clouds were attacked.")
    made_with = measurement_provenance(
        [model],
        data.card,
        attack,
        seed=options.seed,
        complete=complete,
        preset=trial.choice.attack,
        evaluation=options,
        class_names=trial.classes,
    )
    unlike = model.typical.unlike(report.clean.confidence, report.clean.latent) if model.typical else None
    if records is not None:
        write_csv(records, report.records | ({"unlike_training_data": unlike} if unlike is not None else {}))
        write_provenance(records, made_with)
    shown = {
        "model": model.name,
        "weights": model.sha256,
        **({"defense": model.defense} if model.defense else {}),
        "dataset": data.card.name,
        "fingerprint": data.card.fingerprint,
        "attack": trial.choice.attack,
        **attack.model_dump(),
        "seed": options.seed,
        "points": options.points,
        "stop_on_success": stop_on_success,
        **frame,
        "present": presence(report.clean.label, model.card.classes),
        "classes_present": len(np.unique(report.clean.label)),
        **report.summary(),
        "unlike_training_data": None if unlike is None else int(unlike.sum()),
        "complete": complete,
    }
    show(shown | {"provenance": made_with} if as_json else shown, as_json, trial.choice.details(attack))
    return 0 if complete else STOPPED
