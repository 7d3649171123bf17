"""``pointward tsne``."""

from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter

from core.commands.app import STOPPED
from core.commands.console import UsageError, UserError, follow, show
from core.commands.shared import DefenseName, FigureFile, Flat, Json, TableFile
from core.commands.trial import Trial
from core.datasets.matching import presence
from core.evaluation import latents
from core.evaluation.separation import Separation
from core.evaluation.tsne import TsneOptions
from core.results.records import write_csv, write_provenance

_learning_rate: Any = TsneOptions.model_fields["learning_rate"]


class MapOptions(TsneOptions):
    """Options of t-SNE, one under another name, because attacks have an option of that name."""

    learning_rate: Annotated[float, Parameter(name="--tsne-learning-rate")] = _learning_rate


def tsne(
    trial: Trial,
    *,
    out: FigureFile = None,
    coordinates: TableFile = None,
    clouds: Annotated[latents.LatentOptions | None, Flat] = None,
    options: Annotated[MapOptions | None, Flat] = None,
    defense: DefenseName = None,
    as_json: Json = False,
) -> int:
    """The pair of Figures 8 and 9: one map of a model's latents of clean and adversarial test clouds.

    Parameters
    ----------
    out
        Figure to write (.pdf .svg .png), with how it was made in its metadata.
    coordinates
        CSV file for the map; how it was made goes into a file beside it, COORDINATES.json.
    """
    from core.figures import save  # half a second to import, which other commands should not pay

    if out is None and coordinates is None:
        raise UsageError("Nothing would be written: give --out FIGURE, --coordinates TABLE, or both.")
    model, data, attack, frame = trial.open(defense)
    if model.card.image is not None:
        raise UsageError(f"Maps are of the latents of clouds, and {model.name} takes images.")
    clouds, options = clouds or latents.LatentOptions(), options or MapOptions()
    made, complete = follow(
        lambda cancel: latents.latent_map(model.module, data.split("test"), attack, clouds, options, cancel), "mapping"
    )
    if made is None:
        raise UserError("Stopped before the attack was over, so there is no map.")
    clean, adversarial = made.accuracy
    source = latents.MapSource(model, data.card, attack, clouds)
    made_with = source.provenance(made, preset=trial.choice.attack)
    if out is not None:
        save(source.figure(made), out, made_with, source.caption(made))
    if coordinates is not None:
        write_csv(coordinates, latents.coordinates(made, model.card.classes))
        write_provenance(coordinates, made_with)
    shown = {
        "model": model.name,
        "weights": model.sha256,
        **({"defense": model.defense} if model.defense else {}),
        "dataset": data.card.name,
        "fingerprint": data.card.fingerprint,
        "attack": trial.choice.attack,
        **attack.model_dump(),
        "seed": options.seed,
        **frame,
        "present": presence(made.labels, model.card.classes),
        "classes_present": len(np.unique(made.labels)),
        "clouds": len(made.labels) // 2,
        "points": clouds.points,
        "perplexity": options.perplexity,
        "clean_accuracy": clean,
        "adversarial_accuracy": adversarial,
        "latent_space": _separations(made.latent_separation),
        "map": {"kl": made.map.kl, "iterations": made.map.iterations, **_separations(made.map_separation)},
        "out": str(out) if out else None,
        "coordinates": str(coordinates) if coordinates else None,
        "complete": complete,
    }
    show(shown | {"provenance": made_with} if as_json else shown, as_json, trial.choice.details(attack))
    return 0 if complete else STOPPED


def _separations(pair: tuple[Separation, Separation] | None) -> dict[str, float]:
    """Silhouette and purity of the classes among clean and among adversarial points of one space; empty if unknown."""
    if pair is None:
        return {}
    clean, adversarial = (asdict(found) for found in pair)
    return {f"clean_{name}": value for name, value in clean.items()} | {
        f"adversarial_{name}": value for name, value in adversarial.items()
    }
