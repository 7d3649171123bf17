"""Command lines that can't be carried out: one sentence and exit code 2 before any work, and output nobody reads."""

import errno
import io
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
import torch

from core.commands import cli, run, shared, trial
from core.commands import train as train_command
from core.commands.checks import FIGURES
from core.commands.console import print_error
from core.runtime.text import MOST_CHARACTERS

ROOT = Path(__file__).resolve().parents[2]
COMMANDS = {name for name in cli if not name.startswith("-")}

WRONG = [
    (("bogus",), 'Unknown command "bogus". The commands are attack, attacks, '),
    (("atack", "cloud.xyz"), 'Unknown command "atack". Did you mean "attack"?'),
    (("--bogus",), 'Unknown option "--bogus"'),
    (("cloud.xyz",), "cloud.xyz is no command. To open it in the studio: pointward open cloud.xyz"),
    (("train", "--bogus", "1"), "--bogus"),
    (("attack",), "attack needs a file, or --dataset."),
    (("attacks", "bogus"), "bogus"),
    (("runs", "nowhere"), "There is no file or folder nowhere."),
    (("train", "--points", "0"), "points: input should be greater than or equal to 1"),
    (("train", "--regime", "bogus"), "regime"),
    (("train", "--dataset", "imagenet"), "There is no such dataset; there are shapes16"),
    (("train", "--device", "abacus"), "device"),
    (("train", "--dataset", "modelnet40"), "modelnet40 needs --data-root"),
    (("train", "--dataset", "shapes16", "--data-root", "."), "shapes16 is built in and takes no --data-root"),
    (("train", "--dataset", "folder", "--data-root", "nowhere"), "There is no file or folder nowhere."),
    (("train", "--out", "file.txt"), "file.txt is not a folder"),
    (("train", "--out", "file.txt/run"), "file.txt is not a folder"),
    (("train", "--out", "full"), "full exists already: choose another folder, or resume the run in it"),
    (("train", "--threads", "0"), "--threads"),
    (("train", "--threads", "many"), "--threads"),
    (("attack", "nowhere.off"), 'Invalid value "nowhere.off" for FILE. There is no file or folder nowhere.off.'),
    (("attack", "cloud.xyz", "--attack", "magic"), "There is no such attack. There are auto, fgsm, bim, mi"),
    (("attack", "cloud.xyz", "--attack", "pdg"), "There is no such attack. Did you mean pgd?"),
    (("attack", "cloud.xyz", "--up", "Y"), "--up"),
    (("evaluate", "pointnet-simple", "pointnet-pgd"), "More than the command takes: pointnet-pgd."),
    (("attack", "cloud.xyz", "--model", "nothing-there"), "There is no such model; give pointnet-simple"),
    (("attack", "cloud.xyz", "--epsilon", "7"), "epsilon: input should be less than or equal to 2"),
    (("attack", "cloud.xyz", "--points", "0"), "--points"),
    (("attack", "cloud.xyz", "--seed", "-1"), "--seed"),
    (("attack", "cloud.xyz", "--goal", "targeted"), "takes --target CLASS"),
    (("attack", "cloud.xyz", "--out", "x.bad"), "ends in .ply or .xyz or .npy or .npz"),
    (("attack", "cloud.xyz", "--out", "full"), "ends in"),
    (("attack", "cloud.xyz", "--out", "folder.ply"), "It is a folder, and a file is needed"),
    (("attack", "cloud.xyz", "--out", "file.txt/x.ply"), "file.txt is not a folder"),
    (("attack", "cloud.xyz", "--out", "x" * 300 + ".ply"), "x.ply: File name too long"),
    (("evaluate", "nothing-there"), "There is no such model"),
    (("evaluate", "pointnet-simple", "--attack", "magic"), "There is no such attack"),
    (("evaluate", "pointnet-simple", "--steps", "0"), "steps"),
    (("evaluate", "pointnet-simple", "--clouds", "0"), "--clouds"),
    (("evaluate", "pointnet-simple", "--dataset", "imagenet"), "There is no such dataset"),
    (("evaluate", "pointnet-simple", "--dataset", "modelnet40"), "modelnet40 needs --data-root"),
    (("evaluate", "pointnet-simple", "--records", "x.bad"), "ends in .csv"),
    (("evaluate", "pointnet-simple", "--records", "file.txt/x.csv"), "file.txt is not a folder"),
    (("tsne", "pointnet-simple"), "Nothing would be written"),
    (("tsne", "pointnet-simple", "--out", "x.bad"), "ends in .pdf or .png or .svg"),
    (("tsne", "pointnet-simple", "--coordinates", "x.bad"), "ends in .csv"),
    (("tsne", "pointnet-simple", "--out", "x.pdf", "--perplexity", "0"), "perplexity"),
    (("evaluate", "pointnet-simple+fog"), "There is no defence 'fog'; there are srs, sor, knn, quantise, reconstruct."),
    (("evaluate", "nothing-there+sor"), "There is no such model"),
    (("evaluate", "pointnet-simple", "--defense", "sor:k=0"), "k: input should be greater than or equal to 1"),
    (("evaluate", "pointnet-simple+sor", "--defense", "srs"), "names a defence already: leave out --defense"),
    (("attack", "cloud.xyz", "--defense", "sor:depth=3"), "depth: extra inputs are not permitted"),
    (("attack", "cloud.xyz", "--model", "pointnet-simple+srs:share=2"), "share: input should be less than or equal to"),
    (("defend", "pointnet-simple", "--defenses", "srs,fog"), "There is no defence 'fog'"),
    (("defend", "pointnet-simple", "--defenses", ","), "At least one defence is needed"),
    (("defend", "pointnet-simple+sor"), "Defences are tried before a model without one"),
    (("defend", "pointnet-simple", "--out", "x.bad"), "ends in .csv"),
    (("judge", "nowhere", "--model", "pointnet-simple"), "There is no file or folder nowhere."),
    (("judge", "full", "--model", "pointnet-simple+fog"), "There is no defence 'fog'"),
    (("datasets", "imagenet"), "There is no such dataset"),
    (("datasets", "modelnet40"), "modelnet40 needs --data-root"),
    (("datasets", "shapes16", "--sheet", "x.bad"), "ends in .pdf or .png or .svg"),
    (("datasets", "--sheet", "x.png"), "--sheet needs the name of a dataset"),
    (("models", "bogus"), "bogus"),
    (("models", "import", "nowhere.pth"), "There is no file nowhere.pth."),
    (("models", "import", "file.txt", "--up", "sideways"), "up: input should be 'x'"),
    (("models", "import", "file.txt", "--points", "0"), "points: input should be greater than or equal to 1"),
    (("models", "import", "file.txt", "--check"), "--check and --dataset belong together"),
    (("models", "import", "file.txt", "--check", "--dataset", "modelnet40"), "modelnet40 needs --data-root"),
    (("reproduce", "some-paper", "--out", "report"), "paper"),
    (("zoo", "train"), "--out"),
    (("zoo", "train", "--out", "file.txt"), "file.txt is not a folder"),
    (("zoo", "train", "--out", "zoo", "--models", "pointnet,vgg"), "no model 'vgg' in the zoo"),
    (("zoo", "train", "--out", "zoo", "--epochs", "0"), "epochs"),
    (("zoo", "train", "--out", "zoo", "--dataset", "modelnet40"), "modelnet40 needs --data-root"),
    (("transfer",), "--out"),
    (("transfer", "--out", "file.txt"), "file.txt is not a folder"),
    (("transfer", "--out", "t", "--attacks", "gd,sgd"), "There is no attack 'sgd'; there are gd, m-gd,"),
    (("transfer", "--out", "t", "--protocol", "equal"), "There is no protocol 'equal'; there are equal-loss,"),
    (("transfer", "--out", "t", "--samples", "0"), "samples"),
    (("transfer", "--out", "t", "--address", "head:6379"), "--address is that of a Ray cluster"),
    (("transfer", "--out", "t", "--surrogates", ","), "No surrogate of the zoo is trained on modelnet16"),
    (
        ("transfer", "--out", "t", "--dataset", "shapes16"),
        "No surrogate of the zoo is trained on shapes16: name models with --surrogates",
    ),
    (("transfer", "--out", "t", "--surrogates", "nothing-there"), "There is no such model"),
    (
        ("transfer", "--out", "t", "--surrogates", "pointnet-simple", "--victims", "pointnet-pgd,runs/pointnet-pgd"),
        "There is no such model",
    ),
    (
        (
            *("transfer", "--out", "t", "--surrogates", "pointnet-simple", "--victims", "pointnet-pgd"),
            *("--dataset", "modelnet40"),
        ),
        "modelnet40 needs --data-root",
    ),
    (("reproduce", "defense-pointnet"), "--out"),
    (("reproduce", "defense-pointnet", "--out", "file.txt"), "file.txt is not a folder"),
    (("reproduce", "defense-pointnet", "--out", "report", "--from", "nowhere"), "There is no file or folder nowhere."),
    (("doctor", "--bogus"), "--bogus"),
]


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of a person's own, with a cloud, a file and two folders."""
    for name in ("XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / name))
    for name in ("POINTWARD_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    work = tmp_path / "work"
    (work / "full").mkdir(parents=True)
    (work / "full" / "kept.txt").touch()
    (work / "folder.ply").mkdir()
    (work / "file.txt").touch()
    (work / "cloud.xyz").write_text("".join(f"{x} {x * x % 7} {x % 3}\n" for x in range(50)))
    monkeypatch.chdir(work)


@pytest.fixture
def no_work(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*arguments: Any, **options: Any) -> None:
        raise AssertionError("work was begun")

    monkeypatch.setattr("core.commands.attack.load_model", work)
    monkeypatch.setattr(trial, "load_model", work)
    monkeypatch.setattr(shared, "open_dataset", work)


def complaint(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run(list(words))
    said = capsys.readouterr()
    assert said.out == ""
    return code, said.err


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: " ".join(value)[:50])
def test_wrong_use_is_one_sentence_and_exit_code_2_before_any_work(
    words: tuple[str, ...], said: str, no_work: None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(Path().rglob("*"))
    code, text = complaint(capsys, *words)
    assert code == 2
    first, hint = text.splitlines()
    assert said in first
    assert first.startswith("error: ")
    assert len(first) <= len("error: ") + MOST_CHARACTERS
    assert hint == f"See: pointward {words[0]} --help" if words[0] in COMMANDS else "See: pointward --help"
    assert sorted(Path().rglob("*")) == before, "nothing is made before the work"


def test_every_command_has_a_wrong_use_that_is_tried() -> None:
    assert {words[0] for words, _ in WRONG} >= COMMANDS


FAILED = [
    (("attack", "file.txt"), "file.txt: it has 0 bytes"),
    (("attack", "full"), "it is a folder"),
    (("evaluate", "file.txt"), "not a whole safetensors file"),
    (("evaluate", "full"), "is not the folder of a training run"),
    (("train", "--out", "run", "--dataset", "folder", "--data-root", "full"), "full"),
]


@pytest.mark.parametrize(("words", "said"), FAILED, ids=lambda value: " ".join(value)[:50])
def test_what_is_wrong_inside_a_file_or_folder_is_exit_code_1(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text = complaint(capsys, *words)
    assert code == 1
    assert said in text
    assert "See:" not in text
    assert "Traceback" not in text


STARTED = (
    ("attack", "cloud.xyz", "--out", "x.bad"),
    ("train", "--out", "file.txt"),
    ("tour", "--out", "file.txt"),
    ("open", "nowhere.off"),
    ("doctor", "--threads", "0"),
)
"""Command lines for real processes, main's own commands among them; those of all commands are tried in this one."""


def start(*words: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "main.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, **options)


@pytest.mark.long
@pytest.mark.parametrize("words", STARTED, ids=[words[0] for words in STARTED])
def test_a_wrong_command_line_ends_a_real_process_at_once(words: tuple[str, ...], tmp_path: Path) -> None:
    done = start(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    first, hint = done.stderr.splitlines()
    assert first.startswith("error: ")
    assert hint == f"See: pointward {words[0]} --help"
    assert not (tmp_path / "XDG_CACHE_HOME").exists(), "no dataset was opened"


def assert_nothing_but_progress(said: str) -> None:
    bars = ("attacking", "looking how it stands", "The file looks ")
    assert all(line.startswith(bars) for line in said.splitlines())


@pytest.fixture
def closed() -> Iterator[TextIO]:
    """A pipe whose other end is closed, as by head once it has its line."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as closed:
        yield closed


UNREAD = [("datasets",), ("--help",), ("doctor", "--json"), ("attack", "cloud.xyz")]


@pytest.mark.parametrize("words", UNREAD, ids=" ".join)
def test_output_that_nobody_reads_is_no_error(
    words: tuple[str, ...], closed: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("said", "w") as said, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", closed)
        patch.setattr(sys, "stderr", said)
        assert run(list(words)) == 141
    assert_nothing_but_progress(Path("said").read_text())


@pytest.mark.parametrize(
    "words", [UNREAD[0], *(pytest.param(words, marks=pytest.mark.long) for words in UNREAD[1:])], ids=" ".join
)
def test_nor_is_it_when_a_real_process_ends(words: tuple[str, ...], closed: TextIO) -> None:
    command = [sys.executable, str(ROOT / "main.py"), *words]
    done = subprocess.run(command, stdout=closed, stderr=subprocess.PIPE, text=True, check=False, timeout=300)
    assert done.returncode == 141
    assert_nothing_but_progress(done.stderr)


def test_the_first_line_is_read_and_the_others_are_not() -> None:
    command = f"'{sys.executable}' '{ROOT / 'main.py'}' datasets | head -1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.startswith("shapes16")
    assert done.stderr == ""


def test_complaints_that_nobody_reads_are_no_error_either(closed: TextIO) -> None:
    command = [sys.executable, str(ROOT / "main.py"), "bogus"]
    assert subprocess.run(command, stdout=closed, stderr=closed, check=False, timeout=300).returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
def test_a_full_disk_under_the_output_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, str(ROOT / "main.py"), "datasets"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=300)
    assert done.returncode == 1
    assert done.stderr == f"error: standard output: {os.strerror(errno.ENOSPC)}.\n"


def test_letters_that_a_terminal_can_not_show_are_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "椅子.xyz").write_text(Path("cloud.xyz").read_text())
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "ascii"))
    assert run(["attack", str(tmp_path / "椅子.xyz")]) == 0
    assert rb"\u6905\u5b50.xyz" in shown.getvalue()


@pytest.mark.parametrize("text", ["", "  ", "x" * 5000, "\x1b[2J" * 200, "[bold]x[/bold] [/] :smile:"])
def test_no_error_is_empty_or_endless_or_steers_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(text)
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert len("error: ") < len(said.strip()) <= len("error: ") + MOST_CHARACTERS
    assert "\x1b" not in said
    if len(text) > MOST_CHARACTERS:
        assert "…" in said
    if "smile" in text:
        assert said == f"error: {text}\n", "no markup is interpreted"


def raising(error: Exception) -> Callable[..., None]:
    def work(*arguments: Any, **options: Any) -> None:
        raise error

    return work


def test_memory_that_ran_out_is_said_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_command, "find_dataset", raising(torch.OutOfMemoryError("CUDA out of memory.")))
    code, text = complaint(capsys, "train")
    assert code == 1
    assert "Lower the batch size" in text


def test_a_defect_is_a_sentence_and_its_traceback_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train_command, "find_dataset", raising(KeyError("\x1b[2Jdata")))
    code, text = complaint(capsys, "train")
    assert code == 70
    assert "Something unexpected went wrong (KeyError: '" in text
    assert "\x1b" not in text
    [kept] = (tmp_path / "XDG_STATE_HOME").rglob("traceback.txt")
    assert "KeyError" in kept.read_text()
    assert str(kept)[-40:] in text


def test_a_second_ctrl_c_ends_a_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(train_command, "find_dataset", raising(KeyboardInterrupt()))  # type: ignore[arg-type]
    assert complaint(capsys, "train") == (130, "stopped\n")


def test_the_endings_of_figures_are_those_that_can_be_written() -> None:
    from core.figures.style import FORMATS

    assert set(FIGURES) == set(FORMATS)
