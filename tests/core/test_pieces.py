"""Independent pieces of work, in this process, in worker processes and on a Ray cluster of this machine."""

import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from core.events import Cancel, Done, Note, Progress
from core.runtime.pieces import TRIES, Engine, Piece, PieceError, run_pieces
from core.runtime.processes import WorkerError, is_alive
from core.runtime.threads import THREADS
from tests.core.piecework import fail, multiply, product, wait, write, write_and_die

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("one_thread")

RAY = pytest.param("ray", marks=pytest.mark.long)
JOBLIB_LONG = pytest.param("joblib", marks=pytest.mark.long)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "ray":
        pytest.importorskip("ray", reason="Ray is not installed")
    yield request.param
    if request.param == "ray":
        with warnings.catch_warnings(action="ignore", category=ResourceWarning):
            gc.collect()  # Ray does not wait for the processes that it has ended, of which Python would warn later


in_workers = pytest.mark.parametrize("engine", ["joblib", RAY], indirect=True)
everywhere = pytest.mark.parametrize("engine", ["here", "joblib", RAY], indirect=True)


def tries(folder: Path) -> dict[str, int]:
    return {path.stem: len(path.read_text().splitlines()) for path in sorted(folder.glob("*.tries"))}


def processes(folder: Path) -> set[int]:
    return {int(line) for path in folder.glob("*.tries") for line in path.read_text().splitlines()}


def written(folder: Path, count: int) -> list[Piece]:
    return [Piece(f"piece {n}", write, (folder / f"{n}.txt",), folder / f"{n}.txt") for n in range(count)]


class CancelledOnce(Cancel):
    """Requested as soon as a condition holds."""

    def __init__(self, holds: Callable[[], bool]) -> None:
        self._holds = holds

    @property
    def requested(self) -> bool:  # type: ignore[override]
        return self._holds()


