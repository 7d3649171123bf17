"""A foreign model that was read from its file and has no card yet."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.clouds.frames import STANDARD_UP
from core.images import ImageFormat
from core.models.cards import Answer, Kind, Layout, ModelCard, ModelError, Source, numbered
from core.models.checkpoints import LoadedModel
from core.models.framed import framed
from core.models.importers.options import ImportOptions
from core.runtime.files import readable


@dataclass(frozen=True, eq=False)
class Candidate:
    """A foreign model that was read; options still have to say what its outputs mean and which frame it takes."""

    path: Path
    sha256: str
    kind: Kind
    module: nn.Module
    """A ``Classifier`` in the frame of its own training."""
    classes: int
    points: int
    """Of the clouds that it takes; 0 of images."""
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
    image: ImageFormat | None = None
    """What its images are; None if it takes clouds."""
    factory: str = ""
    family: str = ""
    layout: Layout = "B3N"
    answer: Answer = "logits"
    deterministic: bool = True
    differentiable: bool = True
    has_latent: bool = True

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know of it, a sentence each."""
        said = {
            f"Its weights are those of {self.family}.": bool(self.family),
            "It gives probabilities: their logarithms are taken for logits, and gradients vanish where it is sure.": (
                self.answer == "probabilities"
            ),
            "It gives log-probabilities, which are logits up to a constant.": self.answer == "log-probabilities",
            "It gives another answer each time for the same input, so one attack is one draw.": not self.deterministic,
            "No gradient reaches its input: it can be evaluated, but not attacked itself.": (not self.differentiable),
            "Its latent can't be seen, so there is no map of latents for it.": not self.has_latent,
        }
        return tuple(text for text, holds in said.items() if holds)

    def card(self, options: ImportOptions) -> ModelCard:
        """The card of the model that it becomes.

        Raises
        ------
        ModelError, FormatError
            If the name or the classes can't be its.
        """
        names = options.class_names() or numbered(self.classes)
        if len(names) != self.classes:
            raise ModelError(
                f"{readable(self.path.name)} has {self.classes} outputs, and {len(names)} classes are named."
            )
        name, frame = options.name_for(self.path), options.frame
        return ModelCard(
            name=name,
            title=name,
            architecture=self.architecture,
            options=dict(self.options),
            classes=names,
            points=self.points,
            image=self.image,
            up_axis="none" if self.image else STANDARD_UP if frame.up is not None else "unknown",
            source=Source(
                file=readable(self.path.name if self.kind == "weights" else self.path.resolve()),
                factory=self.factory,
                sha256=self.sha256,
                kind=self.kind,
                family=self.family,
                layout=self.layout,
                answer=self.answer,
                deterministic=self.deterministic,
                frame=frame,
            ),
        )

    def loaded(self, card: ModelCard, path: Path, device: torch.device | str = "cpu") -> LoadedModel:
        """The model with its card. A graph stays on the CPU, where it was loaded."""
        assert card.source is not None
        module = framed(self.module, card.source.frame).eval()
        graph = self.kind in ("torchscript", "export")
        return LoadedModel(module if graph else module.to(device), card, self.sha256, path)
