"""The query form of SI-Adv (Huang et al. 2022): one point at a time, in its tangent plane.

The order of the points and their directions are those of a surrogate's gradient, its sensitivity map; of the attacked
model only the logits are used.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from core.attacks.constraint import NO_BUDGET, ConstraintName
from core.attacks.evaluation import Evaluation, evaluate
from core.attacks.geometric.neighbours import ranked
from core.attacks.optimisers.base import quotient
from core.attacks.query.base import QueryAttack, raises_margin
from core.attacks.state import Proposal, State
from core.models import Classifier, eval_view
from core.options import option


class SensitivityAttack(QueryAttack):
    """Moves the points in the order of a surrogate's sensitivity, each forwards, or else backwards, if that helps.

    The sensitivity of a point is the length of the surrogate's gradient of the margin in the tangent plane of the
    point, and its direction is that of this gradient. Each step is one query: a point is moved by a step along its
    direction; if that does not raise the attacked model's margin, the next query moves it the other way; if neither
    does, it stays. Points without a gradient are left out. After the last point the first comes again.

    Slots: ``direction`` (B, N, 3) of each point, of length 1 or 0; ``order`` (B, N), the points from the most to the
    least sensitive; ``place`` (B,), in this order, of the point that was moved last; ``sign`` (B,), which way; and
    ``margin`` (B,), of the attacked model before that move.
    """

    clouds_alone: ClassVar[bool] = True

    constraint: ConstraintName = option("tangent-l2", "What epsilon bounds.", advanced=True)
    steps: int = option(500, "Queries.", low=1, high=100_000)
    restarts: Literal[0] = option(0, "Every start would be the same.")
    sensitivity_model: str = option(
        "",
        "Surrogate whose gradient orders the points: a built-in model by its name, a run folder or a file; empty is "
        "the attacked model itself, which then is no black box.",
    )
    step_size: float | None = option(None, "Length of one move of a point; empty is epsilon.", unit="r", low=0.0)

    @property
    def description(self) -> str:
        return "sensitivity-map query attack"

    def files(self, model: Classifier) -> dict[str, Path]:
        return {"sensitivity_model": model_path(self.sensitivity_model)} if self.sensitivity_model else {}

    def unused(self) -> frozenset[str]:
        return super().unused() | {"restarts"}

    def uses_seed(self, classes: int) -> bool:
        return False

    def accepts(self, proposed: Evaluation, state: State) -> Tensor | None:
        return None if state.evaluation is None else raises_margin(proposed, state.evaluation)

    def propose(self, model: Classifier, state: State) -> Proposal:
        slots, passes = dict(state.slots), 0
        margin = torch.full_like(state.clean[:, 0, 0], -torch.inf)
        if state.evaluation is not None:
            margin = state.evaluation.objective
        if "order" not in slots:
            slots, passes = self._sensitivity(model, state), 0 if self.sensitivity_model else 1
        else:
            tried = (margin > slots["margin"]) | (slots["sign"] < 0)  # forwards with success, or both ways
            slots["place"] = torch.where(tried, slots["place"] + 1, slots["place"])
            slots["sign"] = torch.where(tried, 1.0, -1.0).to(state.clean)
        count = (slots["direction"] != 0).any(2).sum(1).clamp_min(1)
        point = slots["order"].gather(1, (slots["place"] % count)[:, None])[..., None].expand(-1, -1, 3)
        length = 1.0 if self.step_size is None else self.step_size / max(state.epsilon, NO_BUDGET)
        move = slots["direction"].gather(1, point) * (length * slots["sign"])[:, None, None]
        unit_delta = self.bounded(state.unit_delta.scatter_add(1, point, move), state)
        return Proposal(unit_delta, slots | {"margin": margin}, passes, passes)

    def _sensitivity(self, model: Classifier, state: State) -> dict[str, Tensor]:
        """The slots before the first query."""
        source = loaded_model(self.sensitivity_model, state.clean.device) if self.sensitivity_model else model
        if self.sensitivity_model and state.at_clean is not None:
            with eval_view(source) as ask, torch.no_grad():
                known = ask(state.clean[:1]).logits.shape[1]
            if known != (own := state.at_clean.logits.shape[1]):
                raise ValueError(
                    f"The sensitivity model {self.sensitivity_model} knows {known} classes and the attacked model "
                    f"{own}: choose one that was trained on the same classes."
                )
        found = evaluate(source, state.clean, state.label, gradient=True, objective=self.maximised(model, state))
        assert found.gradient is not None
        gradient = self.allowed(found.gradient, state)
        size = gradient.norm(dim=2)
        zero = torch.zeros_like(state.label)
        return {
            "direction": quotient(gradient, size[..., None]),
            "order": ranked(size, state.clean),
            "place": zero,
            "sign": torch.ones_like(size[:, 0]),
        }


def loaded_model(source: str, device: torch.device) -> Classifier:
    """A model by its name, run folder or file, on a device; it is loaded once.

    Raises
    ------
    ModelError
        If there is none, or it is damaged.
    """
    path = model_path(source)
    return _loaded(path, path.stat().st_mtime_ns if path.exists() else 0, device)


def model_path(source: str) -> Path:
    """The file of a model that is given by its name, run folder or file; raises the same errors."""
    from core.models.checkpoints import resolve_model  # which is not needed to describe attacks

    return resolve_model(source)


@lru_cache(maxsize=4)
def _loaded(path: Path, changed: int, device: torch.device) -> Any:
    from core.models.checkpoints import load_model

    return load_model(path, device).module
