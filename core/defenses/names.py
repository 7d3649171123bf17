"""Defences as typed text: "sor", "sor:k=3,alpha=1.5", and after the name of a model, "modelnet16-pgd+sor"."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from pydantic import ValidationError
from torch import nn

from core.defenses import DEFENSES, Defended, Defense
from core.models.cards import ModelError
from core.models.checkpoints import LoadedModel
from core.options import explain


def parse(text: str) -> Defense:
    """The defence that a text such as "sor:k=3" describes.

    Raises
    ------
    ValueError
        If there is no defence of that name, or it has no such setting.
    """
    name, _, settings = text.partition(":")
    if name not in DEFENSES:
        raise ValueError(f"There is no defence {name!r}; there are {', '.join(DEFENSES)}.")
    pairs = [pair.partition("=") for pair in settings.split(",") if pair]
    try:
        return DEFENSES[name].options.model_validate({key.strip(): value.strip() for key, _, value in pairs})
    except ValidationError as error:
        example = written(DEFENSES[name].options(), whole=True)
        raise ValueError(f"{explain(error)}; settings are given as {example}.") from None


def parse_several(text: str) -> dict[str, Defense]:
    """Parse defences separated by commas, "srs,sor:k=3,alpha=1.5,knn": ``written`` text -> defence.

    Raises
    ------
    ValueError
        If one is not a defence, or none is given.
    """
    parts: list[str] = []
    for word in text.split(","):
        if parts and "=" in word and ":" not in word:  # a further setting of the one before
            parts[-1] += f",{word}"
        elif word:
            parts.append(word.strip())
    if not parts:
        raise ValueError(f"At least one defence is needed; there are {', '.join(DEFENSES)}.")
    return {written(defense): defense for defense in map(parse, parts)}


def all_for(model: nn.Module) -> dict[str, Defense]:
    """Every defence that this model can stand behind, with its default settings, by its name."""
    possible: dict[str, Defense] = {}
    for name, spec in DEFENSES.items():
        with suppress(ModelError):
            spec.options().for_model(model)
            possible[name] = spec.options()
    return possible


def written(defense: Defense, *, whole: bool = False) -> str:
    """The text that ``parse`` reads: with the settings that differ from the defaults or, with ``whole``, all."""
    settings = defense.model_dump(exclude_defaults=not whole)
    name = name_of(defense)
    return f"{name}:{','.join(f'{key}={value}' for key, value in settings.items())}" if settings else name


def heading(defense: Defense) -> str:
    """Its title, with the settings that differ from the defaults: "SOR (k=3)"."""
    settings = written(defense).partition(":")[2]
    return DEFENSES[name_of(defense)].title + (f" ({settings.replace(',', ', ')})" if settings else "")


def name_of(defense: Defense) -> str:
    """Its name in ``DEFENSES``."""
    return next(name for name, spec in DEFENSES.items() if type(defense) is spec.options)


def split(model: str, known: Callable[[str], bool]) -> tuple[str, str]:
    """The name of a model, and the defence typed after it, "" without one.

    Parameters
    ----------
    known : tells whether a model of a name exists; the name of an existing model is not split, even with a "+" in it.
    """
    if not known(model):
        for place, letter in enumerate(model):
            if letter == "+" and place and known(model[:place]):
                return model[:place], model[place + 1 :]
    return model, ""


def protected(model: LoadedModel, defense: Defense) -> LoadedModel:
    """The model behind a defence. Attacks follow its adaptive gradient ("bpda").

    Card and hash are those of the model, with the defence added to name and title. ``typical`` is left out, because it
    was measured without the defence.

    Raises
    ------
    ValueError
        If the model is behind a defence already, or cannot stand behind this one.
    """
    if model.bare is not None:
        raise ValueError(f"{model.name} is behind a defence already: a model takes one.")
    names = {
        "name": f"{model.card.name}+{written(defense)}",
        "title": f"{model.card.title} + {heading(defense)}",
    }
    return replace(
        model,
        module=Defended(model.module, defense).eval(),
        card=model.card.model_copy(update=names),
        typical=None,
        defense=written(defense, whole=True),
        bare=model,
    )
