"""The attacks of the literature by name: each row is a kind of attack with settings, and means the same everywhere."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from core.attacks.attack import Attack
from core.attacks.composed import GradientAttack
from core.attacks.constraint import TANGENT, ConstraintName
from core.attacks.direction import Direction
from core.attacks.geometric.adding import AddAttack
from core.attacks.geometric.dropping import DropAttack
from core.attacks.geometric.frequency import FrequencyAttack
from core.attacks.geometric.geoa3 import GeoA3
from core.attacks.minimal.carlini_wagner import CarliniWagner
from core.attacks.minimal.deepfool import DeepFool
from core.attacks.minimal.fab import FAB
from core.attacks.query.random import RandomAttack
from core.attacks.query.sensitivity import SensitivityAttack
from core.attacks.query.square import SquareAttack
from core.attacks.reconstruction import ReconstructionAttack
from core.attacks.scale import DEGREES
from core.attacks.semantic.transformation import TransformAttack
from core.attacks.semantic.transforms import TRANSFORMS


@dataclass(frozen=True)
class Preset:
    """An attack of the literature: a kind of attack with settings."""

    description: str
    """One sentence, with its paper."""
    kind: type[Attack] = GradientAttack
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Options whose values differ from the defaults of the kind."""

    def facts(self) -> dict[str, Any]:
        """Its entry in the list of attacks: its paper, what its epsilon bounds, its steps and its options."""
        attack = self.kind.model_validate(self.settings)
        return {
            "description": self.description,
            "bounds": attack.constraint,
            "epsilon": attack.epsilon_scale.words,
            "steps": attack.total_steps,
            "gradients_a_step": attack.gradients_a_step,
            "options": sorted(self.kind.model_fields),
        }


_ADAM: dict[str, Any] = {"direction": "raw", "optimiser": "adam", "constraint": "per-point-l2", "step_size": 0.01}

PRESETS: dict[str, Preset] = {
    "fgsm": Preset("One step of epsilon along the gradient (Goodfellow et al. 2015; the first paper, section III.A)."),
    "bim": Preset(
        "FGSM in small steps of epsilon / steps, from the clean cloud (Kurakin et al. 2017).",
        settings={"steps": 10, "total_step": 1.0},
    ),
    "mi": Preset(
        "BIM along the running sum of the gradients, which carries it over small ones (MI-FGSM, Dong et al. 2018).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "mi"},
    ),
    "ni": Preset(
        "MI with each gradient taken a step ahead (NI-FGSM, Lin et al. 2020).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "ni"},
    ),
    "pgd": Preset(
        "Steps of 2.5 epsilon / steps from the clean cloud, then again from a random start (Madry et al. 2018).",
        settings={"steps": 20, "restarts": 1},
    ),
    "vmi": Preset(
        "MI with the gradient corrected by those of neighbours (VMI-FGSM, Wang and He 2021).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "mi", "gradient": "neighbours", "draws": 5},
    ),
    "di": Preset(
        "MI with gradients of turned, scaled and thinned copies (DI-FGSM, Xie et al. 2019).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "mi", "gradient": "diverse", "draws": 1},
    ),
    "ti": Preset(
        "MI with the mean gradient of shifted copies (TI-FGSM, Dong et al. 2019, whose kernel needs a grid).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "mi", "gradient": "translation", "draws": 5},
    ),
    "si": Preset(
        "NI with the mean gradient of copies of half, a quarter ... the size (SI-NI-FGSM, Lin et al. 2020).",
        settings={"steps": 10, "total_step": 1.0, "optimiser": "ni", "gradient": "scale", "draws": 5},
    ),
    "eot": Preset(
        "PGD along the mean gradient of several draws, for models that are random (Athalye et al. 2018).",
        settings={"steps": 20, "gradient": "expectation", "draws": 10},
    ),
    "apgd-ce": Preset(
        "PGD that halves its step where it stalls, on the cross-entropy (Auto-PGD, Croce and Hein 2020).",
        settings={"steps": 100, "optimiser": "apgd"},
    ),
    "apgd-dlr": Preset(
        "Auto-PGD on the difference of logits ratio, which no scale of the logits hides (Croce and Hein 2020).",
        settings={"steps": 100, "optimiser": "apgd", "objective": "dlr"},
    ),
    "apgd-t": Preset(
        "Auto-PGD towards each of the nine most probable wrong classes in turn (Croce and Hein 2020).",
        settings={"steps": 100, "optimiser": "apgd", "objective": "dlr-targeted", "restarts": 8},
    ),
    **{
        name: Preset(
            f"The second paper's {name}, raw gradients: {share:g} epsilon of RMSE in the first step, {steps} steps.",
            settings={"steps": steps, "direction": "raw", "optimiser": name, "first_step": share},
        )
        for name, share, steps in (
            ("gd", 0.3 / 16, 100),
            ("m-gd", 0.01 / 16, 30),
            ("na-gd", 0.01 / 16, 15),
            ("adam", 1 / 16, 10),
            ("l-adam", 1 / 16, 10),
            ("adabelief", 1 / 16, 10),
            ("m-svag", 0.01 / 16, 8),
        )
    },
    "knn": Preset(
        "Adam on the margin, less what leaves the surface (kNN attack, Tsai et al. 2020), each point within epsilon.",
        settings=_ADAM | {"steps": 100, "objective": "margin", "regulariser": "knn"},
    ),
    "geoa3": Preset(
        "Adam until fooled, then back to the shape: Chamfer, Hausdorff, curvature, and a binary search for their "
        "weight (GeoA3, Wen et al. 2020).",
        GeoA3,
        _ADAM | {"steps": 100, "objective": "hinge", "regulariser": "geoa3"},
    ),
    "si-adv": Preset(
        "Moves in the tangent planes of the clean cloud alone (shape-invariant attack, Huang et al. 2022, white-box).",
        settings={
            "steps": 50,
            "objective": "margin",
            "direction": "l2",
            "constraint": "tangent-l2",
            "step_size": 0.007,
        },
    ),
    "si-adv-query": Preset(
        "One point at a time in its tangent plane, those first to which a surrogate is most sensitive (SI-Adv by "
        "queries, Huang et al. 2022).",
        SensitivityAttack,
    ),
    "aof": Preset(
        "Adam on the low frequencies of the cloud, of itself and of these alone (AOF, Liu et al. 2022).",
        FrequencyAttack,
        _ADAM | {"steps": 100, "objective": "margin"},
    ),
    "advpc": Preset(
        "Adam on the cloud and on its reconstruction by an autoencoder, so that other models are fooled too (AdvPC, "
        "Hamdi et al. 2020).",
        ReconstructionAttack,
        _ADAM | {"steps": 100, "objective": "margin"},
    ),
    "add": Preset(
        "Adds points on the most critical ones and moves them by Adam, near the surface (Xiang et al. 2019).",
        AddAttack,
        {
            "steps": 100,
            "objective": "hinge",
            "direction": "raw",
            "optimiser": "adam",
            "regulariser": "chamfer",
            "regulariser_weight": 500.0,
        },
    ),
    "drop": Preset(
        "Drops the points of the highest saliency, some in each step (Zheng et al. 2019).",
        DropAttack,
    ),
    **{
        name: Preset(f"The worst of a range of transforms: the cloud {row.description}.", TransformAttack, settings)
        for name, row in TRANSFORMS.items()
        for settings in [{"transform": name, "epsilon": 30.0 if row.scale is DEGREES else 10.0}]
    },
    "square": Preset(
        "Random search over patches of points, without gradients (Square attack, Andriushchenko et al. 2020).",
        kind=SquareAttack,
        settings={"steps": 1000},
    ),
    "random-sign": Preset("Epsilon along each axis with a random sign, the control of L-infinity.", kind=RandomAttack),
    "gaussian": Preset(
        "Normal noise with an RMSE of epsilon, the control of that budget.",
        kind=RandomAttack,
        settings={"noise": "gaussian", "constraint": "rmse"},
    ),
    "random-search": Preset(
        "The best of many random signs, the control of attacks by queries.", kind=RandomAttack, settings={"steps": 100}
    ),
    "deepfool": Preset(
        "The nearest boundary as the gradients have it, step by step (Moosavi-Dezfooli et al. 2016).",
        kind=DeepFool,
        settings={"steps": 50, "norm": "l2", "constraint": "rmse"},
    ),
    "fab": Preset(
        "The nearest cloud of each of the nine most probable wrong classes (FAB, Croce and Hein 2020).",
        kind=FAB,
        settings={"steps": 50, "restarts": 8},
    ),
    "cw": Preset(
        "The smallest L2 norm that fools, by a search for its weight beside the margin (Carlini and Wagner 2017).",
        kind=CarliniWagner,
        settings={"steps": 100, "restarts": 8, "constraint": "rmse"},
    ),
}

