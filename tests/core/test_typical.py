"""What is typical of training data, and which clouds are marked as unlike it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from core.datasets import Dataset, Split
from core.events import Cancel, Done, Event, Note, Progress, result
from core.models.checkpoints import LoadedModel, builtin_models, load_model, resolve_model, save_model
from core.models.predict import Predictions, predict
from core.models.typical import FEWEST, RANK, Typical, margin
from core.training import train
from core.training.typical import add_typical, measure_typical
from tests.core.toys import CLASSES, toy_dataset, toy_options, toy_run

LARGE = {"epochs": 4, "validation": 0.4, "batch_size": 24}
"""Options of a training whose validation part is large enough."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return toy_dataset(train=180, test=90)


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("typical") / "run"
    toy_run(folder, dataset, **LARGE)
    return load_model(resolve_model(folder))


def gaussian(count: int, width: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Latents of three classes about means of their own, with a few directions of large variance, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    spread = np.concatenate([np.full(10, 5.0), np.full(width - 10, 0.5)])
    means = 20 * np.eye(3, width)
    return (means[labels] + spread * rng.normal(size=(count, width))).astype(np.float32), labels


def predictions_of(latent: np.ndarray, logits: np.ndarray | None = None) -> Predictions:
    made = np.random.default_rng(1).normal(size=(len(latent), 3)).astype(np.float32) if logits is None else logits
    return Predictions(made, latent)


def test_the_distance_is_that_of_mahalanobis_to_the_nearest_class() -> None:
    latent, labels = gaussian(6000, 40)
    typical = Typical.fit(latent, labels, predictions_of(gaussian(600, 40, 1)[0]), 10)
    spread = np.concatenate([np.full(10, 5.0), np.full(30, 0.5)])
    tried = gaussian(50, 40, 2)[0]
    means = 20 * np.eye(3, 40)
    exact = np.sqrt((((tried[:, None] - means) / spread) ** 2).sum(axis=2).min(axis=1))
    assert typical.distance(tried) == pytest.approx(exact, rel=0.1)
    assert len(typical.basis) == 39, "all directions but one, which stands for the rest"


def test_of_wide_latents_the_principal_directions_are_kept_and_one_variance_for_the_rest() -> None:
    latent, labels = gaussian(6000, 300)
    typical = Typical.fit(latent, labels, predictions_of(gaussian(300, 300, 1)[0]), 10)
    assert typical.basis.shape == (RANK, 300)
    assert typical.basis @ typical.basis.T == pytest.approx(np.eye(RANK), abs=1e-2), "stored as float16"
    assert np.sqrt(typical.variances[:10]) == pytest.approx(np.full(10, 5.0), rel=0.2)
    assert np.sqrt(typical.variances[-1]) == pytest.approx(0.5, rel=0.1)


def test_one_in_a_hundred_validation_clouds_is_far_and_one_unsure() -> None:
    latent, labels = gaussian(900)
    held = predictions_of(gaussian(1000, seed=1)[0])
    typical = Typical.fit(latent, labels, held, 10)
    assert (typical.distance(held.latent) > typical.limits.distance).sum() == 10
    assert (held.confidence < typical.limits.confidence).sum() == 10
    unlike = typical.unlike(held.confidence, held.latent)
    assert 10 <= unlike.sum() <= 20
    far = held.latent + 100
    assert typical.unlike(held.confidence, far).all()
    assert typical.unlike(np.zeros(len(far)), held.latent).all()


def test_likeness_rises_with_the_margin_and_falls_with_the_distance() -> None:
    latent, labels = gaussian(900)
    typical = Typical.fit(latent, labels, predictions_of(gaussian(300, seed=1)[0]), 10)
    sure, unsure = np.float32([[9, 0, 0]]), np.float32([[1, 0, 0.5]])
    assert margin(sure) == 9
    assert margin(unsure) == 0.5
    near, far = latent[:1], latent[:1] + 50
    assert typical.likeness(predictions_of(near, sure)) > typical.likeness(predictions_of(near, unsure))
    assert typical.likeness(predictions_of(near, sure)) > typical.likeness(predictions_of(far, sure))


def test_latents_without_any_spread_have_a_distance_all_the_same() -> None:
    latent = np.zeros((20, 8), np.float32)
    typical = Typical.fit(latent, np.arange(20) % 2, predictions_of(np.zeros((60, 8), np.float32)), 10)
    assert np.isfinite(typical.distance(np.ones((1, 8)))).all()
    assert (typical.distance(latent) == 0).all()


def test_a_finished_training_tells_what_is_typical(trained: LoadedModel, dataset: Dataset) -> None:
    assert trained.typical is not None
    assert trained.card.typical == trained.typical.limits
    assert trained.card.typical.clouds == 72
    assert trained.card.typical.points == 32
    test = dataset.split("test")
    answers = predict(trained.module, test.points[:, :32])
    assert trained.typical.unlike(answers.confidence, answers.latent).mean() < 0.2
    noise = np.random.default_rng(0).normal(size=(30, 32, 3)).astype(np.float32)
    strange = predict(trained.module, 3 * noise)
    assert trained.typical.unlike(strange.confidence, strange.latent).mean() > 0.9


def test_the_weights_of_a_run_are_those_without_it(trained: LoadedModel, dataset: Dataset, tmp_path: Path) -> None:
    bare = tmp_path / "bare.safetensors"
    save_model(bare, trained.module, trained.card)
    other = load_model(bare)
    assert other.typical is None
    assert other.card.typical is None
    for name, tensor in trained.module.state_dict().items():
        assert torch.equal(tensor, other.module.state_dict()[name])
    events = list(add_typical(bare, dataset, toy_options(**LARGE), "cpu"))
    assert isinstance(events[-1], Done)
    again = load_model(bare)
    assert again.typical is not None
    assert trained.typical is not None
    assert again.typical.limits == trained.typical.limits
    assert np.array_equal(again.typical.means, trained.typical.means)
    assert list(add_typical(bare, dataset, toy_options(**LARGE), "cpu")) == [Done()], "it is measured once"


def test_a_training_with_few_validation_clouds_says_that_nothing_will_be_marked(tmp_path: Path) -> None:
    notes = [event.text for event in train(toy_dataset(), toy_options(epochs=1), tmp_path) if isinstance(event, Note)]
    assert notes[
        -1
    ] == f"No cloud will be marked as unlike the training data: that takes {FEWEST} validation clouds, " + (
        "and there are 6."
    )
    assert load_model(resolve_model(tmp_path)).typical is None


def test_a_training_with_a_cloud_of_each_class_says_so_too(dataset: Dataset, tmp_path: Path) -> None:
    notes = [
        event.text
        for event in train(dataset, toy_options(**LARGE | {"epochs": 1, "clouds": len(CLASSES) + 1}), tmp_path / "run")
        if isinstance(event, Note)
    ]
    assert "No cloud will be marked as unlike the training data: that takes 1 more to learn from." in notes
    assert load_model(resolve_model(tmp_path / "run")).typical is None


def test_a_measurement_that_is_cancelled_leaves_the_file_as_it_was(
    trained: LoadedModel, dataset: Dataset, tmp_path: Path
) -> None:
    bare, cancel = tmp_path / "bare.safetensors", Cancel()
    save_model(bare, trained.module, trained.card)
    before = bare.read_bytes()
    seen: list[Event] = []
    for event in add_typical(bare, dataset, toy_options(**LARGE), "cpu", cancel):
        seen.append(event)
        cancel.request()
    assert [type(event) for event in seen] == [Progress, Done]
    assert seen[-1] == Done(complete=False)
    assert bare.read_bytes() == before


def test_a_run_that_was_stopped_after_its_last_epoch_is_completed_when_it_is_resumed(
    trained: LoadedModel, dataset: Dataset, tmp_path: Path
) -> None:
    cancel, folder = Cancel(), tmp_path / "run"
    for event in train(dataset, toy_options(**LARGE), folder, cancel):
        if isinstance(event, Progress) and event.done == event.total:
            cancel.request()
    assert load_model(resolve_model(folder)).typical is None
    toy_run(folder, dataset, resume=True, **LARGE)
    typical = load_model(resolve_model(folder)).typical
    assert typical is not None
    assert trained.typical is not None
    assert typical.limits == trained.typical.limits


@pytest.mark.parametrize(
    ("name", "tensor", "said"),
    [
        ("means", None, "a tensor is missing"),
        ("means", torch.zeros(3, 5), "its tensors have the shapes"),
        ("basis", torch.zeros(4), "its tensors have the shapes"),
        ("variances", torch.full((3,), float("nan")), "not finite"),
        ("variances", torch.tensor([1.0, -1.0, 1.0]), "not positive"),
    ],
)
def test_a_file_whose_part_about_the_training_data_is_damaged_is_refused(
    trained: LoadedModel, tmp_path: Path, name: str, tensor: torch.Tensor | None, said: str
) -> None:
    assert trained.path is not None
    with safe_open(trained.path, "pt") as file:
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        header = file.metadata()
    width = tensors["typical/means"].shape[1]
    tensors |= {"typical/basis": torch.eye(2, width), "typical/variances": torch.ones(3)}
    if tensor is None:
        del tensors[f"typical/{name}"]
    else:
        tensors[f"typical/{name}"] = tensor
    damaged = tmp_path / "damaged.safetensors"
    save_file(tensors, damaged, header)
    with pytest.raises(ValueError, match=f"what it holds of its training data is damaged: .*{said}"):
        load_model(damaged)


@pytest.mark.parametrize("name", sorted(builtin_models()))
def test_every_shipped_model_tells_what_is_typical_of_its_training_data(name: str) -> None:
    loaded = load_model(resolve_model(name))
    assert loaded.typical is not None
    assert loaded.typical.limits.clouds > 400
    assert loaded.typical.limits.points == loaded.card.points
    assert loaded.typical.basis.shape == (RANK, 1024)
    card = resolve_model(name).with_suffix(".md").read_text(encoding="utf-8")
    assert f"{loaded.typical.limits.clouds} validation clouds" in card


def test_clouds_are_measured_as_many_points_as_were_trained_with(dataset: Dataset, trained: LoadedModel) -> None:
    train_split = dataset.split("train")
    shorter = Split(train_split.points[:, :16], train_split.labels, train_split.names)
    small = Dataset(dataset.card, {"train": shorter, "test": shorter})
    measured: Typical = result(measure_typical(trained.module, small, toy_options(**LARGE, replacement=True)))
    assert measured.limits.points == 16
