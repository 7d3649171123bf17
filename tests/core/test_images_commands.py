"""Commands on images: digits, own pictures with classifiers of other projects, and what is not for images."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from core.commands import run
from core.datasets import Dataset, open_dataset
from core.evaluation.make import AdversarialSet, read_set
from core.events import result
from core.models.cards import ModelError
from core.models.checkpoints import load_model, resolve_model
from core.models.importers import AnyImportOptions, ImportOptions, UntrustedError, examine
from core.models.importers.library import library_folder
from core.runtime.opening import open_path
from tests.core.foreign import save_script
from tests.core.test_cli import answer

CODE = '''
"""A classifier of the main colour of images of bytes, with its own scaling inside."""

import torch
from torch import nn


class Colour(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(3, 3)
        self.last.weight.data = 4 * torch.eye(3)
        self.last.bias.data.zero_()

    def forward(self, images):
        return self.last(((images - 127.5) / 25.5).mean((2, 3)))
'''
COLOURS = ("blue", "green", "red")


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture(scope="module")
def run_of_digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that a command has trained on digits."""
    folder = tmp_path_factory.mktemp("runs") / "digits"
    words = ["train", "--dataset", "digits", "--model", "resnet-small", "--epochs", "2", "--learning-rate", "0.003"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder.parent / "cache"))
        assert run([*words, "--device", "cpu", "--out", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three dozen noisy pictures of three main colours, one of them stronger by 10 to 30, in folders of classes."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for label, name in enumerate(COLOURS):
        (root / name).mkdir()
        for row in range(12):
            pixels = rng.integers(90, 150, (240, 300, 3))
            pixels[..., 2 - label] += rng.integers(10, 30)
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{row:02d}.png")
    return root


@pytest.fixture
def code(tmp_path: Path) -> Path:
    path = tmp_path / "colour.py"
    path.write_text(CODE)
    return path


def made() -> nn.Module:
    scope: dict[str, type[nn.Module]] = {}
    exec(CODE, scope)
    return scope["Colour"]().eval()


def clean_of(rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Test images of digits."""
    data: Dataset = result(open_dataset("digits", None, Path(os.environ["XDG_CACHE_HOME"]) / "again"))
    return data.split("test").points[rows]


def sets_of(experiment: Path) -> list[AdversarialSet]:
    return [read_set(folder)[0] for folder in sorted((experiment / "equal-loss/sets/vgg-small").iterdir())]


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The one sentence with which a command ends; exit code 1 or 2."""
    assert run([str(word) for word in words]) in (1, 2)
    return next(line for line in capsys.readouterr().err.splitlines() if line.startswith("error: "))


class TestDigits:
    def test_evaluate_attack_and_judge_agree(
        self, run_of_digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        attack = ["--dataset", "digits", "--attack", "pgd", "--steps", "4", "--epsilon", "0.1"]
        report = answer(capsys, "evaluate", str(run_of_digits), *attack, "--clouds", "50")
        assert report["clean_accuracy"] > 0.9
        assert report["adversarial_accuracy"] < report["clean_accuracy"]
        assert report["linf_max"] == pytest.approx(0.1, rel=1e-5)
        assert report["points"] == 0
        out = tmp_path / "made"
        model = ["--model", str(run_of_digits)]
        shown = answer(capsys, "attack", *model, *attack, "--clouds", "50", "--out", str(out))
        assert 1 - shown["surrogate_fooled"] == pytest.approx(report["adversarial_accuracy"])
        assert "chamfer_mean" not in shown
        adversarial = read_set(out)[0].clouds
        assert adversarial.shape == (50, 1, 8, 8)
        assert (adversarial.min(), adversarial.max()) == (0, 1)
        judged = answer(capsys, "judge", str(out), *model)[run_of_digits.name]
        assert judged["adversarial_accuracy"] == report["adversarial_accuracy"]

    def test_what_is_not_for_images_is_said(
        self, run_of_digits: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        digits, out = ("--dataset", "digits"), tmp_path / "out"
        takes = f"{run_of_digits.name} takes images"
        (tmp_path / "cloud.xyz").write_text("0 0 0\n1 0 0\n0 1 0\n0 0 1\n")
        cases = {
            ("evaluate", run_of_digits, "--points", "64"): f"--points is for clouds, and {takes}",
            ("evaluate", run_of_digits, "--up", "y"): "digits has images: --up and --turn are for clouds",
            ("evaluate", run_of_digits, "--attack", "geoa3"): "is for clouds (B, N, 3), and these samples are (B, 1, 8",
            (
                "evaluate",
                "pointnet-simple",
                *digits,
            ): "pointnet-simple takes clouds, and digits has images of",
            ("evaluate", run_of_digits, "--dataset", "images", "--data-root", pictures): f"{takes} of 1 x 8 x 8",
            ("evaluate", f"{run_of_digits}+sor"): "Input defences are for clouds, and this model takes images",
            ("defend", run_of_digits): f"Input defences are for clouds, and {takes}",
            ("tsne", run_of_digits, "--out", tmp_path / "x.png"): f"Maps are of the latents of clouds, and {takes}",
            ("attack", tmp_path / "cloud.xyz", "--model", run_of_digits): f"{takes}: attack those of a dataset",
            ("datasets", "digits", "--sheet", tmp_path / "x.png"): "digits has images and no clouds",
            ("train", *digits, "--out", out): "model: digits has images, which pointnet does not take",
            ("train", *digits, "--model", "vgg-small", "--rotation", "9", "--out", out): "rotation: digits has images",
            (
                "zoo",
                "train",
                *digits,
                "--models",
                "pointnet",
                "--out",
                out,
            ): "There is no model 'pointnet' in the zoo",
            ("zoo", "train", "--dataset", "images", "--data-root", pictures, "--out", out): "No models are trained for",
        }
        for words, wrong in cases.items():
            assert wrong in refused(capsys, *words)
        assert not list(out.glob("*"))
        with pytest.raises(ModelError, match="takes images, and the studio shows clouds"):
            open_path(run_of_digits)

    @pytest.mark.long
    def test_a_transfer_experiment_stays_in_the_range_and_is_reported(
        self, run_of_digits: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        zoo, out = tmp_path / "zoo", tmp_path / "transfer"
        digits = ("--dataset", "digits", "--threads", "1")
        answer(capsys, "zoo", "train", *digits, "--models", "vgg-small", "--epochs", "2", "--out", str(zoo))
        words = ["--zoo", str(zoo), "--surrogates", "vgg-small", "--victims", str(run_of_digits), "--samples", "20"]
        attacks = ("--attacks", "gd,m-gd,random-sign,gaussian", "--epsilon", "0.1", "--reached", "0.5")
        said = answer(capsys, "transfer", *digits, *words, *attacks, "--out", str(out))
        assert said["complete"]
        assert "units of the values" in Path(said["report"]).read_text()
        clean = read_set(out / "equal-loss/sets/vgg-small/gd")[0]
        sizes = [np.sqrt(np.square(each.clouds - clean_of(clean.row)).mean((1, 2, 3))) for each in sets_of(out)]
        for control in ("random-sign", "gaussian"):
            with np.load(out / "equal-loss/noise/vgg-small" / f"{control}.npz") as file:
                noisy = file["samples"]
            assert (noisy.min(), noisy.max()) == (0, 1)
            size = np.sqrt(np.square(noisy - clean_of(clean.row)).mean((1, 2, 3)))
            np.testing.assert_allclose(size, np.max(sizes, axis=0), rtol=1e-4)

    def test_the_zoo_lists_them(self, capsys: pytest.CaptureFixture[str]) -> None:
        listed = answer(capsys, "zoo", "--dataset", "digits")
        assert len(listed) == 13
        expected = {"role": "victim", "regime": "pgd", "model": "resnext-small", "installed": False}
        assert listed["resnext-small-pgd"] == expected


class TestPictures:
    @pytest.mark.long
    def test_code_and_script_are_imported_and_attacked_within_their_bytes(
        self, code: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """The model is linear in the mean colours, so that FGSM is the best attack: a class is lost if it leads by less
        than two epsilons, whatever the random start."""
        script = save_script(made(), tmp_path / "script.pt", traced=(1, 3, 224, 224))
        images = ["--images", "3x224x224", "--classes", ",".join(COLOURS[::-1])]
        facts = answer(capsys, "models", "import", f"{code}:Colour", *images, "--name", "mine", "--trust-code", "yes")
        assert facts["images"] == "images of 3 x 224 x 224 values from 0 to 255"
        answer(capsys, "models", "import", str(script), *images, "--name", "script")
        words = ["--dataset", "images", "--data-root", str(pictures), "--attack", "fgsm", "--epsilon", "8"]
        report = answer(capsys, "evaluate", "mine", *words)
        assert (report["n"], report["clean_accuracy"], report["classes_present"]) == (33, 1, 3)
        assert report["linf_max"] == 8
        out = tmp_path / "made"
        answer(capsys, "attack", "--model", "mine", *words, "--out", str(out))
        attacked = read_set(out)[0]
        leads = np.diff(np.sort(attacked.clean_logits, axis=1), axis=1)[:, -1] / 4 * 25.5
        np.testing.assert_array_equal(attacked.success, leads < 16)
        assert 0 < attacked.success.mean() < 1
        assert report["adversarial_accuracy"] == pytest.approx(1 - attacked.success.mean())
        assert attacked.clouds.min() >= 0
        assert attacked.clouds.max() <= 255
        judged = answer(capsys, "judge", str(out), "--model", "script", "--data-root", str(pictures))["script"]
        assert judged["adversarial_accuracy"] == report["adversarial_accuracy"]

    def test_an_imported_one_is_loaded_as_it_was(self, code: Path, capsys: pytest.CaptureFixture[str]) -> None:
        words = ("models", "import", f"{code}:Colour", "--images", "3x10x12", "--trust-code", "yes")
        assert answer(capsys, *words)["classes"] == 3
        card = load_model(resolve_model("colour")).card
        assert card.image is not None
        assert (card.image.shape, card.image.value_range, card.points) == ((3, 10, 12), (0, 255), 0)
        images = 255 * torch.rand(2, 3, 10, 12)
        output = load_model(library_folder() / "colour.pointward.json").module(images)
        torch.testing.assert_close(output.logits, made()(images))
        assert output.latent.shape == (2, 3)
        assert list(answer(capsys, "models")["colour"])[2] == "images"

    def test_what_can_not_be_one_is_refused(
        self, code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        torch.save(made().state_dict(), tmp_path / "weights.pth")
        source = f"{code}:Colour"
        with pytest.raises(UntrustedError):
            examine(source, AnyImportOptions(images="3x8x8"))
        assert "It takes no images of 4 x 8 x 8 values" in refused(
            capsys, "models", "import", source, "--images", "4x8x8", "--trust-code", "yes"
        )
        cases = {
            (source, "--images", "3x8"): "channels x height x width are wanted, as 3x224x224",
            (source, "--images", "3x90000x90000"): "of at most 4,194,304 values",
            (source, "--images", "3x8x8", "--up", "y"): "up, normalisation, scale, points and layout are for clouds",
            (source, "--images", "3x8x8", "--check", "--dataset", "digits"): "--check is for clouds",
            (source,): "It takes no clouds of 1,024 points",
            (str(tmp_path / "weights.pth"), "--images", "3x8x8"): "is a state dict, which does not tell how",
        }
        for words, wrong in cases.items():
            assert wrong in refused(capsys, "models", "import", *words)

    def test_the_window_does_not_ask_for_images(self) -> None:
        assert "images" not in ImportOptions.model_fields
        assert ImportOptions().image is None
