"""Files that this program writes and a person may edit, options and command lines, as targets of the fuzzer."""

import json
import os
import random
import string
import struct
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from pydantic import ValidationError

from core import training
from core.attacks import PRESETS
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.latents import LatentOptions
from core.evaluation.tsne import TsneOptions
from core.models import build, checkpoints
from core.models.autoencoder import Autoencoder, AutoencoderOptions
from core.models.autoencoder_files import AutoencoderCard, load_autoencoder, save_autoencoder
from core.models.checkpoints import BEST, LAST, ModelCard, load_model, load_training, read_card, save_model
from core.options import explain
from core.runtime.text import printable
from core.studies.defense_pointnet.options import ReproduceOptions
from core.training import TrainOptions, runs
from tests.core.toys import toy_dataset, toy_options
from tests.fuzz.mutators import NUMBERS, WORDS, json_text, mutate, mutate_json, random_value
from tests.fuzz.target import Refused, Target, refusals, sentence

# Weights and runs


CARD = {
    "name": "a", "title": "A", "architecture": "pointnet", "options": {"dropout": 0.3}, "classes": ["a", "b"],
    "regime": "simple", "points": 64, "dataset": "shapes16", "fingerprint": "0" * 64, "up_axis": "y", "seed": 0,
    "epochs": 2, "command": "pointward train", "metrics": {"validation_clean": 0.5}, "versions": {"torch": "2"},
    "created": "2026-01-01T00:00:00+00:00", "dtype": "float32",
}  # fmt: skip


@cache
def _own_folder() -> tempfile.TemporaryDirectory[str]:
    """Where this process keeps whole files; created at the first use, for a worker sets where temporary files are."""
    return tempfile.TemporaryDirectory(prefix="whole-")


@cache
def _weights_file() -> Path:
    """A whole file of weights of a PointNet, with a training state."""
    path = Path(_own_folder().name) / LAST
    torch.manual_seed(0)
    module, card = build("pointnet", 2), ModelCard.model_validate(CARD)
    save_model(path, module, card, half=True, training={"epoch": torch.zeros(1)})
    return path


def _damaged_weights(rng: random.Random) -> bytes:
    return _damaged_safetensors(_weights_file().read_bytes(), "card", rng)


def _damaged_safetensors(whole: bytes, card_key: str, rng: random.Random) -> bytes:
    """A safetensors file with damage anywhere, in its card, or in the rest of its header."""
    size = 8 + int.from_bytes(whole[:8], "little")
    if rng.random() < 0.3:
        return mutate(whole[: rng.choice((size, size + 1000, len(whole)))], [whole[:size]], rng)
    header = json.loads(whole[8:size])
    if rng.random() < 0.6:
        card = mutate_json(json.loads(header["__metadata__"][card_key]), rng)
        header["__metadata__"][card_key] = json_text(card, rng).decode("utf-8", "surrogatepass")
    else:
        header = mutate_json(header, rng)
    text = json_text(header, rng)
    return struct.pack("<Q", len(text)) + text + whole[size:]


def _run_weights(data: bytes, folder: Path, rng: random.Random) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(data)
    with refusals(ValueError):
        read_card(path)
        load_training(path)
        load_model(path)


@cache
def _autoencoder_file() -> Path:
    """A whole file of a small autoencoder."""
    path = Path(_own_folder().name) / "autoencoder.safetensors"
    torch.manual_seed(0)
    options = AutoencoderOptions(points=16, latent=8, width=8)
    card = {name: CARD[name] for name in ("dataset", "fingerprint", "classes", "up_axis", "epochs", "seed", "command")}
    card |= {"options": options, "created": CARD["created"], "metrics": {"test_chamfer": 0.01}}
    save_autoencoder(path, Autoencoder(options), AutoencoderCard.model_validate(card))
    return path


def _damaged_autoencoder(rng: random.Random) -> bytes:
    return _damaged_safetensors(_autoencoder_file().read_bytes(), "autoencoder", rng)


def _load_autoencoder(data: bytes, folder: Path, rng: random.Random) -> None:
    path = folder / "autoencoder.safetensors"
    path.write_bytes(data)
    with refusals(ValueError):
        load_autoencoder(path)


@cache
def _run_folder() -> Path:
    """A training run of two epochs."""
    folder = Path(_own_folder().name) / "run"
    for _ in training.train(toy_dataset(), toy_options(epochs=2), folder):
        pass
    return folder


@cache
def _run_files() -> dict[str, bytes]:
    """Its text files, without what differs between two such runs."""
    record = json.loads((_run_folder() / runs.OPTIONS).read_text()) | {"time": "2026-01-01T00:00:00+00:00"}
    lines = [json.loads(line) for line in (_run_folder() / runs.METRICS).read_text().splitlines()]
    metrics = [line | {"seconds": 1.0, "clouds_per_second": 9.5} for line in lines]
    text = "".join(json.dumps(line) + "\n" for line in metrics)
    return {runs.OPTIONS: json.dumps(record).encode(), runs.METRICS: text.encode()}


