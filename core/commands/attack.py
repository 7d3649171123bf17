"""``pointward attack``."""

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from core import live
from core.clouds.files import read_cloud, write_cloud
from core.clouds.frames import frame_record, turned
from core.commands.console import UsageError, UserError, follow, show
from core.commands.orientation import AS_SUPPLIED, OrientationChoice, look_for_turn
from core.commands.shared import (
    FGSM,
    AttackChoice,
    CloudFile,
    Count,
    DefenseName,
    Device,
    InputFile,
    Json,
    ModelName,
    Seed,
    behind,
    cli,
    undefended,
)
from core.evaluation.draws import DRAWS, judge_draws
from core.evaluation.orientation import expected_up
from core.models.checkpoints import LoadedModel, load_model, resolve_model
from core.models.port import draws_anew
from core.results.records import write_provenance
from core.runtime.devices import choose_device


@cli.command
def attack(
    file: InputFile,
    *,
    model: ModelName = "pointnet-simple",
    defense: DefenseName = None,
    choice: AttackChoice = FGSM,
    true_class: str | None = None,
    target: str | None = None,
    points: Count = None,
    orientation: OrientationChoice = AS_SUPPLIED,
    seed: Seed = 0,
    out: CloudFile = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Attack one cloud or mesh, print the verdicts, and write the adversarial cloud.

    Parameters
    ----------
    file
        A cloud (.ply .pcd .xyz .txt .pts .npy .npz .h5) or a mesh (.off .obj .stl .ply), sampled by area.
    model
        A built-in model, a run folder or a .safetensors file; behind a defence as modelnet16-pgd+sor.
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
        goes into a file beside it, OUT.json.
    """
    chosen = choice.build(targeted=target is not None)
    bare, before = undefended(model, defense)
    loaded = load_model(resolve_model(bare), choose_device(device))
    classes = loaded.card.classes
    for name in (target, true_class):
        if name is not None and name not in classes:
            raise UsageError(f"The model knows no class {name!r}; its classes are: {', '.join(classes)}.")
    label, wanted = (None if name is None else classes.index(name) for name in (true_class, target))
    supplied = read_cloud(file, loaded.card.points if points is None else points, seed)
    stands, hint = orientation.resolve(loaded, lambda: [supplied.points]), None
    if stands.given:
        supplied = turned(supplied, stands.rotation(expected_up(loaded.card)))
    else:
        hint = look_for_turn(loaded, "The file", [supplied.points])
    frame = frame_record(loaded.card.up_axis, "file", stands, found=orientation.automatic)
    cloud, loaded = replace(supplied, label=label), behind(before, loaded)
    setup = live.Setup((loaded,), 0, chosen, cloud, wanted, seed)
    attacked, complete = follow(lambda cancel: live.attack(setup, chosen.epsilon, cancel), "attacking")
    if not complete:
        raise UserError("Stopped before the attack was over, so nothing was written.")
    scene = attacked.scene
    made_with = scene.provenance(file=str(file), preset=choice.attack, up=stands.up, turn=stands.turn)
    if out is not None:
        write_cloud(out, scene.points, displacement=scene.displacement, centre=cloud.centre, radius=cloud.radius)
        write_provenance(out, made_with)
    verdict = [
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
            "clean": verdict[0] | ({"note": scene.notes[0]} if scene.notes[0] else {}),
            "adversarial": verdict[1],
            "fooled": scene.fooled()[0],
            "unlike_training_data": scene.unlike[0],
            **_draws(loaded, scene),
            "loss": scene.loss,
            "distances": asdict(scene.distances),
            "out": str(out) if out is not None else None,
            **({"provenance": made_with} if as_json else {}),
        },
        as_json,
    )


def _draws(model: LoadedModel, scene: live.Scene) -> dict[str, Any]:
    """Of a model that draws, the shares of fresh draws in which its verdict is the label; nothing of another."""
    if not draws_anew(model.module):
        return {}
    clouds, label = np.stack([scene.setup.cloud.points, scene.points]), np.array([scene.label, scene.label])
    clean, adversarial = judge_draws(model.module, clouds, label, DRAWS, scene.setup.seed).share.tolist()
    return {"right_in_draws": {"draws": DRAWS, "clean": clean, "adversarial": adversarial}}
