"""``pointward doctor``."""

from core.commands.console import UserError, show
from core.commands.shared import Json, cache_folder
from core.runtime.diagnosis import diagnose


def doctor(*, as_json: Json = False) -> None:
    """What this installation is and whether it is whole: versions, devices, shipped models, folders."""
    report = diagnose(cache_folder())
    show(report, as_json)
    if report["problems"]:
        raise UserError(" ".join(report["problems"]))
