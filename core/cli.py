"""The commands. Each is a loop over the events that the window reads; with ``--json`` it prints one object only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from core.attacks import Attack, preset
from core.console import CONSOLE, UserError, complain, follow, show
from core.devices import DeviceName, choose_device
from core.embedding import TsneOptions
from core.evaluation.latents import LatentOptions
from core.events import Cancel, Event
from core.options import Options, explain, partial
from core.training.options import TrainOptions

cli = App(
    name="pointward",
    help="Attack, defend and measure point-cloud classifiers. Without a command the studio opens.",
    version_flags=["--version"],
    help_format="plaintext",
)

STOPPED = 130
"""Exit code of what Ctrl-C ended, as shells have it."""
Flat = Parameter(name="*")
AttackChanges = partial(Attack)
DataRoot = Annotated[Path | None, Parameter(help="Where the dataset's files are, for those that are not built in.")]
Device = Annotated[DeviceName, Parameter(help="Where to compute.")]
AllowMissing = Annotated[
    bool, Parameter(negative="", help="Go on where some files of a dataset's official list are missing.")
]
Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as one JSON object.")]


def run(words: list[str]) -> int:
    """Run one command line; the exit code is 0, 1 for what the person can mend, 2 for a wrong one, 130 if stopped."""
    try:
        return int(cli(words, exit_on_error=False, print_error=False, result_action="return_value") or 0)
    except CycloptsError as error:
        cause = error.__cause__
        text = explain(cause) if isinstance(cause, ValidationError) else str(error)
        complain(f"{text}\nSee: pointward {' '.join(words[:1])} --help")
        return 2
    except ValidationError as error:
        complain(explain(error))
        return 1
    except (UserError, ValueError, OSError) as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        CONSOLE.print("stopped")
        return STOPPED


def _cache() -> Path:
    from platformdirs import user_cache_path

    return Path(user_cache_path("pointward"))


def _dataset(name: str, root: Path | None, allow_missing: bool = False) -> Any:
    from core.datasets import open_dataset

    def opening(cancel: Cancel) -> Iterator[Event]:
        for event in open_dataset(name, root, _cache(), allow_missing=allow_missing):
            if cancel.requested:  # half a dataset is of no use
                raise KeyboardInterrupt
            yield event

    return follow(opening, f"opening {name}")[0]


def _attack(
    name: str, changes: Options | None, classes: tuple[str, ...], target: str | None
) -> tuple[Attack, int | None]:
    """The attack a command line describes, and the index of its target class."""
    values = changes.model_dump(exclude_none=True) if changes is not None else {}
    if target is not None:
        if target not in classes:
            raise UserError(f"The model knows no class {target!r}; its classes are: {', '.join(classes)}.")
        values["objective"] = "targeted"
    elif values.get("objective") == "targeted":
        raise UserError("A targeted attack needs a target: `pointward attack` takes --target CLASS.")
    return preset(name, **values), classes.index(target) if target is not None else None


def _untargeted(name: str, changes: Options | None) -> Attack:
    """The attack of a command about many clouds, which have no one target."""
    attack, _ = _attack(name, changes, (), None)
    return attack


@cli.command
def datasets(
    name: str | None = None,
    *,
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    sheet: Path | None = None,
    as_json: Json = False,
) -> None:
    """List the datasets, or open one and print its card.

    Parameters
    ----------
    name
        Dataset to open; without it all are listed.
    sheet
        Picture (.png .svg .pdf) of the first test shapes of every class.
    """
    from core.datasets import REGISTRY

    if name is None:
        show({key: spec.summary for key, spec in REGISTRY.items()}, as_json)
        return
    data = _dataset(name, data_root, allow_missing)
    if sheet is not None:
        from core.figures import contact_sheet, save

        split, columns = data.split("test"), 8
        rows = [row for label in range(len(data.card.classes)) for row in (split.labels == label).nonzero()[0][:4]]
        clouds = [data.cloud("test", row, 1024) for row in rows]
        names = [cloud.class_name or "" for cloud in clouds]
        save(contact_sheet([cloud.points for cloud in clouds], names, columns, data.card.up_axis), sheet)
    show(data.card.model_dump(), as_json)


@cli.command
def train(
    *,
    dataset: str | None = None,
    data_root: DataRoot = None,
    allow_missing: AllowMissing = False,
    out: Path | None = None,
    resume: bool = False,
    options: Annotated[TrainOptions | None, Flat] = None,
    as_json: Json = False,
) -> int:
    """Train a model in one of the regimes of the first paper.

    Parameters
    ----------
    dataset
        Dataset to train on; the default is shapes16, and for --resume the run's own.
    out
        Run folder; the default is runs/DATASET-REGIME.
    resume
        Continue the run in --out after its last full epoch, with its own options; --epochs may differ. A run that was
        ended before it began is begun.
    """
    from core.training import begun, remembered
    from core.training import train as training

    options = options or TrainOptions()
    folder = out or Path("runs") / f"{dataset or 'shapes16'}-{options.regime}"
    resume = resume and begun(folder)
    if resume and dataset is None:
        dataset, root = remembered(folder)
        data_root = data_root or root
    data = _dataset(dataset or "shapes16", data_root, allow_missing)
    result, complete = follow(
        lambda cancel: training(data, options, folder, cancel, resume=resume, data_root=data_root),
        f"training {options.regime}",
    )
    show(
        {
            "run": str(result.folder),
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "metrics": dict(result.metrics),
            "complete": complete,
        },
        as_json,
    )
    return 0 if complete else STOPPED


@cli.command
def evaluate(
    model: str,
    *,
    dataset: str | None = None,
    data_root: DataRoot = None,
    attack: str = "fgsm",
    changes: Annotated[AttackChanges | None, Flat] = None,  # type: ignore[valid-type]
    clouds: int | None = None,
    points: int | None = None,
    seed: int = 0,
    records: Path | None = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """Clean and adversarial accuracy of a model on test clouds, with the realised distances.

    Parameters
    ----------
    model
        A built-in model, a run folder or a .safetensors file.
    dataset
        Dataset to test on; the default is the one the model was trained on.
    attack
        Attack preset: fgsm, bim or pgd.
    clouds
        Test clouds to use; the default is all.
    points
        Points of each cloud; the default is what the model was trained with.
    seed
        Source of random restarts.
    records
        CSV file for one line per cloud.
    """
    from core.checkpoints import load_model, resolve_model
    from core.evaluation.accuracy import EvaluationOptions, evaluate_accuracy
    from core.records import write_csv

    path = resolve_model(model)
    loaded = load_model(path, choose_device(device))
    data = _dataset_of(loaded, path, dataset, data_root)
    chosen = _untargeted(attack, changes)
    options = EvaluationOptions(clouds=clouds, points=loaded.card.points if points is None else points, seed=seed)
    report, complete = follow(
        lambda cancel: evaluate_accuracy(loaded.module, data.split("test"), chosen, options, cancel), "evaluating"
    )
    if records is not None:
        write_csv(records, report.records)
    show(
        {
            "model": loaded.name,
            "weights": loaded.sha256,
            "dataset": data.card.name,
            "fingerprint": data.card.fingerprint,
            "attack": attack,
            **chosen.model_dump(),
            "points": options.points,
            **report.summary(),
            "complete": complete,
        },
        as_json,
    )
    return 0 if complete else STOPPED


@cli.command
def attack(
    file: Path,
    *,
    model: str = "pointnet-simple",
    attack: str = "fgsm",
    changes: Annotated[AttackChanges | None, Flat] = None,  # type: ignore[valid-type]
    true_class: str | None = None,
    target: str | None = None,
    points: int | None = None,
    seed: int = 0,
    out: Path | None = None,
    device: Device = "auto",
    as_json: Json = False,
) -> None:
    """Attack one cloud or mesh, print the verdicts, and write the adversarial cloud.

    Parameters
    ----------
    file
        A cloud (.ply .pcd .xyz .txt .pts .npy .npz .h5) or a mesh (.off .obj .stl .ply), sampled by area.
    model
        A built-in model, a run folder or a .safetensors file.
    attack
        Attack preset: fgsm, bim or pgd.
    true_class
        The class to move away from; the default is the model's verdict on the clean cloud.
    target
        The class to move towards.
    points
        Points of the cloud; the default is what the model was trained with.
    seed
        Source of the sampling and of random restarts.
    out
        File for the adversarial cloud (.ply .xyz .npy .npz), in the unit sphere as the model sees it.
    """
    from dataclasses import asdict, replace

    from core import live
    from core.checkpoints import load_model, resolve_model
    from core.formats import read_cloud, write_cloud

    loaded = load_model(resolve_model(model), choose_device(device))
    classes = loaded.card.classes
    chosen, wanted = _attack(attack, changes, classes, target)
    if true_class is not None and true_class not in classes:
        raise UserError(f"The model knows no class {true_class!r}; its classes are: {', '.join(classes)}.")
    cloud = read_cloud(file, loaded.card.points if points is None else points, seed)
    cloud = replace(cloud, label=classes.index(true_class) if true_class is not None else None)
    setup = live.Setup((loaded,), 0, chosen, cloud, wanted, seed)
    attacked, complete = follow(lambda cancel: live.attack(setup, chosen.epsilon, cancel), "attacking")
    if not complete:
        raise UserError("Stopped before the attack was over, so nothing was written.")
    scene = attacked.scene
    if out is not None:
        write_cloud(out, scene.points, displacement=scene.displacement, centre=cloud.centre, radius=cloud.radius)
    verdict = [
        {"class": classes[row.argmax()], "confidence": float(row.max())}
        for row in (scene.clean[0], scene.adversarial[0])
    ]
    show(
        {
            "file": str(file),
            "model": loaded.name,
            "attack": attack,
            **chosen.model_dump(),
            "points": len(cloud.points),
            "label": classes[scene.label],
            "clean": verdict[0],
            "adversarial": verdict[1],
            "fooled": scene.fooled()[0],
            "loss": scene.loss,
            "distances": asdict(scene.distances),
            "out": str(out) if out is not None else None,
        },
        as_json,
    )


@cli.command
def tsne(
    model: str,
    *,
    out: Path | None = None,
    coordinates: Path | None = None,
    dataset: str | None = None,
    data_root: DataRoot = None,
    attack: str = "fgsm",
    changes: Annotated[AttackChanges | None, Flat] = None,  # type: ignore[valid-type]
    clouds: Annotated[LatentOptions | None, Flat] = None,
    options: Annotated[TsneOptions | None, Flat] = None,
    device: Device = "auto",
    as_json: Json = False,
) -> int:
    """The pair of Figures 8 and 9: one map of a model's latents of clean and adversarial test clouds.

    Parameters
    ----------
    model
        A built-in model, a run folder or a .safetensors file.
    out
        Figure to write (.pdf .svg .png).
    coordinates
        CSV file for the map.
    dataset
        Dataset whose test clouds are shown; the default is the one the model was trained on.
    attack
        Attack preset: fgsm, bim or pgd.
    """
    from dataclasses import asdict

    from core.checkpoints import load_model, resolve_model
    from core.evaluation import latents
    from core.figures import save, tsne_pair
    from core.records import write_csv

    if out is None and coordinates is None:
        raise UserError("Nothing would be written: give --out FIGURE, --coordinates TABLE, or both.")
    path = resolve_model(model)
    loaded = load_model(path, choose_device(device))
    data = _dataset_of(loaded, path, dataset, data_root)
    chosen = _untargeted(attack, changes)
    clouds, options = clouds or LatentOptions(), options or TsneOptions()
    made, complete = follow(
        lambda cancel: latents.latent_map(loaded.module, data.split("test"), chosen, clouds, options, cancel), "mapping"
    )
    if made is None:
        raise UserError("Stopped before the attack was over, so there is no map.")
    clean, adversarial = made.accuracy
    if out is not None:
        titles = (f"Clean (accuracy {100 * clean:.1f} %)", f"Adversarial (accuracy {100 * adversarial:.1f} %)")
        save(tsne_pair(made.map, made.labels, made.adversarial, loaded.card.classes, titles), out)
    if coordinates is not None:
        write_csv(coordinates, latents.coordinates(made, loaded.card.classes))
    show(
        {
            "model": loaded.name,
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


@cli.command
def doctor(*, as_json: Json = False) -> None:
    """What this installation is and whether it is whole: versions, devices, shipped models, folders."""
    from core.diagnosis import diagnose

    report = diagnose(_cache())
    show(report, as_json)
    if report["problems"]:
        raise UserError(" ".join(report["problems"]))


def _dataset_of(loaded: Any, path: Path, name: str | None, root: Path | None) -> Any:
    """The dataset to test a model on: the one named, or the one it was trained on."""
    from core.training import trained_on

    if name is None:
        name, remembered = trained_on(path, loaded.card)
        root = root or remembered
    data = _dataset(name, root)
    if data.card.name == loaded.card.dataset and data.card.fingerprint != loaded.card.fingerprint:
        CONSOLE.print(f"{loaded.name} was trained on another version of {data.card.name} than this one.")
    if tuple(data.card.classes) != tuple(loaded.card.classes):
        raise UserError(f"{loaded.name} knows other classes than {data.card.name}; test it on {loaded.card.dataset}.")
    return data
