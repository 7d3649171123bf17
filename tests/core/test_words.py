"""Command lines that are written: parsed again they give the same options, and what they cannot say is refused."""

import shlex
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core.attacks import PRESETS, preset
from core.commands import cli
from core.commands.words import attack_words, evaluate_line, model_word, train_line, transfer_line, tsne_line
from core.datasets import Card
from core.evaluation.accuracy import EvaluationOptions
from core.evaluation.auto import AUTO, AutoAttack
from core.evaluation.comparison import ComparisonOptions
from core.evaluation.latents import LatentOptions
from core.evaluation.tsne import TsneOptions
from core.models import ARCHITECTURES
from core.models.checkpoints import BEST, builtin_models, load_model, resolve_model
from core.options import OneOf, Options
from core.studies.transferability.experiment import DatasetPlace, Experiment
from core.studies.transferability.options import TransferOptions
from core.training import TrainOptions

CARD = Card(
    name="shapes16",
    title="",
    classes=("bag", "cap"),
    splits={},
    points=2048,
    up_axis="z",
    licence="",
    source="",
    sampling="",
    fingerprint="",
)


def values(info: Any) -> st.SearchStrategy[Any]:
    """Values of a field within its limits, but for None."""
    kind = next(each for each in (*get_args(info.annotation), info.annotation) if each is not type(None))
    kind = info.annotation if get_origin(info.annotation) is Literal else kind
    low, high = (
        next((getattr(limit, name) for limit in info.metadata if hasattr(limit, name)), None) for name in ("ge", "le")
    )
    registry = next((each for each in info.metadata if isinstance(each, OneOf)), None)
    if registry is not None:
        return st.sampled_from(sorted(registry.offered or registry.registry))
    if get_origin(kind) is Literal:
        return st.sampled_from(get_args(kind))
    if kind is bool:
        return st.booleans()
    if kind is int:
        return st.integers(low, high)
    if kind is float:
        return st.floats(low, high, allow_nan=False, allow_infinity=False)
    if kind is str:
        return st.sampled_from(["pointnet-simple", "my runs/it's mine", "-odd"])
    raise AssertionError(f"what values has {info.annotation}?")


@st.composite
def changed(draw: st.DrawFn, usual: Options, *, without: tuple[str, ...] = ()) -> Any:
    """``usual`` with a few fields changed."""
    fields = [name for name in type(usual).model_fields if name not in without]
    names = draw(st.lists(st.sampled_from(fields), max_size=5, unique=True))
    changes = {name: draw(values(type(usual).model_fields[name])) for name in names}
    try:
        return usual.changed(**changes)
    except ValidationError:
        reject()


def parsed(line: str) -> dict[str, Any]:
    """The arguments of the command that a line runs."""
    program, *words = shlex.split(line)
    assert program == "pointward"
    _, bound, _ = cli.parse_args(words, exit_on_error=False, print_error=False)
    return dict(bound.arguments)


@cache
def model():
    return load_model(builtin_models()["pointnet-simple"])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_training_is_parsed_as_it_was_chosen(data):
    name = data.draw(st.sampled_from(sorted(ARCHITECTURES)))
    of_model = data.draw(changed(ARCHITECTURES[name][1]()))
    usual = TrainOptions(model=name, model_options=of_model.model_dump())
    options = data.draw(changed(usual, without=("model", "model_options")))
    arguments = parsed(train_line(options, CARD, None, Path("some runs/1")))
    assert arguments["options"] == options
    assert (arguments["dataset"], arguments["out"]) == ("shapes16", Path("some runs/1"))


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(sorted(PRESETS)), st.data())
def test_an_attack_is_parsed_as_it_was_chosen(name, data):
    attack = data.draw(changed(preset(name), without=("goal",)))
    words = ["pointward", "evaluate", "pointnet-simple", *attack_words(name, attack)]
    assert parsed(shlex.join(words))["trial"].choice.build_any() == attack


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_an_evaluation_is_parsed_as_it_was_chosen(data):
    of_clouds = ComparisonOptions(points=data.draw(st.integers(1, 100_000)))
    options = data.draw(changed(of_clouds, without=("split", "batch_size", "points")))
    line = evaluate_line(model(), CARD, None, AUTO, AutoAttack(epsilon=0.03), options)
    arguments = parsed(line)
    made = EvaluationOptions(
        **{name: arguments[name] for name in ("clouds", "without_copies", "stop_on_success") if name in arguments},
        **arguments["measurement"].options(model()),
    )
    assert made == EvaluationOptions(**options.model_dump(include=set(EvaluationOptions.model_fields)))
    assert arguments["trial"].choice.build_any() == AutoAttack(epsilon=0.03)
    assert (arguments["trial"].model, arguments["trial"].dataset) == ("pointnet-simple", "shapes16")


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_map_is_parsed_as_it_was_chosen(data):
    clouds, options = data.draw(changed(LatentOptions())), data.draw(changed(TsneOptions()))
    arguments = parsed(tsne_line(model(), CARD, None, "fgsm", preset("fgsm"), clouds, options))
    assert (arguments.get("clouds") or LatentOptions()) == clouds
    assert (arguments.get("options") or TsneOptions()).model_dump() == options.model_dump()


