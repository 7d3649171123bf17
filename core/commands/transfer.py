"""``pointward transfer``."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, get_args

from core.commands.app import STOPPED
from core.commands.checks import check_device, check_model, require, validated
from core.commands.console import UsageError, follow, note, show
from core.commands.orientation import NOT_GIVEN, GivenOrientation
from core.commands.shared import (
    AllowMissing,
    Count,
    DataRoot,
    DatasetName,
    Device,
    Flat,
    Folder,
    Json,
    cache_folder,
    find_dataset,
)
from core.models.checkpoints import resolve_model
from core.options import partial
from core.runtime.pieces import Engine
from core.studies.transferability.claims import Verdict
from core.studies.transferability.options import Protocol, TransferOptions
from core.studies.transferability.zoo import Role, member_file, members_of

TransferChanges = partial("TransferChanges", TransferOptions, without=("protocol",))
ALL = "all"


def _listed(text: str, known: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """Names of a list separated by commas, each once; ``all`` is all that are known."""
    names = known if text == ALL else tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if unknown := [name for name in names if name not in known]:
        raise ValueError(f"There is no {kind} {unknown[0]!r}; there are {', '.join(known)}.")
    return names


def _protocols(text: str) -> tuple[str, ...]:
    return _listed(text, get_args(Protocol), "protocol")


def _attacks(text: str) -> tuple[str, ...]:
    from core.studies.transferability.protocols import ATTACKS

    return _listed(text, ATTACKS, "attack")


def transfer(
    *,
    out: Folder,
    surrogates: str = ALL,
    victims: str = ALL,
    attacks: Annotated[str, validated(_attacks)] = ALL,
    protocol: Annotated[str, validated(_protocols)] = "equal-loss",
    zoo: Path | None = None,
    dataset: DatasetName = "modelnet16",
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    orientation: GivenOrientation = NOT_GIVEN,
    options: Annotated[TransferChanges | None, Flat] = None,  # type: ignore[valid-type]
    engine: Engine = "here",
    workers: Count = None,
    address: str | None = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Attack models and judge others on the adversarial samples, as the second paper does, and report it.

    Called again, it goes on where it ended. Protocols that are run into the same folder share what they can, and one
    report.

    Parameters
    ----------
    out
        Folder of all results; the report is OUT/report/report.html.
    surrogates
        Models that are attacked, separated by commas: names of the zoo (`pointward zoo`), installed or imported models,
        run folders or files. The default is the surrogates of the zoo.
    victims
        Models that judge the adversarial samples, in the same way; the default is the victims of the zoo.
    attacks
        gd, m-gd, na-gd, adam, l-adam, adabelief, m-svag; pgd, mi, ni, fgsm, square; random-sign, gaussian.
    protocol
        What attacks have in common: equal-loss, rmse-term, equal-rmse or steps; several separated by commas, or all.
    zoo
        Folder of the runs of `pointward zoo train`; without it the zoo is what is installed.
    dataset
        Dataset whose test samples are attacked.
    engine
        Where the work is done: here, in processes of this machine (joblib), or on a Ray cluster.
    workers
        Number of processes of joblib or Ray.
    address
        Head of the Ray cluster, HOST:PORT; without it Ray is started on this machine.
    """
    from core.studies.transferability.experiment import DatasetPlace, Experiment  # half a second to import
    from core.studies.transferability.folder_report import report_folder
    from core.studies.transferability.measures import Measures
    from core.studies.transferability.protocols import USUAL_EPSILON, kind_of
    from core.studies.transferability.sweep import Workers, run_transfer

    changes: dict[str, Any] = {} if options is None else options.model_dump(exclude_none=True)  # type: ignore[attr-defined]
    require(check_device, device)
    if address is not None and engine != "ray":
        raise UsageError("--address is that of a Ray cluster: give --engine ray with it.")
    surrogate_files = _models(surrogates, "surrogate", dataset, zoo)
    victim_files = _models(victims, "victim", dataset, zoo)
    for name in surrogate_files.keys() & victim_files.keys():
        if surrogate_files[name] != victim_files[name]:
            raise UsageError(f"A surrogate and a victim would both be called {name}: rename the file of one.")
    card = find_dataset(dataset, data_root, allow_missing, orientation.value).card
    changes.setdefault("epsilon", USUAL_EPSILON[kind_of(card)])
    experiment = Experiment(
        folder=out,
        options=TransferOptions(**changes),
        dataset=DatasetPlace(dataset, data_root, cache_folder(), orientation.value, allow_missing),
        models=surrogate_files | victim_files,
        surrogates=tuple(surrogate_files),
        chosen_attacks=_attacks(attacks),
        victims=tuple(victim_files),
        device=device,
    )
    where, complete = Workers(engine, workers, address), True
    experiments = {
        name: replace(experiment, options=experiment.options.model_copy(update={"protocol": name}))
        for name in _protocols(protocol)
    }
    for each in experiments.values():
        each.check()  # of all before the first, which may take hours
    for name, each in experiments.items():
        _, complete = follow(lambda cancel, each=each: run_transfer(each, cancel, where), name)  # type: ignore[misc]
        if not complete:
            note(f"Stopped. What is finished is in {out}; the same command goes on there.")
            break
    page, findings, claims = report_folder(experiment)
    rates = {protocol: Measures(each).mean_rates() for protocol, each in findings.items()}
    if as_json:
        show({"report": str(page), "complete": complete, "success_rates": rates, **claims}, as_json)
    else:
        show({"report": str(page), "complete": complete, **_lines(rates), **_decided(claims)}, as_json)
    return 0 if complete else STOPPED


