"""Datasets of images: digits, and a person's own folder with all that can be wrong in one."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from core.clouds.frames import Orientation
from core.datasets import REGISTRY, Dataset, DatasetError, open_dataset
from core.events import Note, result
from core.images.files import CROP, read_image
from core.runtime.files import FormatError


def opened(root: Path, cache: Path, **more: bool) -> Dataset:
    dataset: Dataset = result(open_dataset("images", root, cache, **more))
    return dataset


def picture(path: Path, size: tuple[int, int] = (60, 40), colour: tuple[int, int, int] = (10, 200, 90)) -> Path:
    """A picture of one colour, with a file as its ending says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def refused(root: Path, cache: Path) -> str:
    with pytest.raises((DatasetError, FormatError)) as caught:
        opened(root, cache)
    sentence = str(caught.value)
    assert sentence.endswith(".")
    assert "\n" not in sentence
    return sentence


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    dataset: Dataset = result(open_dataset("digits", None, tmp_path_factory.mktemp("cache")))
    return dataset


class TestDigits:
    def test_they_are_all_those_of_scikit_learn_once(self, digits: Dataset) -> None:
        images = np.concatenate([split.points for split in digits.splits.values()])
        labels = np.concatenate([split.labels for split in digits.splits.values()])
        names = [name for split in digits.splits.values() for name in split.names]
        found = load_digits()
        rows = [int(name.split("_")[1]) for name in names]
        assert sorted(rows) == list(range(1797))
        np.testing.assert_array_equal(images[:, 0] * 16, found.images[rows])
        np.testing.assert_array_equal(labels, found.target[rows])
        assert images.dtype == np.float32
        assert (images.min(), images.max()) == (0, 1)

    def test_their_card_says_what_they_are(self, digits: Dataset, tmp_path: Path) -> None:
        card = digits.card
        assert (card.modality, card.image.shape, card.image.value_range) == ("images", (1, 8, 8), (0, 1))  # type: ignore[union-attr]
        assert card.classes == tuple("0123456789")
        assert card.splits == {"train": 792, "test": 1005}
        again: Dataset = result(open_dataset("digits", None, tmp_path))
        assert again.card == card, "the split is the same everywhere"
        counts = [np.bincount(digits.split(name).labels) for name in ("train", "test")]
        np.testing.assert_allclose(counts[1] / (counts[0] + counts[1]), 0.56, atol=0.003)
        training, validation = digits.validation(0.1, 0)
        assert (len(training), len(validation)) == (712, 80)

    def test_no_cloud_is_read_of_them_and_none_is_turned(self, digits: Dataset, tmp_path: Path) -> None:
        with pytest.raises(DatasetError, match="digits has images and no clouds"):
            digits.cloud("test", 0)
        for name in ("digits", "images"):
            with pytest.raises(DatasetError, match="has images: --up and --turn are for clouds"):
                result(
                    open_dataset(name, tmp_path if name == "images" else None, tmp_path, orientation=Orientation("y"))
                )
        assert {name for name, spec in REGISTRY.items() if spec.modality == "images"} == {"digits", "images"}