BUDGET: dict[Direction, ConstraintName] = {
    "sign": "linf",
    "raw": "none",
    "raw-mean": "none",
    "per-point": "per-point-l2",
    "l2": "rmse",
}
"""What epsilon bounds under each variant of FGSM."""


def constraint_for(direction: Direction, kind: type[Attack], present: ConstraintName) -> ConstraintName:
    """What epsilon bounds when an attack of a kind and a constraint gets another direction: what the direction does.

    But tangent planes stay, and so does the constraint of a kind that has no other.
    """
    fits = BUDGET[direction] in get_args(kind.model_fields["constraint"].annotation)
    return BUDGET[direction] if fits and present not in TANGENT else present


def preset(name: str, **changes: Any) -> Attack:
    """The attack ``name`` with some fields changed.

    Where the direction is changed, the constraint follows it unless it is given, see ``constraint_for``.

    Raises
    ------
    ValueError
        For an unknown name (pydantic's ``ValidationError``, a ``ValueError``, for a field that the attack does not have
        or that is out of its limits).
    """
    if name not in PRESETS:
        raise ValueError(f"There is no attack {name!r}; the known ones are: {', '.join(PRESETS)}.")
    row = PRESETS[name]
    values = {key: value for key, value in changes.items() if value is not None}
    if foreign := values.keys() - row.kind.model_fields:
        raise ValueError(f"The attack {name} has no option {min(foreign)}; it has: {', '.join(row.kind.model_fields)}.")
    if values.get("direction") in BUDGET:
        present = row.settings.get("constraint", row.kind.model_fields["constraint"].default)
        values = {"constraint": constraint_for(values["direction"], row.kind, present)} | values
    return row.kind.model_validate({**row.settings, **values})


def fgsm(direction: Direction, **values: Any) -> GradientAttack:
    """FGSM in one of its variants, constrained by the norm that this direction bounds."""
    return GradientAttack(direction=direction, constraint=BUDGET[direction], **values)
