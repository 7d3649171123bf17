"""``pointward attack``."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from core import live
from core.clouds.files import read_cloud, write_cloud
from core.clouds.frames import frame_record, turned
from core.commands.checks import check_cloud, check_dataset, check_exists, check_folder, require, validated
from core.commands.console import UsageError, UserError, follow, show
from core.commands.orientation import AS_SUPPLIED, OrientationChoice, look_for_turn
from core.commands.sets import attack_dataset
from core.commands.shared import Count, DataRoot, DefenseName, Device, Json, ModelName, Seed, cli
from core.commands.trial import FGSM, AttackChoice, Trial, split_defense, with_defense
from core.evaluation.draws import DRAWS, judge_draws
from core.evaluation.orientation import expected_up
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.models.port import draws_anew
from core.results.records import write_provenance
from core.runtime.devices import choose_device


@cli.command
def attack(
    file: Annotated[Path | None, validated(check_exists)] = None,
    *,
    model: ModelName = "pointnet-simple",
    defense: DefenseName = None,
    dataset: Annotated[str | None, validated(check_dataset)] = None,
    data_root: DataRoot = None,
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
    clouds
        Test clouds of the dataset to use; the default is all.
    model
        A built-in or imported model, a run folder, or the file of a model; behind a defence as modelnet16-pgd+sor.
    true_class
        The class to move away from; the default is the model's verdict on the clean cloud.
    target
        The class to move towards.
    points
        Points of the cloud; the default is what the model was trained with.
    seed
        Source of the sampling and of random restarts.
    out
        File for the adversarial cloud (.ply .xyz .npy .npz), in the unit sphere as the model sees it; how it was made
        goes into a file beside it, OUT.json. Of a dataset, the folder for all clouds; what is there is gone on with.
    """
    if dataset is not None:
        if file is not None or target is not None or true_class is not None or out is None:
            raise UsageError("attack --dataset takes no file and no class, and needs --out FOLDER.")
        require(check_folder, out)
        trial = Trial(
            model, dataset=dataset, data_root=data_root, orientation=orientation, choice=choice, device=device
        )
        return attack_dataset(trial, out, clouds, points, seed, as_json, defense)
    if file is None:
        raise UsageError("attack needs a file, or --dataset.")
    if clouds is not None or data_root is not None:
        raise UsageError("--clouds and --data-root go with --dataset.")
    if out is not None:
        require(check_cloud, out)
    chosen = choice.build(targeted=target is not None)
    model_name, model_defense = split_defense(model, defense)
    loaded = load_model(resolve_model(model_name), choose_device(device))
    classes = loaded.card.classes
    for name in (target, true_class):
        if name is not None and name not in classes:
            raise UsageError(f"The model knows no class {name!r}; its classes are: {', '.join(classes)}.")
    label, target_label = (None if name is None else classes.index(name) for name in (true_class, target))
    supplied = read_cloud(file, loaded.card.points if points is None else points, seed)
    file_orientation, hint = orientation.resolve(loaded, lambda: [supplied.points]), None
    if file_orientation.given:
        supplied = turned(supplied, file_orientation.rotation(expected_up(loaded.card)))
    else:
        hint = look_for_turn(loaded, "The file", [supplied.points])
    frame = frame_record(loaded.card.up_axis, "file", file_orientation, found=orientation.automatic)
    cloud, loaded = replace(supplied, label=label), with_defense(loaded, model_defense)
    setup = live.Setup((loaded,), 0, chosen, cloud, target_label, seed)
    attacked, complete = follow(lambda cancel: live.attack(setup, chosen.epsilon, cancel), "attacking")
    if not complete:
        raise UserError("Stopped before the attack was over, so nothing was written.")
    scene = attacked.scene
    made_with = scene.provenance(
        file=str(file), preset=choice.attack, up=file_orientation.up, turn=file_orientation.turn
    )
    if out is not None:
        write_cloud(out, scene.points, displacement=scene.displacement, centre=cloud.centre, radius=cloud.radius)
        write_provenance(out, made_with)
    verdicts = [
        {"class": classes[row.argmax()], "confidence": float(row.max())}
        for row in (scene.clean[0], scene.adversarial[0])
    ]
    show(
        {
            "file": str(file),
            "model": loaded.name,
            **({"defense": loaded.defense} if loaded.defense else {}),
            "attack": choice.attack,
            **chosen.model_dump(),
            "points": len(cloud.points),
            **frame,
            "hint": hint,
            "label": classes[scene.label],
            "clean": verdicts[0] | ({"note": scene.notes[0]} if scene.notes[0] else {}),
            "adversarial": verdicts[1],
            "fooled": scene.fooled()[0],
            "unlike_training_data": scene.unlike[0],
            **_right_in_draws(loaded, scene),
            "loss": scene.loss,
            "distances": asdict(scene.distances),
            "out": str(out) if out is not None else None,
            **({"provenance": made_with} if as_json else {}),
        },
        as_json,
    )
    return 0


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