class TestFolder:
    def test_folders_of_classes_as_of_imagenets_validation_images(self, tmp_path: Path) -> None:
        root = tmp_path / "images"
        for number, wnid in enumerate(("n01440764", "n01443537")):
            for row in range(10):
                picture(root / wnid / f"val_{row}.JPEG", colour=(100 * number, 10 * row, 200))
        data = opened(root, tmp_path / "cache")
        assert data.card.classes == ("n01440764", "n01443537")
        assert data.card.splits == {"train": 2, "test": 18}
        assert data.card.image is not None
        assert data.card.image.value_range == (0, 255)
        test = data.split("test")
        assert test.points.shape == (18, 3, CROP, CROP)
        assert test.points.dtype == np.uint8, "as bytes they take a quarter of the room"
        samples = test.samples(np.arange(18), 1024)
        rows = [int(name.removeprefix("val_").removesuffix(".JPEG")) for name in test.names]
        colours = np.stack([100 * test.labels, 10 * np.array(rows), np.full(18, 200)], 1)
        np.testing.assert_allclose(samples.mean((2, 3)), colours, atol=3)

    def test_named_splits_are_kept(self, tmp_path: Path) -> None:
        for split, count in (("train", 1), ("val", 2), ("test", 3)):
            for row in range(count):
                picture(tmp_path / "root" / split / "cat" / f"{row}.png")
        data = opened(tmp_path / "root", tmp_path / "cache")
        assert data.card.splits == {"train": 1, "val": 2, "test": 3}
        assert data.card.copies == 3, "all are the same picture"

    @pytest.mark.parametrize("separator", [" ", ", ", "\t"])
    def test_a_list_of_labels_beside_the_images(self, tmp_path: Path, separator: str) -> None:
        root, name = tmp_path / "root", "labels.csv" if "," in separator else "labels.txt"
        lines = []
        for number in range(12):
            file = picture(root / f"ILSVRC2012 val {number:08d}.png" if number else root / "plain.PNG")
            lines.append(f"{file.name}{separator}{number}")
        (root / name).write_text("\n".join(lines) + "\n\n")
        data = opened(root, tmp_path / "cache")
        assert data.card.classes == tuple(f"class {number}" for number in range(12)), "as outputs without names"
        assert data.card.splits == {"train": 0, "test": 12}, "of one image a class none is held out"

    def test_files_that_a_list_names_and_that_are_missing(self, tmp_path: Path) -> None:
        root = tmp_path / "root"
        picture(root / "a.png")
        (root / "labels.txt").write_text("a.png cat\nb.png dog\n")
        assert "1 of the 2 entries in the lists" in refused(root, tmp_path)
        events = list(open_dataset("images", root, tmp_path, allow_missing=True))
        assert events[-1].value.card.splits == {"train": 0, "test": 1}  # type: ignore[attr-defined]
        assert any(isinstance(event, Note) and "have no file (b.png)" in event.text for event in events)

    @pytest.mark.parametrize(
        ("text", "wrong"),
        [
            ("", "names no images"),
            ("a.png\n", "line 1 is not a file of this folder and its label"),
            ("a.png cat\n../a.png dog\n", "line 2 is not a file of this folder and its label"),
            ("a.png cat\na.png dog\n", "line 2 names a.png again"),
            ("\xff\xfe", "it is not text in UTF-8"),
        ],
    )
    def test_a_damaged_list_is_refused(self, tmp_path: Path, text: str, wrong: str) -> None:
        root = tmp_path / "root"
        picture(root / "a.png")
        (root / "labels.txt").write_bytes(text.encode("latin-1"))
        assert wrong in refused(root, tmp_path)

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "root" / "cat").mkdir(parents=True)
        (tmp_path / "root" / "cat" / "notes.txt").touch()
        assert "holds no class with readable files; accepted are CLASS/FILE" in refused(tmp_path / "root", tmp_path)

    def test_an_image_that_changes_makes_the_cache_anew(self, tmp_path: Path) -> None:
        path = picture(tmp_path / "root" / "cat" / "0.png", colour=(1, 2, 3))
        assert opened(tmp_path / "root", tmp_path / "cache").split("test").points[0, 2, 0, 0] == 3
        picture(path, (61, 41), (4, 5, 6))
        assert opened(tmp_path / "root", tmp_path / "cache").split("test").points[0, 2, 0, 0] == 6
        points = next((tmp_path / "cache").glob("images-*/points.npy"))
        content = bytearray(points.read_bytes())
        content[-1] ^= 1
        points.write_bytes(content)
        assert opened(tmp_path / "root", tmp_path / "cache").split("test").points[0, 2, -1, -1] == 6


