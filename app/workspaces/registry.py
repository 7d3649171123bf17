"""The workspaces in the order of the rail; a new one is a file and a row here."""

from collections.abc import Callable
from dataclasses import dataclass

from app.jobs import JobList
from app.store import Store
from app.workspaces.base import Workspace
from app.workspaces.evaluation import EvaluationPanel
from app.workspaces.latents import LatentsPanel
from app.workspaces.training import TrainingPanel
from app.workspaces.transfer import TransferPanel


@dataclass(frozen=True)
class WorkspaceInfo:
    """A row of the rail."""

    key: str
    title: str
    icon: str
    tip: str
    panel: Callable[[Store, JobList], Workspace] | None
    """What is beside the Stage; None: the Stage fills the window."""


ATTACK = "attack"
"""Key of the workspace that is the Stage alone."""

WORKSPACES: tuple[WorkspaceInfo, ...] = (
    WorkspaceInfo(ATTACK, "Attack", "attack", "Attack one cloud, with the whole window for it.", None),
    WorkspaceInfo("train", "Train", "train", "Train a model on the open dataset.", TrainingPanel),
    WorkspaceInfo("evaluate", "Evaluate", "evaluate", "Compare models on many clouds.", EvaluationPanel),
    WorkspaceInfo("latents", "Latents", "latents", "A map of clean and adversarial latents.", LatentsPanel),
    WorkspaceInfo("transfer", "Transfer", "transfer", "Show the clouds made on one model to others.", TransferPanel),
)


def action_key(workspace: str) -> str:
    """Key of the action that shows a workspace."""
    return f"workspace_{workspace}"
