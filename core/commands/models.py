"""``pointward models``."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from core.commands.checks import check_dataset, check_root, check_source, validated
from core.commands.console import UsageError, follow, note, show
from core.commands.shared import DataRoot, Flat, Json, find_dataset
from core.datasets import Dataset
from core.evaluation.framing import FrameSearch, search_frame
from core.models.cards import ModelCard
from core.models.checkpoints import builtin_models, read_card
from core.models.importers import (
    AnyImportOptions,
    Candidate,
    ImportOptions,
    examine,
    imported_models,
    keep,
    split_factory,
    trust,
)
from core.models.importers.library import read_imported
from core.models.importers.sources import kind_of, sha256_of

models = App(name="models", help_format="plaintext")


@models.default
def list_models(*, as_json: Json = False) -> None:
    """List the models, or import one of another project.

    Listed are those that come with the program and those that were imported.
    """
    listed: dict[str, Any] = {name: _card_facts(read_card(path)) for name, path in builtin_models(zoo=True).items()}
    for name, path in imported_models().items():
        try:
            listed[name] = _card_facts(read_imported(path))
        except ValueError as error:
            listed[name] = {"problem": str(error)}
    show(listed, as_json)


@models.command(name="import")
def import_(
    file: Annotated[str, validated(check_source)],
    *,
    options: Annotated[AnyImportOptions | None, Flat] = None,
    trust_code: str | None = None,
    check: Annotated[bool, Parameter(negative="")] = False,
    dataset: Annotated[str | None, validated(check_dataset)] = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Import a model of another project, and keep it under a name that every command takes.

    Parameters
    ----------
    file
        A state dict (.pth .pt .safetensors) whose names are known, a file of TorchScript or torch.export, or
        FILE.py:FACTORY, a function or class that makes an nn.Module.
    trust_code
        Consent to run the code in a Python file or one of torch.export: its SHA-256, or "yes".
    check
        Measure it on test clouds for each up axis and each way of scaling them, and propose what fits best.
    dataset
        Dataset of the test clouds for --check.
    """
    if check != (dataset is not None):
        raise UsageError("--check and --dataset belong together: it is tried on the test clouds of a dataset.")
    options, source = options or AnyImportOptions(), Path(file).expanduser()
    if check and options.images is not None:
        raise UsageError("--check is for clouds: of images, `pointward evaluate` measures the model.")
    if dataset is not None:
        check_root(dataset, data_root)
    if trust_code is not None:
        _trust_code(split_factory(source)[0], trust_code)
    candidate = examine(source, options)
    card = candidate.card(options)
    search = _try_frames(candidate, card, find_dataset(dataset, data_root), options) if dataset is not None else None
    replaced = card.name in imported_models()
    path = keep(candidate, options)
    notes = list(candidate.notes)
    if replaced:
        notes.append(f"It has replaced the model that was called {card.name}; --name keeps both.")
    if card.unnamed:
        notes.append("Its outputs have no names yet: --classes gives them.")
    if options.up is None and card.image is None:
        notes.append("Nobody said which axis it expects up, so clouds are given to it as they stand: --up, --check.")
    for text in notes:
        note(text)
    show(
        {
            "name": card.name,
            "kept": str(path),
            **_card_facts(card),
            **({} if search is None else _search_facts(search)),
            **({"notes": notes, "trials": _trials(search)} if as_json else {}),
        },
        as_json,
    )


def _trust_code(path: Path, confirmation: str) -> None:
    """Remember that code may run, if the person confirmed it with "yes" or its SHA-256."""
    kind_of(path)
    sha256 = sha256_of(path)
    if confirmation.lower() not in ("yes", sha256):
        raise UsageError(f"--trust-code is not the SHA-256 of {path.name}, which is {sha256}.")
    trust(path, sha256)


def _try_frames(candidate: Candidate, card: ModelCard, data: Dataset, options: ImportOptions) -> FrameSearch:
    """Measure the model on test clouds in the given frame and in others, and propose the best in a note."""
    names = None if card.unnamed else card.classes
    search: FrameSearch | None = follow(
        lambda cancel: search_frame(candidate.module, options.frame, data, candidate.points, names, cancel),
        "trying frames",
    )[0]
    if search is None:
        raise KeyboardInterrupt
    note(f"In the frame that was said: {search.trials[0].accuracy}; in the best: {search.best.accuracy}.")
    if search.proposal:
        note(f"Import it again with: {search.proposal}")
    return search


def _card_facts(card: ModelCard) -> dict[str, Any]:
    """What a list of models says about one."""
    facts: dict[str, Any] = {
        "architecture": card.architecture,
        "classes": len(card.classes),
        **({"points": card.points} if card.image is None else {"images": str(card.image)}),
        "dataset": card.dataset,
    }
    if (source := card.source) is None:
        return facts
    return facts | {
        "file": source.file,
        "sha256": source.sha256,
        "layout": source.layout,
        "answer": source.answer,
        "deterministic": source.deterministic,
        **({} if card.image else source.frame.model_dump()),
    }


def _search_facts(search: FrameSearch) -> dict[str, Any]:
    given, best = search.trials[0].accuracy, search.best.accuracy
    return {"accuracy": given.value, "best_accuracy": best.value, "clouds": best.n, "proposal": search.proposal}


def _trials(search: FrameSearch | None) -> list[dict[str, Any]]:
    """Every frame that was tried."""
    return [{**trial.frame.model_dump(), "accuracy": trial.accuracy.value} for trial in search.trials] if search else []
