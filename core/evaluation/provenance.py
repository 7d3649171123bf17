"""The provenance of measurements of models, for the files in which they are stored."""

import hashlib
from collections.abc import Sequence
from typing import Any

from core.attacks import Attack
from core.datasets import Card
from core.evaluation.set_folder import SetRecord
from core.models import Classifier
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
    seed: int | None,
    complete: bool = True,
    attacked: LoadedModel | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Provenance of a measurement of one or more models: the entries of ``core.results.records.provenance``, and which
    dataset and defences were used.

    Parameters
    ----------
    dataset : card of the dataset of the clouds; None for a cloud that is not from a dataset.
    seed : seed of the attack's random starts, and of all other random numbers; None if that is not known.
    attacked : the model that was attacked, where only one of several was.
    options : further options of the operation, by name; they are stored with those of the attack.
    """
    read = {model.name: attack_files(model.module, attack) for model in (models if attacked is None else [attacked])}
    files = {name: digests for name, digests in read.items() if digests}
    if attacked is not None:
        options["attacked"] = attacked.name
    defenses = {model.name: model.defense for model in models if model.defense}
    return {
        "dataset_name": dataset.name if dataset is not None else None,
        "dataset_frame": dataset.frame if dataset is not None else None,
        **({"defenses": defenses} if defenses else {}),
        **({"attack_files": files} if files else {}),
        **provenance(
            {**({} if attack is None else {"attack": attack}), **options},
            seed=seed,
            dataset=dataset.fingerprint if dataset is not None else None,
            weights={model.name: model.sha256 for model in models},
            device=describe_device(device_of(models[0].module)),
            complete=complete,
        ),
    }


def set_record(model: LoadedModel, dataset: Card, preset: str, attack: Options, evaluation: Options) -> SetRecord:
    """The record of an adversarial set of the clouds ``evaluation`` chooses, made on ``model`` by an attack.

    Parameters
    ----------
    preset : name of the attack.
    """
    return SetRecord(
        preset=preset,
        attack=attack.model_dump(),
        files=attack_files(model.module, attack),
        surrogate=model.name,
        weights=model.sha256,
        dataset=dataset.name,
        fingerprint=dataset.fingerprint,
        evaluation=evaluation.model_dump(),
    )


def attack_files(model: Classifier, attack: Options | None) -> dict[str, str]:
    """SHA-256 of the files of weights that an attack on ``model`` reads beside the model's own, by option."""
    if not isinstance(attack, Attack):
        return {}
    return {option: hashlib.sha256(path.read_bytes()).hexdigest() for option, path in attack.files(model).items()}
