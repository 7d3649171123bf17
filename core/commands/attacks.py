"""``pointward attacks``."""

from core.attacks import PRESETS
from core.commands.console import show
from core.commands.shared import Json
from core.evaluation.auto import AUTO, AUTO_DESCRIPTION, AutoAttack


def attacks(*, as_json: Json = False) -> None:
    """List the attacks: what each does and who described it, what epsilon bounds, and what a step costs."""
    if as_json:
        auto = {"description": AUTO_DESCRIPTION, "options": sorted(AutoAttack.model_fields)}
        show({AUTO: auto, **{name: row.facts() for name, row in PRESETS.items()}}, as_json)
        return
    show({AUTO: AUTO_DESCRIPTION, **{name: row.description for name, row in PRESETS.items()}}, as_json)
