"""The models that a transfer experiment can be made of, and those that are usual."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from core.models.checkpoints import LoadedModel


class Candidate(NamedTuple):
    """A model that could be a surrogate or a victim."""

    name: str
    path: Path
    title: str
    why_not: str = ""
    """Why it can't be; empty if it can."""


def candidates(
    opened: Sequence[LoadedModel], added: Mapping[str, Path], dataset: str, classes: Sequence[str]
) -> Iterator[Candidate]:
    """All models for a dataset with these classes, each file once.

    Parameters
    ----------
    opened : models of the window; the installed and the imported ones come after them.
    added : files by name, which come last.
    """
    from core.models.checkpoints import builtin_models, read_card
    from core.models.importers import imported_models

    taken: set[Path] = set()
    for model in opened:
        if model.path is not None and not model.defense and model.path not in taken:
            taken.add(model.path)
            yield _candidate(model.name, model.path, model.card.title, model.card.classes, classes)
    try:
        files = builtin_models(dataset, zoo=True) | imported_models()
    except ValueError:  # the index of the installed ones is damaged, as the start has said
        files = {}
    for name, path in (files | dict(added)).items():
        if path in taken:
            continue
        taken.add(path)
        try:
            card = read_card(path)
        except ValueError as error:
            yield Candidate(name, path, name, str(error))
        else:
            yield _candidate(name, path, card.title, card.classes, classes)


def _candidate(name: str, path: Path, title: str, known: Sequence[str], classes: Sequence[str]) -> Candidate:
    """A model with classes ``known``; its name becomes one of files."""
    same = tuple(known) == tuple(classes)
    why_not = "" if same else "It has other classes than the dataset, or has them in another order."
    return Candidate(re.sub(r"[^\w.@+ -]+", "-", name), path, title, why_not)


def trained_in(folder: Path) -> dict[str, Path]:
    """Files by name: the model of a run, or those of a folder of runs."""
    from core.models.checkpoints import BEST

    found = [folder / BEST] if (folder / BEST).is_file() else sorted(folder.glob(f"*/{BEST}"))
    return {path.parent.name: path for path in found}


def usual_choice(dataset: str, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """The surrogates and victims that are ticked at first: those of the zoo, else the first model and the others."""
    from core.studies.transferability.zoo import MEMBERS

    members = {name: MEMBERS.get(name.removeprefix(f"{dataset}-")) for name in names}
    surrogates = [name for name, member in members.items() if member and member.role == "surrogate"] or [*names[:1]]
    return surrogates, [name for name in names if name not in surrogates]