def _damaged_run(rng: random.Random) -> bytes:
    name = rng.choice((runs.OPTIONS, runs.METRICS))
    whole = _run_files()[name]
    if rng.random() < 0.4:
        damaged = mutate(whole, list(_run_files().values()), rng)
    elif name == runs.OPTIONS:
        damaged = json_text(mutate_json(json.loads(whole), rng), rng)
    else:
        lines = [json.loads(line) for line in whole.splitlines()]
        lines[rng.randrange(2)] = mutate_json(rng.choice(lines), rng)
        damaged = b"\n".join(json_text(line, rng) for line in lines) + b"\n"
    return f"{name}\n".encode() + damaged


def _resume_run(data: bytes, folder: Path, rng: random.Random) -> None:
    name, _, damaged = data.partition(b"\n")
    run = folder / "run"
    run.mkdir()
    for other, content in (_run_files() | {name.decode(): damaged}).items():
        (run / other).write_bytes(content)
    for weights in (BEST, LAST):
        os.link(_run_folder() / weights, run / weights)
    with refusals(ValueError):
        training.dataset_of_run(run)
        training.dataset_of_weights(run / BEST, ModelCard.model_validate(CARD))
        runs.Run.resume(run, TrainOptions(), toy_dataset().card)


def _damaged_index(rng: random.Random) -> bytes:
    index = {
        f"{name}.safetensors": {"title": name, "dataset": "shapes16", "sha256": "0" * 64} for name in ("one", "two")
    }
    if rng.random() < 0.4:
        return mutate(json.dumps(index).encode(), [b"{}"], rng)
    return json_text(mutate_json(index, rng), rng)


def _read_index(data: bytes, folder: Path, rng: random.Random) -> None:
    (folder / "index.json").write_bytes(data)
    os.link(_weights_file(), folder / "one.safetensors")
    before, checkpoints.WEIGHTS = checkpoints.WEIGHTS, folder
    try:
        with refusals(ValueError):
            checkpoints.builtin_models()
            checkpoints.builtin_models("shapes16")
            load_model(checkpoints.resolve_model("one"))
    finally:
        checkpoints.WEIGHTS = before


# Options and command lines


_KINDS = tuple({row.kind: None for row in PRESETS.values()})
_OPTIONS = (TrainOptions, *_KINDS, EvaluationOptions, LatentOptions, TsneOptions, ReproduceOptions)


def _random_options(rng: random.Random) -> bytes:
    kind = rng.randrange(len(_OPTIONS))
    values = {}
    for name in rng.choices(list(_OPTIONS[kind].model_fields), k=rng.randint(1, 3)):
        values[name] = rng.choice((random_value(rng), rng.randrange(1, 200), rng.random()))
    return json_text([kind, values], rng)


def _validate_options(data: bytes, folder: Path, rng: random.Random) -> None:
    try:
        kind, values = json.loads(data)
    except (RecursionError, ValueError):
        raise Refused("not JSON") from None
    try:
        options = _OPTIONS[kind].model_validate(values)
    except ValidationError as error:
        raise Refused(sentence(explain(error), most=1000)) from None
    json.dumps(options.model_dump(mode="json"))
    if isinstance(options, TrainOptions):
        runs.command(options, "shapes16")
        with suppress(ValidationError):
            _ = options.attack


def _random_words(rng: random.Random) -> bytes:
    command = rng.choice(
        (
            "attack",
            "attacks",
            "evaluate",
            "judge",
            "defend",
            "train",
            "tsne",
            "reproduce",
            "datasets",
            "doctor",
            "",
            "x",
        )
    )
    flags = [name.replace("_", "-") for options in _OPTIONS for name in options.model_fields]
    flags += [
        "json",
        "model",
        "out",
        "points",
        "data-root",
        "attack",
        "target",
        "device",
        "records",
        "no-resume",
        "help",
    ]
    words = [command]
    for _ in range(rng.randrange(5)):
        value = rng.choice(
            (*NUMBERS, *WORDS, "fgsm", "cpu", "a.ply", "true", "".join(rng.choices(string.printable, k=9)))
        )
        words += [f"--{rng.choice(flags)}", value][: rng.choice((1, 2, 2, 2))] if rng.random() < 0.8 else [value]
    return json.dumps(words).encode()


def _parse_words(data: bytes, folder: Path, rng: random.Random) -> None:
    from cyclopts import CycloptsError

    from core.commands import MOST_USAGE_CHARACTERS, cli, exit_code_and_message

    words = json.loads(data)
    try:
        cli.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise Refused(
            sentence(printable(exit_code_and_message(error)[1]), 4 * MOST_USAGE_CHARACTERS)
        ) from None  # as it is shown
    except ValidationError as error:
        raise Refused(sentence(printable(explain(error)), most=1000)) from None


TARGETS = (
    Target("weights and cards", _damaged_weights, _run_weights),
    Target("autoencoders", _damaged_autoencoder, _load_autoencoder, share=0.5),
    Target("run files", _damaged_run, _resume_run),
    Target("index of weights", _damaged_index, _read_index),
    Target("options", _random_options, _validate_options, share=0.5),
    Target("command lines", _random_words, _parse_words, share=0.5),
)