class TestEveryEngine:
    @everywhere
    def test_makes_the_same_results_with_its_share_of_the_threads(
        self, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(THREADS, "2")  # one for each of two workers
        results = [tmp_path / f"{number}.npz" for number in range(4)]
        pieces = [Piece(f"piece {n}", multiply, (result, n), result, weight=1 + n) for n, result in enumerate(results)]
        events = list(run_pieces(pieces, engine, workers=2))
        for number, result in enumerate(results):
            with np.load(result) as made:
                assert made["threads"] == 1
                assert (made["product"] == product(number)).all()
        done = [event.done for event in events if isinstance(event, Progress)]
        assert done == sorted(done)
        assert {event.total for event in events if isinstance(event, Progress)} == {10}
        assert {f"piece {n}" for n in range(4)} <= {event.text for event in events if isinstance(event, Progress)}
        assert done[-1] == 10
        assert events[-1] == Done(complete=True)
        assert tries(tmp_path) == dict.fromkeys("0123", 1)

    @pytest.mark.long
    @everywhere
    def test_goes_on_with_the_pieces_that_have_no_result(self, engine: Engine, tmp_path: Path) -> None:
        pieces = written(tmp_path, 5)
        (tmp_path / "3.txt").touch()
        cancel = CancelledOnce(lambda: any(piece.result.exists() for piece in pieces[:3]))
        assert list(run_pieces(pieces, engine, workers=2, cancel=cancel))[-1] == Done(complete=False)
        ended = [path.stem for path in tmp_path.glob("?.txt") if path.stem != "3"]
        assert list(run_pieces(pieces, engine, workers=2))[-1] == Done(complete=True)
        assert all(piece.result.exists() for piece in pieces)
        assert tries(tmp_path).keys() == set("0124")
        assert [tries(tmp_path)[name] for name in ended] == [1] * len(ended)
        assert list(run_pieces(pieces, engine, workers=2)) == [Progress(5, 5, "piece 4"), Done()]

    @pytest.mark.parametrize("engine", ["here", JOBLIB_LONG, RAY], indirect=True)
    def test_ends_with_the_error_of_a_piece_and_its_name(self, engine: Engine, tmp_path: Path) -> None:
        bad = tmp_path / "bad.txt"
        with pytest.raises(PieceError, match=r"^second: no such cloud$"):
            list(run_pieces([*written(tmp_path, 1), Piece("second", fail, (bad, ValueError), bad)], engine, workers=2))
        assert tries(tmp_path)["bad"] == 1

    @pytest.mark.parametrize(("error", "kind"), [(KeyError, RuntimeError), (MemoryError, MemoryError)])
    def test_keeps_the_kind_of_other_errors(
        self, tmp_path: Path, error: type[Exception], kind: type[Exception]
    ) -> None:
        bad = tmp_path / "bad.txt"
        with pytest.raises(kind, match=f"^second: {error.__name__}: .*no such cloud"):
            list(run_pieces([Piece("second", fail, (bad, error), bad)]))


class TestALostWorker:
    @pytest.mark.long
    @in_workers
    def test_costs_one_more_try_of_its_piece_alone(
        self, engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of two workers, which run at a time even if a single thread may compute: one waits for the other."""
        monkeypatch.setenv(THREADS, "1")
        others = written(tmp_path, 4)
        result = tmp_path / "killed.txt"
        killed = Piece("killed", write_and_die, (result, [other.result for other in others], TRIES - 1), result)
        events = list(run_pieces([killed, *others], engine, workers=2))
        assert events[-1] == Done(complete=True)
        assert result.exists()
        assert tries(tmp_path) == {"killed": TRIES, **dict.fromkeys("0123", 1)}
        if engine == "joblib":  # Ray tries again by itself
            told = [event.text for event in events if isinstance(event, Note)]
            assert told == [
                "A worker process was ended from outside, perhaps for want of memory; run again: killed."
            ] * (TRIES - 1)

    @pytest.mark.long
    @in_workers
    def test_is_an_error_if_it_is_lost_too_often(self, engine: Engine, tmp_path: Path) -> None:
        others = written(tmp_path, 2)
        result = tmp_path / "killed.txt"
        killed = Piece("killed", write_and_die, (result, [other.result for other in others], TRIES), result)
        with pytest.raises(WorkerError, match=r"^killed: the worker process was ended from outside 3 times"):
            list(run_pieces([killed, *others], engine, workers=2))
        assert tries(tmp_path) == {"killed": TRIES, "0": 1, "1": 1}


class TestEnding:
    @in_workers
    def test_cancelling_ends_the_workers_and_keeps_what_has_ended(self, engine: Engine, tmp_path: Path) -> None:
        first, *waiting = (tmp_path / f"{name}.txt" for name in ("first", "second", "third"))
        pieces = [Piece("first", write, (first,), first), *(Piece(path.name, wait, (path,), path) for path in waiting)]
        cancel = CancelledOnce(lambda: tries(tmp_path).keys() >= {"second", "third"} and first.exists())
        events = list(run_pieces(pieces, engine, workers=2, cancel=cancel))
        assert events == [Progress(0, 3), Progress(1, 3, "first"), Done(complete=False)]
        assert first.exists()
        assert not any(map(is_alive, processes(tmp_path)))

    def test_cancelling_in_this_process_ends_a_piece_at_its_next_event(self, tmp_path: Path) -> None:
        result = tmp_path / "0.npz"
        events = run_pieces(
            [Piece("one", multiply, (result, 0), result)], cancel=CancelledOnce((tmp_path / "0.tries").exists)
        )
        assert list(events) == [Progress(0, 1), Done(complete=False)]
        assert not result.exists()

    def test_closing_ends_the_workers(self, tmp_path: Path) -> None:
        first, second = tmp_path / "first.txt", tmp_path / "second.txt"
        pieces = [Piece("first", write, (first,), first), Piece("second", wait, (second,), second)]
        events = run_pieces(pieces, "joblib", workers=2)
        assert [next(events), next(events)] == [Progress(0, 2), Progress(1, 2, "first")]
        events.close()  # type: ignore[attr-defined]
        assert not any(map(is_alive, processes(tmp_path)))

    @in_workers
    @pytest.mark.parametrize("group", [False, True])
    @pytest.mark.long
    def test_a_killed_process_leaves_no_worker(self, engine: Engine, tmp_path: Path, group: bool) -> None:
        """``group``: whether the whole process group is killed, with what would tidy up after the first process."""
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        words = [sys.executable, "-c", WORK, engine, str(tmp_path)]
        with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, start_new_session=True) as process:
            while len(processes(tmp_path)) < 2:
                assert process.poll() is None
                time.sleep(0.01)
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
            process.communicate(timeout=60)  # which ends when nobody has the pipe any more
        while any(map(is_alive, processes(tmp_path))):  # a process closes the pipe a moment before it is gone
            time.sleep(0.01)


WORK = """
import sys
from pathlib import Path
from core.runtime.pieces import Piece, run_pieces
from tests.core.piecework import wait

paths = [Path(sys.argv[2]) / f"{number}.txt" for number in range(2)]
for _ in run_pieces([Piece(path.name, wait, (path,), path) for path in paths], sys.argv[1], workers=2):
    pass
"""


class TestWrongUse:
    def test_an_address_is_for_ray(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="head:6379 is the address of a Ray cluster: choose the engine ray"):
            list(run_pieces(written(tmp_path, 2), "joblib", address="head:6379"))

    @pytest.mark.parametrize("engine", [RAY], indirect=True)
    @pytest.mark.parametrize(("address", "why"), [("head", "HOST:PORT"), ("127.0.0.1:9", "[Rr]efused")])
    def test_where_no_cluster_is(self, engine: Engine, tmp_path: Path, address: str, why: str) -> None:
        with pytest.raises(ValueError, match=f"There is no Ray cluster of your token at {address}: .*{why}"):
            list(run_pieces(written(tmp_path, 2), engine, address=address))
