"""``pointward runs``."""

from pathlib import Path
from typing import Annotated, Any

from core.commands.checks import check_exists, validated
from core.commands.console import note, show
from core.commands.shared import Json
from core.runtime.files import readable
from core.training import RunReader, RunState, RunSummary, run_folders


def runs(*folders: Annotated[Path, validated(check_exists)], as_json: Json = False) -> None:
    """List the training runs of this machine: how far each is, and how good.

    A run is running, finished, stopped, interrupted (its process was killed), or damaged. One that is stopped or
    interrupted goes on with `pointward train --resume --out RUN`.

    Parameters
    ----------
    folders
        Runs, or folders of runs, to list; the default is all in which a command or the studio has trained.
    """
    found = RunReader().read([folder.resolve() for folder in folders] or run_folders())
    if not found:
        note("There is no training run there." if folders else "No training of this machine is known yet.")
    show({readable(str(run.folder)): _facts(run) for run in found}, as_json)


def _facts(run: RunSummary) -> dict[str, Any]:
    if run.state is RunState.DAMAGED:
        return {"state": str(run.state), "problem": run.problem}
    best = {name: run.best[f"validation_{name}"] for name in ("clean", "adversarial") if run.best}
    return {
        "state": str(run.state),
        "title": run.title,
        "dataset": run.dataset,
        "regime": run.regime,
        "model": run.model,
        "begun": run.begun.isoformat() if run.begun is not None else None,
        "epochs": f"{len(run.history)}/{run.epochs}",
        **{f"best_{name}": value for name, value in best.items()},
    }
