"""The provenance of measurements of models, for the files in which they are stored."""

from collections.abc import Sequence
from typing import Any

from core.datasets import Card
from core.models.checkpoints import LoadedModel
from core.models.predict import device_of
from core.options import Options
from core.results.records import provenance
from core.runtime.devices import describe_device


def measurement_provenance(
    models: Sequence[LoadedModel],
    dataset: Card | None,
    attack: Options | None,
    *,
    seed: int,
    complete: bool = True,
    **options: Any,
) -> dict[str, Any]:
    """Provenance of a measurement of one or more models: the entries of ``core.results.records.provenance``, and which
    dataset and defences were used.

    Parameters
    ----------
    dataset : card of the dataset of the clouds; None for a cloud that is not from a dataset.
    seed : seed of the attack's random starts, and of all other random numbers.
    options : further options of the operation, by name; they are stored with those of the attack.
    """
    defenses = {model.name: model.defense for model in models if model.defense}
    return {
        "dataset_name": dataset.name if dataset is not None else None,
        "dataset_frame": dataset.frame if dataset is not None else None,
        **({"defenses": defenses} if defenses else {}),
        **provenance(
            {**({} if attack is None else {"attack": attack}), **options},
            seed=seed,
            dataset=dataset.fingerprint if dataset is not None else None,
            weights={model.name: model.sha256 for model in models},
            device=describe_device(device_of(models[0].module)),
            complete=complete,
        ),
    }