class TestFiles:
    def test_the_middle_is_kept_in_proportion(self, tmp_path: Path) -> None:
        """Of a wide image with a bright middle square of 7/8 of its height, that square is what is read."""
        pixels = np.zeros((256, 700, 3), np.uint8)
        pixels[16:240, 238:462] = (250, 130, 5)
        Image.fromarray(pixels).save(tmp_path / "wide.png")
        read = read_image(tmp_path / "wide.png")
        assert read.shape == (3, CROP, CROP)
        np.testing.assert_array_equal(read, np.broadcast_to(np.array([250, 130, 5])[:, None, None], read.shape))

    def test_a_smooth_image_is_resized_without_shift(self, tmp_path: Path) -> None:
        ramp = np.broadcast_to(np.linspace(0, 255, 512), (512, 512)).astype(np.uint8)
        Image.fromarray(ramp).save(tmp_path / "ramp.png")
        read = read_image(tmp_path / "ramp.png").astype(float)
        place = (np.arange(CROP) + 0.5) * 512 / 256 + 512 / 16 - 0.5
        np.testing.assert_allclose(read[0, 100], 255 * place / 511, atol=1.5)
        np.testing.assert_array_equal(read[0], read[2])

    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK"])
    def test_every_kind_of_pixels_becomes_three_colours(self, tmp_path: Path, mode: str) -> None:
        path = tmp_path / ("image.jpg" if mode == "CMYK" else "image.png")
        Image.new("RGB", (30, 50), (255, 255, 255)).convert(mode).save(path)
        assert (read_image(path) >= 254).all()

    def test_what_is_no_image_is_refused_in_one_sentence(self, tmp_path: Path) -> None:
        whole = picture(tmp_path / "whole.png", (300, 300)).read_bytes()
        noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "noise.jpg")
        jpeg = (tmp_path / "noise.jpg").read_bytes()
        Image.new("I;16", (20, 20)).save(tmp_path / "deep.png")
        cases = {
            "empty.png": (b"", "no whole image"),
            "text.jpg": (b"not an image", "no whole image"),
            "cut.png": (whole[: len(whole) // 2], "no whole image"),
            "cut.jpg": (jpeg[: len(jpeg) // 2], "no whole image"),
            "gif.png": (b"GIF89a\x01\x00\x01\x00\x00\x00\x00;", "no whole image"),
            "deep.png": ((tmp_path / "deep.png").read_bytes(), "of the kind I;16"),
            "bomb.png": (png(100_000, 100_000), "it has more pixels than are read"),
            "large.png": (png(10_000, 7_000), "it has 10,000 x 7,000 pixels"),
            "strip.png": (png(1, 2**30), "it has more pixels than are read"),
        }
        for name, (content, wrong) in cases.items():
            (tmp_path / name).write_bytes(content)
            with pytest.raises(FormatError) as caught:
                read_image(tmp_path / name)
            assert wrong in str(caught.value)
            assert "accepted are JPEG" in str(caught.value)
            assert len(str(caught.value).splitlines()) == 1
        for path, wrong in ((tmp_path, "it is a folder"), (tmp_path / "none.png", "there is no such file")):
            with pytest.raises(FormatError, match=wrong):
                read_image(path)

    def test_a_long_thin_image_costs_no_more_than_its_pixels(self, tmp_path: Path) -> None:
        Image.new("L", (4_000_000, 1), 77).save(tmp_path / "thin.png")
        assert (read_image(tmp_path / "thin.png") == 77).all()

    def test_one_bad_image_in_a_folder_is_named(self, tmp_path: Path) -> None:
        picture(tmp_path / "root" / "cat" / "good.png")
        (tmp_path / "root" / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n")
        assert "cat/bad.png: it is no whole image" in refused(tmp_path / "root", tmp_path)
        assert not list(tmp_path.glob("images-*")), "nothing is left of the cache"


def png(width: int, height: int) -> bytes:
    """A PNG of a few bytes whose head claims this size."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )
