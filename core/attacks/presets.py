"""The attacks people know by name: settings of the one composition."""

from typing import Any

from core.attacks.attack import Attack
from core.attacks.constraint import Constraint
from core.attacks.direction import Direction

PRESETS: dict[str, str] = {
    "fgsm": "One step of size epsilon along the gradient (Goodfellow et al. 2015; the first paper, section III.A).",
    "bim": "FGSM in small steps of epsilon / steps, from the clean cloud (Kurakin et al. 2017).",
    "mi": "BIM along the running sum of the gradients, which carries it over small ones (MI-FGSM, Dong et al. 2018).",
    "pgd": "Steps of 2.5 epsilon / steps from the clean cloud, then again from a random start (Madry et al. 2018).",
}

SETTINGS: dict[str, dict[str, Any]] = {
    "fgsm": {"steps": 1},
    "bim": {"steps": 10, "total_step": 1.0},
    "mi": {"steps": 10, "total_step": 1.0, "momentum": 1.0},
    "pgd": {"steps": 20, "restarts": 1},
}
"""Where each differs from the defaults."""

BUDGET: dict[Direction, Constraint] = {
    "sign": "linf",
    "raw": "none",
    "raw-mean": "none",
    "per-point": "per-point-l2",
    "l2": "l2",
}
"""What epsilon bounds under each reading."""


def preset(name: str, **changes: Any) -> Attack:
    """The attack ``name`` with some fields changed; the budget follows the direction unless it is given.

    Raises
    ------
    ValueError
        For an unknown name (pydantic's ``ValidationError``, a ``ValueError``, for a field out of its limits).
    """
    if name not in PRESETS:
        raise ValueError(f"There is no attack {name!r}; the known ones are: {', '.join(PRESETS)}.")
    values: dict[str, Any] = dict(SETTINGS[name])
    values.update({key: value for key, value in changes.items() if value is not None})
    attack = Attack.model_validate(values)
    if "constraint" not in values:
        attack = Attack.model_validate({**attack.model_dump(), "constraint": BUDGET[attack.direction]})
    return attack


def describe(attack: Attack) -> str:
    """An attack as a part of a title or caption, such as "sign attack at epsilon 0.1 r, 20 steps"."""
    steps = attack.total_steps
    return f"{attack.direction} attack at epsilon {attack.epsilon:.3g} r, {steps} step{'s' if steps > 1 else ''}"