@settings(max_examples=20, deadline=None)
@given(st.data())
def test_a_transfer_experiment_is_parsed_as_it_was_chosen(tmp_path_factory, data):
    options = data.draw(changed(TransferOptions()))
    run = tmp_path_factory.mktemp("runs") / "mine"
    models = {"pointnet-simple": builtin_models()["pointnet-simple"], "mine": run / BEST}
    place = DatasetPlace("shapes16", None, run)
    experiment = Experiment(
        run.parent / "new", options, place, models, ("pointnet-simple",), ("adam", "fgsm"), ("mine", "pointnet-simple")
    )
    arguments = parsed(transfer_line(experiment, CARD))
    changes = arguments["options"].model_dump(exclude_none=True) | {"protocol": arguments["protocol"]}
    assert TransferOptions(**changes) == options
    assert arguments["out"] == run.parent / "new"
    assert arguments["surrogates"] == "pointnet-simple"
    assert arguments["victims"] == f"{run},pointnet-simple"
    assert arguments["attacks"] == "adam,fgsm"


def test_another_direction_has_its_own_constraint_unless_that_is_chosen_too():
    """In a command the constraint follows the direction, and here it did not."""
    attack = preset("pgd").changed(direction="per-point")
    assert attack.constraint == "linf"
    words = attack_words("pgd", attack)
    assert words[words.index("--constraint") + 1] == "linf"
    assert "--constraint" not in attack_words("pgd", preset("pgd", direction="per-point"))


def test_a_model_is_named_as_a_command_finds_it(tmp_path):
    (tmp_path / BEST).touch()
    (tmp_path / "my model.safetensors").touch()
    for path in (*builtin_models(zoo=True).values(), tmp_path / BEST, tmp_path / "my model.safetensors"):
        assert resolve_model(model_word(path)) == path
    assert model_word(tmp_path / BEST) == str(tmp_path)


def test_a_dataset_is_found_again_and_turned_as_it_was(tmp_path):
    card = CARD.model_copy(update={"name": "folder", "given_up": "-y", "turn": 90.0})
    trial = parsed(tsne_line(model(), card, tmp_path, "fgsm", preset("fgsm"), LatentOptions(), TsneOptions()))["trial"]
    assert (trial.dataset, trial.data_root) == ("folder", tmp_path)
    assert (trial.orientation.up, trial.orientation.turn) == ("-y", 90)


def refusals(tmp_path):
    """Sentence -> what is refused with it."""
    fgsm, turned = preset("fgsm"), CARD.model_copy(update={"given_up": "x", "up_axis": "y"})
    simple = builtin_models()["pointnet-simple"]

    def evaluate(card=CARD, attack=fgsm, **options):
        return lambda: evaluate_line(model(), card, None, "fgsm", attack, ComparisonOptions(**options))

    def transfer(models, folder=tmp_path / "new"):
        names = tuple(models)
        place = DatasetPlace("shapes16", None, tmp_path)
        return lambda: transfer_line(
            Experiment(folder, TransferOptions(), place, models, names[:1], ("adam",), names[1:]), CARD
        )

    return {
        "cannot say that step size is empty": lambda: attack_words("knn", preset("knn").changed(step_size=None)),
        "split test first": evaluate(split="train"),
        "set the batch size to that": evaluate(batch_size=64),
        "set the goal to untargeted": evaluate(attack=fgsm.changed(goal="targeted")),
        "turned here to have y up": evaluate(card=turned),
        "is in no file": lambda: model_word(None),
        "separates models by commas": transfer({"a": simple, "b": tmp_path / "b,c.safetensors"}),
        "would have one name": transfer({"a": tmp_path / "1" / "run" / BEST, "b": tmp_path / "2" / "run" / BEST}),
        "would call mine of this experiment yours": transfer(
            {simple.stem: simple, "mine": tmp_path / "yours" / BEST}, tmp_path
        ),
    }


def test_what_no_command_can_say_is_refused_with_a_sentence(tmp_path):
    for sentence, write in refusals(tmp_path).items():
        with pytest.raises(ValueError, match=sentence):
            write()
