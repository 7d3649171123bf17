"""Imports a foreign model: from its file to a model like any other."""

from pathlib import Path

import torch

from core.models.cards import ModelCard, ModelError, Source
from core.models.checkpoints import LoadedModel, builtin_models, module_with_weights, save_model
from core.models.importers import library
from core.models.importers.candidate import Candidate
from core.models.importers.factories import factory_of, make_model
from core.models.importers.families import family_of
from core.models.importers.graphs import load_export, load_script, try_script
from core.models.importers.needs import NeededError
from core.models.importers.options import POINTS, AnyImportOptions, ImportOptions
from core.models.importers.probing import probed
from core.models.importers.sources import CARD, kind_of, sha256_of, split_factory
from core.models.importers.trust import require_trust
from core.models.importers.weights import read_state
from core.results.records import write_json
from core.runtime.files import readable


def examine(source: Path | str, options: ImportOptions | None = None, *, known: bool = False) -> Candidate:
    """Read the file of a foreign model, or ``FILE.py:FACTORY``, and find out how it is called.

    Parameters
    ----------
    known
        Whether this content was examined before, so that it need not be tried in a separate process first.

    Raises
    ------
    NeededError
        If the file does not tell something that an option has to say.
    UntrustedError
        If it is code and nobody has consented to run it.
    ModelError, FormatError
        If it is no classifier of clouds or images, or one that can't be used here; the message says why.
    """
    options = options or ImportOptions()
    path, factory = split_factory(source)
    kind = kind_of(path)
    sha256 = sha256_of(path)
    if kind == "weights" and options.image is not None:
        raise ModelError(
            f"{readable(path)} is a state dict, which does not tell how its classifier of images works: export it as "
            "TorchScript, or give FILE.py:FACTORY, which makes it and loads them."
        )
    if kind == "weights":
        return _examine_weights(path, sha256, options)
    if kind == "python":
        factory = factory_of(path, factory)
    if kind in ("python", "export"):
        require_trust(path, sha256)
    points, image, names = options.points or POINTS, options.image, options.class_names()
    match kind:
        case "python":
            model = make_model(path, factory)
        case "export":
            model = load_export(path)
        case _:
            if not known:
                try_script(path, sha256, points, image)
            model = load_script(path)
    try:
        found = probed(model, points, options.layout, len(names) if names else None, image)
    except NeededError as error:
        raise NeededError(error.option, f"{readable(path.name)}: {error}", error.choices) from None
    except ModelError as error:
        raise ModelError(f"{readable(path.name)}: {error}") from None
    call = found.adapter.call
    return Candidate(
        path=path,
        sha256=sha256,
        kind=kind,
        module=found.adapter,
        classes=found.classes,
        points=points if image is None else 0,
        image=image,
        architecture=kind,
        factory=factory,
        layout=call.layout,
        answer=call.answer,
        deterministic=found.deterministic,
        differentiable=found.differentiable,
        has_latent=found.adapter.has_latent,
    )


def _examine_weights(path: Path, sha256: str, options: ImportOptions) -> Candidate:
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
    points = options.points or built.points[0]
    model_options = {**built.options, **built.options_of_points.get(points, {})}
    return Candidate(
        path=path,
        sha256=sha256,
        kind="weights",
        module=module_with_weights(path, built.architecture, built.classes, model_options, built.tensors),
        classes=built.classes,
        points=points,
        architecture=built.architecture,
        options=model_options,
        family=f"{family.name} of {built.project}",
    )


def keep(candidate: Candidate, options: ImportOptions) -> Path:
    """Put a model into the library; it replaces one of the same name. Returns the path there.

    A model of one of our architectures is saved as our own file of weights, any other as a card that names its file.

    Raises
    ------
    ModelError, FormatError
        As ``Candidate.card``; or if a model that comes with the program has the name.
    """
    card, folder = candidate.card(options), library.library_folder()
    if card.name in builtin_models(zoo=True):
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


def _options_of(card: ModelCard, source: Source) -> ImportOptions:
    """What has to be said of an imported model's file to examine it again."""
    classes = str(len(card.classes))
    if card.image is not None:
        return AnyImportOptions(images="x".join(map(str, card.image.shape)), classes=classes)
    return ImportOptions.model_validate({"points": card.points, "layout": source.layout, "classes": classes})


def load_foreign(path: Path, device: torch.device | str = "cpu") -> LoadedModel:
    """The model of a foreign file, or of a card that names one.

    Raises
    ------
    ModelError, FormatError
        As ``examine``; or if the file has changed since it was imported.
    """
    if not path.name.endswith(CARD):
        candidate = examine(path)
        return candidate.loaded(candidate.card(ImportOptions()), path, device)
    card = library.read_imported(path)
    if (source := card.source) is None:
        raise ModelError(f"{readable(path)} names no file of a model: import the model again.")
    file = path.parent / source.file
    options = _options_of(card, source)
    kind_of(file)
    if sha256_of(file) != source.sha256:
        raise ModelError(f"{readable(file)} is another file than {card.name} was imported from: import it again.")
    imported = path.parent == library.library_folder()
    candidate = examine(f"{file}:{source.factory}" if source.factory else file, options, known=imported)
    if candidate.classes != len(card.classes):
        raise ModelError(f"{card.name} has {candidate.classes} outputs, and its card {len(card.classes)} classes.")
    return candidate.loaded(card, path, device)
