"""Training by two real processes, connected by gloo, beside the same training by one."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from core.models.checkpoints import BEST, LAST
from core.results.records import read_jsonl
from core.training.record import METRICS, read_run
from core.training.shares import LostProcessError, leads, naming_lost_process, require_shares
from tests.core.sharework import CASES, LONG_CASES, Case, trained
from tests.core.toys import toy_run

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "tests/core/sharework.py")
pytestmark = pytest.mark.usefixtures("one_thread")

TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", SCRIPT)
FABRIC = ("-m", "lightning_fabric.cli", "--accelerator", "cpu", "--devices", "2")


def execute(*words: str | Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "POINTWARD_THREADS": "2"}
    done = subprocess.run([sys.executable, *words], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture
def two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process takes itself for the second of two."""
    for name, value in {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "2", "RANK": "1"}.items():
        monkeypatch.setenv(name, value)


@pytest.mark.long
@pytest.mark.parametrize(("what", "cases"), [("some", CASES), ("all", LONG_CASES)])
def test_two_processes_give_the_weights_of_one(tmp_path: Path, what: str, cases: dict[str, Case]) -> None:
    """Up to a thousandth of the length of one of Adam's steps, which is 0.001."""
    execute(*TORCHRUN, tmp_path, what)
    for name, case in cases.items():
        torch.testing.assert_close(load_file(tmp_path / f"{name}.safetensors"), trained(case), rtol=1e-6, atol=1e-6)


@pytest.mark.long
def test_one_of_two_processes_keeps_the_run_which_can_be_resumed(tmp_path: Path) -> None:
    """By ``fabric run``; a run that went on equals one that was not interrupted, bit for bit."""
    parts, whole = tmp_path / "parts", tmp_path / "whole"
    for folder, what in ((parts, "begin"), (parts, "go on"), (whole, "whole")):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        execute(*FABRIC, "--main-port", str(port), SCRIPT, folder, what)
    for name in (BEST, LAST):
        found, wanted = load_file(parts / name), load_file(whole / name)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[key], value) for key, value in wanted.items())
    assert [line["epoch"] for line in read_jsonl(parts / METRICS)] == [1, 2]
    record = read_run(parts)
    assert record.complete
    assert record.device.endswith("2 processes")
    alone = toy_run(tmp_path / "alone", regime="pgd", epochs=2)
    assert read_jsonl(parts / METRICS)[0]["loss_adversarial"] == pytest.approx(
        read_jsonl(alone.folder / METRICS)[0]["loss_adversarial"], rel=0.02
    )


@pytest.mark.usefixtures("two_processes")
class TestErrors:
    def test_a_batch_of_fewer_clouds_than_processes(self) -> None:
        assert not leads()
        require_shares(2)
        with pytest.raises(ValueError, match="A batch of 1 clouds can't be shared by 2 processes: take larger batches"):
            require_shares(1)

    def test_another_process_that_is_gone(self) -> None:
        with pytest.raises(LostProcessError, match="--resume"), naming_lost_process():
            raise RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer [127.0.0.1]:4711")
        with pytest.raises(RuntimeError, match="size"), naming_lost_process():
            raise RuntimeError("The size of tensor a (3) must match the size of tensor b (4)")
