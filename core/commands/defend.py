"""``pointward defend``."""

from typing import Annotated

from core.commands.app import STOPPED
from core.commands.checks import validated
from core.commands.console import UsageError, UserError, follow, show, write
from core.commands.shared import Count, Json, TableFile
from core.commands.trial import MEASUREMENT, Measurement, Trial, split_defense
from core.defenses import names
from core.evaluation.defended import DefendOptions, DefenseStudy, try_defenses
from core.evaluation.provenance import measurement_provenance
from core.results.records import write_csv, write_provenance


def defend(
    trial: Trial,
    *,
    defenses: Annotated[str | None, validated(names.parse_several)] = None,
    clouds: Count = 200,
    measurement: Measurement = MEASUREMENT,
    averaged: Count = None,
    out: TableFile = None,
    records: TableFile = None,
    as_json: Json = False,
) -> int:
    """What input defences are worth, against attackers who do not know them and who do, and one sentence on each.

    Parameters
    ----------
    defenses
        Defences to try before the model, separated by commas, with settings as srs,sor:k=3,alpha=1.5; the default is
        all that the model can stand behind.
    clouds
        Test clouds to use.
    averaged
        Draws whose mean the adaptive attack on a random defence follows in each step; the default is 8.
    out
        CSV file for the table; how it was made goes into a file beside it, OUT.json.
    records
        CSV file for one line per defence and cloud, and in the same way a file beside it.
    """
    if split_defense(trial.model)[1] is not None:
        raise UsageError("Defences are tried before a model without one: leave out what follows the model's name.")
    model, data, attack, frame = trial.open()
    values = {"clouds": clouds, "averaged": averaged, **measurement.options(model)}
    options = DefendOptions.model_validate({name: value for name, value in values.items() if value is not None})
    if model.card.image is not None:
        raise UsageError(f"Input defences are for clouds, and {model.name} takes images.")
    tried = names.all_for(model.module) if defenses is None else names.parse_several(defenses)
    study, complete = follow(
        lambda cancel: try_defenses(model.module, data.split("test"), attack, tried, options, cancel), "defending"
    )
    if study is None:
        raise UserError("Stopped before the first defence was tried.")
    assert isinstance(study, DefenseStudy)
    made_with = measurement_provenance(
        [model],
        data.card,
        attack,
        seed=options.seed,
        complete=complete,
        preset=trial.choice.attack,
        evaluation=options,
        defenses=[names.written(defense, whole=True) for defense in tried.values()],
        class_names=trial.classes,
    )
    table = study.table(f"{model.name} on {data.card.name}, {trial.choice.attack}: {attack.caption}")
    if out is not None:
        table.write(out)
        write_provenance(out, made_with)
    if records is not None:
        write_csv(records, study.records())
        write_provenance(records, made_with)
    if as_json:
        facts = {
            "model": model.name,
            "weights": model.sha256,
            "dataset": data.card.name,
            "fingerprint": data.card.fingerprint,
            "attack": trial.choice.attack,
            **attack.model_dump(),
            "seed": options.seed,
            "points": options.points,
            "n": len(study.row),
            "fresh_draws": options.fresh_draws,
            "averaged": options.averaged,
            **frame,
            "undefended": {"clean": study.clean.mean, "attacked": study.attacked.mean},
            "defenses": study.summary(),
            "complete": complete,
            "provenance": made_with,
        }
        show(facts, as_json)
    else:
        write("\n".join([table.markdown(), *(study.claim(result) for result in study.results)]))
    return 0 if complete else STOPPED
