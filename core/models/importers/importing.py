"""From the file of a foreign model to a model like any other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.models.cards import Answer, Kind, Layout, ModelCard, ModelError, Source, numbered
from core.models.checkpoints import LoadedModel, builtin_models, filled, load_model, save_model
from core.models.framed import framed
from core.models.importers import library
from core.models.importers.factories import factory_of, make_model
from core.models.importers.families import family_of
from core.models.importers.graphs import load_export, load_script, try_script
from core.models.importers.needs import NeededError
from core.models.importers.options import POINTS, ImportOptions
from core.models.importers.probing import probed
from core.models.importers.sources import CARD, kind_of, sha256_of, split_factory
from core.models.importers.trust import require_trust
from core.models.importers.weights import read_state
from core.results.records import write_json
from core.runtime.files import readable


@dataclass(frozen=True, eq=False)
class Candidate:
    """A foreign model that was read, before it is said what its outputs mean and which frame it takes."""

    path: Path
    sha256: str
    kind: Kind
    module: nn.Module
    """A ``Classifier`` in the frame of its own training."""
    classes: int
    points: int
    architecture: str
    options: Mapping[str, Any] = field(default_factory=dict)
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
            "It gives another answer each time for the same cloud, so one attack is one draw.": not self.deterministic,
            "No gradient of it reaches the points: it can be evaluated, but not attacked itself.": (
                not self.differentiable
            ),
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
            up_axis="z" if frame.up is not None else "unknown",
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


def examine(source: Path | str, options: ImportOptions | None = None, *, known: bool = False) -> Candidate:
    """Read the file of a foreign model, or ``FILE.py:FACTORY``, and find out how it is asked.

    Parameters
    ----------
    known
        Whether this content was examined before, so that it need not be tried in a process of its own.

    Raises
    ------
    NeededError
        If an option has to say what the file leaves open.
    UntrustedError
        If it is code that nobody has said yes to.
    ModelError, FormatError
        If it is no classifier of clouds, or one that can't be used here; which and why.
    """
    options = options or ImportOptions()
    path, factory = split_factory(source)
    kind = kind_of(path)
    sha256 = sha256_of(path)
    if kind == "weights":
        return _of_weights(path, sha256, options)
    if kind == "python":
        factory = factory_of(path, factory)
    if kind in ("python", "export"):
        require_trust(path, sha256)
    points, names = options.points or POINTS, options.class_names()
    match kind:
        case "python":
            model = make_model(path, factory)
        case "export":
            model = load_export(path)
        case _:
            if not known:
                try_script(path, sha256, points)
            model = load_script(path)
    try:
        found = probed(model, points, options.layout, len(names) if names else None)
    except NeededError as error:
        raise NeededError(error.option, f"{readable(path.name)}: {error}", error.choices) from None
    except ModelError as error:
        raise ModelError(f"{readable(path.name)}: {error}") from None
    way = found.adapter.way
    return Candidate(
        path=path,
        sha256=sha256,
        kind=kind,
        module=found.adapter,
        classes=found.classes,
        points=points,
        architecture=kind,
        factory=factory,
        layout=way.layout,
        answer=way.answer,
        deterministic=found.deterministic,
        differentiable=found.differentiable,
        has_latent=found.adapter.has_latent,
    )


def _of_weights(path: Path, sha256: str, options: ImportOptions) -> Candidate:
    state = read_state(path)
    family = family_of(state)
    if family is None:
        cardless = "carries no valid model card, and its " if path.suffix.lower() == ".safetensors" else "has "
        raise ModelError(
            f"{readable(path)} {cardless}weights of no model that is known here: export it as TorchScript, or give "
            "FILE.py:FACTORY, which makes it and loads them."
        )
    what = f"{readable(path)} holds the weights of a {family.name}"
    if family.lacks:
        raise ModelError(f"{what}: {family.lacks}, so it can't be attacked as a classifier.")
    if family.build is None:
        raise ModelError(
            f"{what}, which will come with the program's own models: until then export it as TorchScript, or give "
            "FILE.py:FACTORY, which makes it and loads them."
        )
    try:
        built = family.build(state)
    except ValueError as error:
        raise ModelError(f"{what}, but {error}.") from None
    if options.points is None and len(built.points) > 1:
        choices = " or ".join(f"--points {points}" for points in built.points)
        raise NeededError(
            "points", f"{what} of {built.project}, which differ in what they take: import it with {choices}."
        )
    return Candidate(
        path=path,
        sha256=sha256,
        kind="weights",
        module=filled(path, built.architecture, built.classes, built.options, built.tensors),
        classes=built.classes,
        points=options.points or built.points[0],
        architecture=built.architecture,
        options=built.options,
        family=f"{family.name} of {built.project}",
    )


def keep(candidate: Candidate, options: ImportOptions, folder: Path | None = None) -> Path:
    """Put a model into the library, or another folder: weights of ours as a file of ours, any other as a card that
    names its file. One of the same name is replaced.

    Raises
    ------
    ModelError, FormatError
        As ``Candidate.card``; or if a model that comes with the program has the name.
    """
    card, folder = candidate.card(options), folder or library.library_folder()
    if card.name in builtin_models():
        raise ModelError(f"{card.name} comes with the program: give the imported model another --name.")
    weights, beside = folder / f"{card.name}{library.SAFETENSORS}", folder / f"{card.name}{CARD}"
    if readable(candidate.path) != str(candidate.path):
        raise ModelError(f"The name of {readable(candidate.path)} is not UTF-8, so no card can hold it: rename it.")
    if candidate.kind == "weights":
        save_model(weights, candidate.module, card)
        beside.unlink(missing_ok=True)
        return weights
    write_json(beside, card)
    weights.unlink(missing_ok=True)
    return beside


def import_model(source: Path | str, options: ImportOptions, device: torch.device | str = "cpu") -> LoadedModel:
    """Examine a file and keep its model in the library; raises as ``examine`` and ``keep``."""
    return load_model(keep(examine(source, options), options), device)


def load_foreign(path: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a foreign file, or of a card that names one.

    Raises
    ------
    ModelError, FormatError
        As ``examine``; or if the file is another than the one that was imported.
    """
    if not path.name.endswith(CARD):
        candidate = examine(path)
        return candidate.loaded(candidate.card(ImportOptions()), path, device)
    card = library.read_imported(path)
    if (source := card.source) is None:
        raise ModelError(f"{readable(path)} names no file of a model: import the model again.")
    file = path.parent / source.file
    options = ImportOptions(points=card.points, layout=source.layout, classes=str(len(card.classes)))
    kind_of(file)
    if sha256_of(file) != source.sha256:
        raise ModelError(f"{readable(file)} is another file than {card.name} was imported from: import it again.")
    imported = path.parent == library.library_folder()
    candidate = examine(f"{file}:{source.factory}" if source.factory else file, options, known=imported)
    if candidate.classes != len(card.classes):
        raise ModelError(f"{card.name} has {candidate.classes} outputs, and its card {len(card.classes)} classes.")
    return candidate.loaded(card, path, device)
