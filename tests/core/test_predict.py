import numpy as np
import pytest
import torch

from core.events import Cancel, Done, Progress
from core.models import Output, build
from core.models.predict import device_of, predict, predictions
from tests.core.toys import toy_split


@pytest.fixture
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    return build("pointnet", 3)


def test_the_answer_does_not_depend_on_the_batch_size(model: torch.nn.Module) -> None:
    points = toy_split(13).points
    whole = predict(model, points, batch=13)
    for batch in (1, 4, 100):
        parts = predict(model, points, batch)
        np.testing.assert_allclose(parts.logits, whole.logits, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(parts.latent, whole.latent, rtol=1e-4, atol=1e-5)


def test_answers_are_logits_latents_and_confidences(model: torch.nn.Module) -> None:
    answers = predict(model, toy_split(5).points)
    assert (answers.logits.shape, answers.latent.shape) == ((5, 3), (5, 1024))
    np.testing.assert_allclose(answers.probabilities.sum(1), 1, rtol=1e-6)
    expected = torch.from_numpy(answers.logits).softmax(1).max(1)
    np.testing.assert_allclose(answers.confidence, expected.values, rtol=1e-6)
    np.testing.assert_array_equal(answers.prediction, expected.indices)


def test_the_model_is_asked_in_eval_mode_and_keeps_its_own(model: torch.nn.Module) -> None:
    model.train()
    model.classifier.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    training = [module.training for module in model.modules()]
    stream = predictions(model, toy_split(5).points, batch=2)
    next(stream)
    assert [module.training for module in model.modules()] == training, "also between two batches"
    assert not torch.is_inference_mode_enabled()
    list(stream)
    assert [module.training for module in model.modules()] == training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    np.testing.assert_array_equal(
        predict(model, toy_split(5).points).logits, predict(model.eval(), toy_split(5).points).logits
    )


def test_a_long_prediction_reports_progress_and_keeps_what_it_has_when_stopped(model: torch.nn.Module) -> None:
    cancel = Cancel()
    stream = predictions(model, toy_split(9).points, 2, cancel)
    assert next(stream) == Progress(2, 9, "clouds predicted")
    cancel.request()
    done = list(stream)[-1]
    assert isinstance(done, Done)
    assert not done.complete
    assert len(done.value.logits) == 2


def test_images_are_called_images() -> None:
    images = np.zeros((3, 1, 4, 4), np.float32)
    stream = predictions(lambda batch: Output(batch.flatten(1)[:, :3], batch.flatten(1)), images, 2)
    assert next(stream) == Progress(2, 3, "images predicted")


def test_any_callable_can_be_asked() -> None:
    answers = predict(lambda clouds: Output(clouds.mean(1), clouds.amax(1)), toy_split(4).points)
    assert answers.latent.shape == (4, 3)
    assert device_of(lambda clouds: clouds) == torch.device("cpu")  # type: ignore[arg-type, return-value]


@pytest.mark.parametrize("shape", [(64, 3), (0, 64, 3), (2, 64, 4), (2, 0, 3)])
def test_other_shapes_are_refused(model: torch.nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"need the shape \(n, points, 3\)"):
        predict(model, np.zeros(shape, np.float32))
