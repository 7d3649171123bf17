"""``pointward attack``."""

from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from core import live
from core.clouds import Cloud
from core.clouds.files import read_cloud, write_cloud
from core.clouds.frames import frame_record, turned
from core.commands.checks import (
    check_cloud,
    check_dataset,
    check_exists,
    check_folder,
    check_radii,
    check_root,
    require,
    validated,
)
from core.commands.console import UsageError, UserError, follow, show
from core.commands.orientation import AS_SUPPLIED, OrientationChoice, look_for_turn
from core.commands.sets import attack_dataset
from core.commands.shared import Count, DataRoot, DefenseName, Device, Json, ModelName, Seed
from core.commands.trial import FGSM, AttackChoice, Trial, open_in_frame, split_defense, with_defense
from core.datasets.matching import class_index
from core.evaluation.draws import DRAWS, judge_draws
from core.evaluation.orientation import expected_up
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.models.port import draws_anew
from core.results.records import write_provenance
from core.runtime.devices import choose_device

OWN_VERDICT = "the model's own verdict on the clean cloud"


def attack(
    file: Annotated[Path | None, validated(check_exists)] = None,
    *,
    model: ModelName = "pointnet-simple",
    defense: DefenseName = None,
    dataset: Annotated[str | None, validated(check_dataset)] = None,
    data_root: DataRoot = None,
    shape: str | None = None,
    clouds: Count = None,
    choice: AttackChoice = FGSM,
    true_class: str | None = None,
    target: str | None = None,
    points: Count = None,
    orientation: OrientationChoice = AS_SUPPLIED,
    seed: Seed = 0,
    out: Path | None = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Attack one cloud or mesh and print the verdicts; or all test clouds of a dataset, for `pointward judge`.

    Parameters
    ----------
    file
        A cloud (.ply .pcd .xyz .txt .pts .npy .npz .h5) or a mesh (.off .obj .stl .ply), sampled by area.
    dataset
        Dataset whose test clouds are attacked in the place of a file.
    shape
        Name of the one test cloud of the dataset to attack; of several with that name the first.
    clouds
        Test clouds of the dataset to use; the default is all.
    model
        A built-in or imported model, a run folder, or the file of a model; behind a defence as modelnet16-pgd+sor.
    true_class
        The class to move away from; the default is that of the shape in the dataset, for a file the model's verdict on
        the clean cloud.
    target
        The class to move towards.
    points
        Points of the cloud; the default is what the model was trained with.
    seed
        Seed of the attack's random numbers, and of what a random defence draws during it. The points of a file are
        always the same.
    out
        File for the adversarial cloud (.ply .xyz .npy .npz), in the unit sphere as the model sees it; how it was made
        goes into a file beside it, OUT.json. Of a dataset, the folder for all clouds; what is there is gone on with.
    """
    if dataset is not None and shape is None:
        if file is not None or target is not None or true_class is not None or out is None:
            raise UsageError("attack --dataset takes no file and no class, and needs --out FOLDER; or --shape NAME.")
        require(check_folder, out)
        trial = Trial(
            model, dataset=dataset, data_root=data_root, orientation=orientation, choice=choice, device=device
        )
        return attack_dataset(trial, out, clouds, points, seed, as_json, defense)
    if file is None and dataset is None:
        raise UsageError("attack needs a file, or --dataset.")
    if file is not None and dataset is not None:
        raise UsageError("attack takes a file, or --dataset with --shape, and not both.")
    if clouds is not None or (dataset is None and (data_root is not None or shape is not None)):
        raise UsageError("--clouds, --data-root and --shape go with --dataset; of one --shape there are no --clouds.")
    if dataset is not None:
        check_root(dataset, data_root)
    if out is not None:
        require(check_cloud, out)
    chosen = choice.build(targeted=target is not None)
    require(check_radii, chosen)
    model_name, model_defense = split_defense(model, defense)
    loaded = load_model(resolve_model(model_name), choose_device(device))
    if loaded.card.image is not None:
        raise UsageError(f"{loaded.name} takes images: attack those of a dataset, with --dataset and --out FOLDER.")
    classes = loaded.card.classes
    for name in (target, true_class):
        if name is not None and name not in classes:
            raise UsageError(f"The model knows no class {name!r}; its classes are: {', '.join(classes)}.")
    count = loaded.card.points if points is None else points
    if dataset is not None and shape is not None:
        cloud, frame, origin = _of_dataset(dataset, data_root, shape, loaded, count, orientation)
    else:
        assert file is not None
        cloud, frame, origin = _of_file(file, loaded, count, orientation)
    true_name = cloud.class_name if true_class is None else true_class
    cloud, loaded = replace(cloud, label=class_index(true_name, classes)), with_defense(loaded, model_defense)
    target_label = None if target is None else classes.index(target)
    setup = live.Setup((loaded,), 0, chosen, cloud, target_label, seed)
    attacked, complete = follow(lambda cancel: live.attack(setup, chosen.epsilon, cancel), "attacking")
    if not complete:
        raise UserError("Stopped before the attack was over, so nothing was written.")
    scene = attacked.scene
    made_with = scene.provenance(**origin, preset=choice.attack, up=frame["given_up"], turn=frame["turn"])
    if out is not None:
        write_cloud(out, scene.points, displacement=scene.displacement, centre=cloud.centre, radius=cloud.radius)
        write_provenance(out, made_with)
    verdicts = [
        {"class": classes[row.argmax()], "confidence": float(row.max())}
        for row in (scene.clean_confidence[0], scene.adversarial_confidence[0])
    ]
    show(
        {
            **origin,
            **({"dataset": dataset} if dataset is not None else {}),
            "model": loaded.name,
            **({"defense": loaded.defense} if loaded.defense else {}),
            "attack": choice.attack,
            **chosen.model_dump(),
            "points": len(cloud.points),
            **frame,
            "label": classes[scene.label],
            "label_is": OWN_VERDICT if cloud.label is None else "given" if true_class else "that of the dataset",
            "clean": verdicts[0] | ({"note": scene.notes[0]} if scene.notes[0] else {}),
            "adversarial": verdicts[1],
            "fooled": scene.fooled()[0],
            "unlike_training_data": scene.unlike_training[0],
            **_right_in_draws(loaded, scene),
            "loss": scene.loss,
            "distances": asdict(scene.distances),
            "out": str(out) if out is not None else None,
            **({"provenance": made_with} if as_json else {}),
        },
        as_json,
        choice.details(chosen),
    )
    return 0


def _of_file(
    file: Path, model: LoadedModel, points: int, orientation: OrientationChoice
) -> tuple[Cloud, dict[str, Any], dict[str, Any]]:
    """The cloud of a file in the frame that a model expects; a record of that frame; a record of its origin."""
    supplied = read_cloud(file, points)
    file_orientation, hint = orientation.resolve(model, lambda: [supplied.points]), None
    if orientation.may_have_hint:
        hint = look_for_turn(model, "The file", [supplied.points], file_orientation)
    if file_orientation.given:
        supplied = turned(supplied, file_orientation.rotation(expected_up(model.card)))
    frame = frame_record(model.card.up_axis, "file", file_orientation, found=orientation.automatic)
    return supplied, frame | {"hint": hint}, {"file": str(file)}


def _of_dataset(
    dataset: str, root: Path | None, shape: str, model: LoadedModel, points: int, orientation: OrientationChoice
) -> tuple[Cloud, dict[str, Any], dict[str, Any]]:
    """A test shape of a dataset in the frame that a model expects; a record of that frame; a record of its origin."""
    data, frame = open_in_frame(dataset, root, orientation, model)
    names = list(data.split("test").names)
    if shape not in names:
        close = get_close_matches(shape, names, 1) or names[:1]
        raise UsageError(f"{dataset} has no test shape {shape!r}; one is {', '.join(close)}.")
    return data.cloud("test", names.index(shape), points), frame, {"dataset": data.card, "shape": shape}


def _right_in_draws(model: LoadedModel, scene: live.Scene) -> dict[str, Any]:
    """In what share of fresh draws a random model's verdict is the label; empty for a deterministic model."""
    if not draws_anew(model.module):
        return {}
    label, seed = np.array([scene.label]), scene.setup.seed
    clean, adversarial = (  # one by one, for some attacks add points
        judge_draws(model.module, points[None], label, DRAWS, seed).mean
        for points in (scene.setup.cloud.points, scene.points)
    )
    return {"right_in_draws": {"draws": DRAWS, "clean": clean, "adversarial": adversarial}}
