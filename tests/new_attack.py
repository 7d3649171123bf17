"""A file with an attack that the program does not know, as a person writes one, and its row among the presets."""

import importlib.util
from pathlib import Path

import pytest

from core.attacks import PRESETS, Preset

NAME = "lift"
SOURCE = '''
"""Lifts a cloud as a whole."""

import torch

from core.attacks import Attack, Proposal, State
from core.models import Classifier
from core.options import option


class LiftAttack(Attack):
    """Moves every point up by a part of epsilon."""

    part: float = option(1.0, "Part of epsilon by which the cloud is lifted.", low=0.0, high=1.0)

    def propose(self, model: Classifier, state: State) -> Proposal:
        up = torch.zeros_like(state.clean)
        up[..., 2] = self.part
        return Proposal(self.bounded(up, state), {})
'''


def add_attack(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Write the file, import it, and add the row."""
    path = folder / "lift_attack.py"
    path.write_text(SOURCE, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    patch.setitem(PRESETS, NAME, Preset("Lifts the cloud.", module.LiftAttack, {"part": 0.75}))
