"""``pointward evaluate``."""

from typing import Annotated

from cyclopts import Parameter

from core.commands.console import UserError, follow, show
from core.commands.shared import STOPPED, Count, Json, Seed, TableFile, Trial, cli
from core.evaluation.accuracy import EvaluationOptions, evaluate_accuracy
from core.results.records import write_csv


@cli.command
def evaluate(
    trial: Trial,
    *,
    clouds: Count = None,
    points: Count = None,
    stop_on_success: Annotated[bool, Parameter(negative="")] = False,
    seed: Seed = 0,
    records: TableFile = None,
    as_json: Json = False,
) -> int:
    """Clean and adversarial accuracy of a model on test clouds, with the realised distances.

    Parameters
    ----------
    clouds
        Test clouds to use; the default is all.
    points
        Points of each cloud; the default is what the model was trained with.
    stop_on_success
        End with each cloud once the model is fooled: the same accuracy sooner; confidences and losses are of then.
    seed
        Source of random restarts.
    records
        CSV file for one line per cloud.
    """
    model, data, attack = trial.open()
    options = EvaluationOptions(
        clouds=clouds,
        points=model.card.points if points is None else points,
        stop_on_success=stop_on_success,
        seed=seed,
    )
    report, complete = follow(
        lambda cancel: evaluate_accuracy(model.module, data.split("test"), attack, options, cancel), "evaluating"
    )
    if report is None:
        raise UserError("Stopped before the first clouds were attacked.")
    if records is not None:
        write_csv(records, report.records)
    show(
        {
            "model": model.name,
            "weights": model.sha256,
            "dataset": data.card.name,
            "fingerprint": data.card.fingerprint,
            "attack": trial.choice.attack,
            **attack.model_dump(),
            "points": options.points,
            "stop_on_success": stop_on_success,
            **report.summary(),
            "complete": complete,
        },
        as_json,
    )
    return 0 if complete else STOPPED
