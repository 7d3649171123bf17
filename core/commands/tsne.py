"""``pointward tsne``."""

from dataclasses import asdict
from typing import Annotated

from core.commands.console import UsageError, UserError, follow, show
from core.commands.shared import STOPPED, FigureFile, Flat, Json, TableFile, Trial, cli
from core.evaluation import latents
from core.evaluation.tsne import TsneOptions
from core.results.records import write_csv


@cli.command
def tsne(
    trial: Trial,
    *,
    out: FigureFile = None,
    coordinates: TableFile = None,
    clouds: Annotated[latents.LatentOptions | None, Flat] = None,
    options: Annotated[TsneOptions | None, Flat] = None,
    as_json: Json = False,
) -> int:
    """The pair of Figures 8 and 9: one map of a model's latents of clean and adversarial test clouds.

    Parameters
    ----------
    out
        Figure to write (.pdf .svg .png).
    coordinates
        CSV file for the map.
    """
    from core.figures import save, tsne_pair  # half a second to import, which other commands should not pay

    if out is None and coordinates is None:
        raise UsageError("Nothing would be written: give --out FIGURE, --coordinates TABLE, or both.")
    model, data, attack = trial.open()
    clouds, options = clouds or latents.LatentOptions(), options or TsneOptions()
    made, complete = follow(
        lambda cancel: latents.latent_map(model.module, data.split("test"), attack, clouds, options, cancel), "mapping"
    )
    if made is None:
        raise UserError("Stopped before the attack was over, so there is no map.")
    clean, adversarial = made.accuracy
    if out is not None:
        titles = (f"Clean (accuracy {100 * clean:.1f} %)", f"Adversarial (accuracy {100 * adversarial:.1f} %)")
        save(tsne_pair(made.map, made.labels, made.adversarial, model.card.classes, titles), out)
    if coordinates is not None:
        write_csv(coordinates, latents.coordinates(made, model.card.classes))
    show(
        {
            "model": model.name,
            "dataset": data.card.name,
            "clouds": len(made.labels) // 2,
            "clean_accuracy": clean,
            "adversarial_accuracy": adversarial,
            "kl": made.map.kl,
            "clean_separation": asdict(made.clean_separation) if made.clean_separation else None,
            "adversarial_separation": asdict(made.adversarial_separation) if made.adversarial_separation else None,
            "out": str(out) if out else None,
            "coordinates": str(coordinates) if coordinates else None,
            "complete": complete,
        },
        as_json,
    )
    return 0 if complete else STOPPED