def _lines(rates: Mapping[Protocol, Mapping[str, Mapping[str, float]]]) -> dict[str, str]:
    """A line for each protocol and surrogate, with the mean success rate on each victim."""
    return {
        f"{protocol}, success through {surrogate}, mean over attacks": "  ".join(
            f"{victim} {100 * rate:.1f} %" for victim, rate in row.items()
        )
        for protocol, rows in rates.items()
        for surrogate, row in rows.items()
    }


def _decided(claims: Mapping[str, Verdict]) -> dict[str, str]:
    """The claims of the papers that are decided, and the number of the others."""
    decided: dict[str, str] = {name: verdict for name, verdict in claims.items() if verdict != "undecided"}
    if undecided := len(claims) - len(decided):
        decided["undecided"] = f"{undecided} of the papers' {len(claims)} claims, with these models and samples"
    return decided


def name_in_experiment(model: str) -> str:
    """What a model that is given by name, folder or file is called in the experiment."""
    return Path(os.path.abspath(model)).name.removesuffix(".safetensors")  # also of "." and ".."


def _models(text: str, role: Role, dataset: str, zoo: Path | None) -> dict[str, Path]:
    """The files of models by their names in the experiment.

    Raises
    ------
    UsageError
        If there is no such model, or two have one name.
    """
    zoo_members = members_of(dataset)
    members = [name for name, member in zoo_members.items() if member.role == role]
    names = (
        members if text == ALL else [name for name in dict.fromkeys(part.strip() for part in text.split(",")) if name]
    )
    files: dict[str, Path] = {}
    absent = []
    for name in names:
        path = member_file(name, dataset, zoo) if name in zoo_members else None
        if path is None and text == ALL:
            absent.append(name)
            continue
        if path is None:
            require(check_model, name)
            path = resolve_model(name)
        shown = name_in_experiment(name)
        if shown in files:
            raise UsageError(f"Two of the models would be called {shown}: rename the file of one.")
        files[shown] = path
    if not files:
        raise UsageError(
            f"No {role} of the zoo is trained on {dataset}: name models with --{role}s, or train the zoo with "
            "`pointward zoo train` and give --zoo."
        )
    if absent:
        note(f"Not trained on {dataset}: {', '.join(absent)}. The {role}s are {', '.join(files)}.")
    return files
