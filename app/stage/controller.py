"""Runs the attack on the shown cloud: the only place where the window asks core for predictions.

While the slider moves, the perturbation of the last attack is rescaled to each new epsilon, and only the newest
position is computed. When the slider is released the attack is run; one that is measured to take more than a second
becomes a job with a progress bar. Then the outcome over epsilon is computed: first of the rescaled perturbation, and
once the person is idle of the attack repeated at every epsilon. Results of requests that no longer match what is
chosen are discarded. A frame of a slider position that has been passed is still shown, because a slow machine would
otherwise show none during a drag.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PySide6.QtCore import QObject, QTimer, Signal

from app.jobs import Job, JobList, LatestRequestWorker
from app.stage.attack_work import LongAttack, run_attack, show_last_state, show_made
from app.stage.outcome_tracker import OutcomeTracker
from app.store import Store
from core.datasets.matching import class_index
from core.events import Cancel

if TYPE_CHECKING:
    from core.attacks import State
    from core.live import AttackResult, Colouring, Scene, Setup

IDLE_MS = 250  # time without a key press or a result, after which the attack or its outcome is computed


class Request(StrEnum):
    """What is asked of the worker; there is at most one request of each kind without a result."""

    BEGIN = "the clean cloud of a long attack"
    ATTACK = "the attack"
    REFIT = "the perturbation at another epsilon"
    SHOW = "another step"
    ADVANCE = "one step more"
    OUTCOME = "the outcome over epsilon, of the rescaled perturbation"
    SWEEP = "the outcome over epsilon, of attacks"


class AttackController(QObject):
    """Turns input into requests to the worker thread, and results into the store's scene, history and outcome."""

    busyChanged = Signal(bool)
    interrupted = Signal()  # another attack begins, the slider moves, or something failed: playing ends
    stateShown = Signal()  # what step() or seek() asked for
    failed = Signal(str)

    def __init__(self, store: Store, jobs: JobList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store, self.jobs = store, jobs
        self.busy = False
        self.dragging = False
        """Whether the slider is held."""
        self._worker = LatestRequestWorker(parent=self)
        self._worker.ready.connect(self._on_result)
        self._worker.failed.connect(self._on_failure)
        self._pending: dict[Request, object] = {}
        """What tells the newest request of each kind from older ones: its number, or a token for that of a job."""
        self._cancel = Cancel()
        self._outcome_tracker = OutcomeTracker(store)
        self._requested_setup: Setup | None = None  # of the attack that was requested last
        self._history_setup: Setup | None = None  # of the attack whose states are the store's history
        self._job: Job | None = None  # runs an attack that takes long
        self._idle_timer = QTimer(self, singleShot=True, interval=IDLE_MS)
        self._idle_timer.timeout.connect(self._on_idle)
        self._typing_timer = QTimer(self, singleShot=True, interval=IDLE_MS)
        self._typing_timer.timeout.connect(self.run)
        self._change_timer = QTimer(self, singleShot=True, interval=0)  # joins all changes of one click into one attack
        self._change_timer.timeout.connect(self.run)
        for changed in (store.cloudChanged, store.modelsChanged, store.attackChanged):
            changed.connect(self._change_timer.start)

    def close(self) -> bool:
        """End the worker thread, before the application quits. Returns whether it has ended."""
        self._discard_all()
        return self._worker.close()

    # --- the slider ---

    def press(self) -> None:
        """The slider was pressed: suspend all jobs, so that frames are computed as fast as possible."""
        if not self.dragging:
            self.dragging = True
            self.jobs.hold_all()

    def drag(self, epsilon: float) -> None:
        """The slider was moved to ``epsilon``: show the present perturbation rescaled to it."""
        store = self.store
        store.set_epsilon(epsilon)
        if store.scene is None or not store.history:
            return
        from core import live

        self.interrupted.emit()
        if self._pending.keys() - {Request.REFIT}:
            self._discard_all()
        state = store.history[store.position or -1]  # position 0 is the clean cloud, which has no perturbation
        self._request(Request.REFIT, live.refit, store.scene, epsilon, state)
        if not self.dragging:
            self._typing_timer.start()

    def release(self, epsilon: float) -> None:
        """The slider was released: run the attack at ``epsilon``."""
        if self.dragging:
            self.dragging = False
            self.jobs.release_all()
        self.store.set_epsilon(epsilon)
        self.run()

    # --- what is shown of it ---

    def set_colouring(self, colouring: Colouring) -> None:
        """Let the colours of the points show something else."""
        self.store.colouring = colouring
        if not self._request_colours():
            self.store.set_scene(self.store.scene)

    def _request_colours(self) -> bool:
        """Compute the colours of the shown scene where they are wanted and missing; whether that was requested."""
        scene, colouring = self.store.scene, self.store.colouring
        waits = self._pending.keys() - {Request.OUTCOME, Request.SWEEP}  # the outcome over epsilon can take seconds
        if self.made_by_job:
            waits -= {Request.ATTACK}
        if scene is None or waits or colouring in ("displacement", scene.setup.colouring):
            return False
        from core import live

        coloured = replace(scene, setup=replace(scene.setup, colouring=colouring))
        self._request(Request.SHOW, live.show, coloured, scene.state)
        return True

    # --- the attack ---

    def run(self) -> None:
        """Run the chosen attack from the clean cloud to its last step, reusing the states that are already computed."""
        self._typing_timer.stop()
        self.interrupted.emit()
        setup, history = self.current_setup(), self.store.history
        if setup is not None and self._job is not None and setup.same_attack(self._requested_setup):
            self._requested_setup = setup  # the job goes on; only the shown models are others
            self._request(Request.BEGIN, show_last_state, setup, history)
            return
        self._discard_all()
        if setup is None:
            self._show_nothing()
            return
        again = replace(setup, made_elsewhere=self.made_elsewhere)
        if again.same_attack(self._history_setup) and len(history) <= 1 + setup.attack.total_steps:
            self._start_attack(again, history, end=True)
        else:
            self._start_attack(setup)

    def _start_attack(self, setup: Setup, states: tuple[State, ...] = (), *, end: bool = False) -> None:
        """Compute the steps after ``states``; with ``end`` no step, only the predictions of all models for the last."""
        self._requested_setup = setup
        self._set_busy(True)
        if end:
            self._request(Request.ATTACK, show_last_state, setup, states)
        else:
            self._request(Request.ATTACK, run_attack, setup, states, self._cancel)

    def show_made(self, points: NDArray[np.float32]) -> None:
        """Show an adversarial cloud (N, 3) that the chosen attack made of the chosen cloud at another time."""
        self._change_timer.stop()
        self._typing_timer.stop()
        self.interrupted.emit()
        self._discard_all()
        setup = self.current_setup()
        if setup is not None:
            self._requested_setup = setup = replace(setup, made_elsewhere=True)
            self._set_busy(True)
            self._request(Request.ATTACK, show_made, setup, points)

    def _start_job(self, states: tuple[State, ...]) -> None:
        """Let a job compute the steps after ``states``; of a new attack the clean cloud is shown meanwhile."""
        from core import live

        setup = self._requested_setup
        assert setup is not None
        if not setup.same_attack(self._history_setup):
            self.store.set_outcome(None)
            self._request(Request.BEGIN, show_last_state, setup, states[:1])
        cancel = Cancel()
        work = partial(live.attack, setup, setup.attack.epsilon, cancel, states)
        title = f"attack of {setup.attack.total_steps:,} steps"
        self._job = job = self.jobs.submit(title, work, cancel, "steps", immediate=True)
        self._pending[Request.ATTACK] = token = object()  # a reference to the job would keep it alive
        for ended in (job.finished_ok, job.stopped):
            ended.connect(partial(self._job_ended, token))
        job.failed.connect(partial(self._on_failure, Request.ATTACK, token))
        self.busyChanged.emit(True)  # a job makes it now

    def _job_ended(self, token: object, attack_result: AttackResult | None) -> None:
        """Show the result, which may be partial; without one (cancelled) leave what is shown."""
        if self._pending.get(Request.ATTACK) is not token:
            return
        del self._pending[Request.ATTACK]
        self._job = None
        assert self._requested_setup is not None
        if attack_result is None:
            self._set_busy(False)
            self._request_colours()
            return
        self._discard(Request.BEGIN)  # the job may have ended before the clean cloud was shown
        if attack_result.scene.setup.models != self._requested_setup.models:
            self._start_attack(self._requested_setup, attack_result.states, end=True)
        else:
            self._on_attack_result(attack_result)
        self._request_colours()

    def step(self) -> None:
        """One step forward: show the next state, or compute it."""
        store = self.store
        if store.scene is None or not store.history or self._pending.keys() & {Request.ADVANCE, Request.ATTACK}:
            return
        from core import live

        if store.position + 1 < len(store.history):
            self.seek(store.position + 1)
        else:  # the scene may still be of an earlier state, while the result of Request.SHOW is pending
            self._request(Request.ADVANCE, live.advance, replace(store.scene, state=store.history[-1]))

    def seek(self, position: int) -> bool:
        """Show state ``position`` of the attack. Returns whether it can: not while the attack is made."""
        store = self.store
        if store.scene is None or not store.history or Request.ATTACK in self._pending:
            return False
        from core import live

        self._discard(Request.ADVANCE)
        position = max(0, min(position, len(store.history) - 1))
        store.set_history(store.history, position)
        self._request(Request.SHOW, live.show, store.scene, store.history[position])
        return True

    def compute_missing_steps(self) -> bool:
        """Compute the steps that the attack still lacks: of one made elsewhere all. Returns whether there are any."""
        setup, history = self._history_setup, self.store.history[: 1 if self.made_elsewhere else None]
        if setup is None or len(history) > self.planned_steps or Request.ATTACK in self._pending:
            return False
        self._start_attack(replace(setup, made_elsewhere=False), history)
        return True

    # --- results ---

    def _on_result(self, key: Request, request_id: int, value: Any) -> None:
        if self._pending.get(key) == request_id:
            del self._pending[key]
        match key:
            case Request.BEGIN:
                self._show_result(value)
            case Request.ATTACK:
                if isinstance(value, LongAttack):
                    self._start_job(value.states)
                else:
                    self._on_attack_result(value)
            case Request.REFIT:
                self.store.set_scene(value)
            case Request.SHOW:
                self.store.set_scene(value)
                self.stateShown.emit()
            case Request.ADVANCE:
                self._on_step(value)
            case Request.OUTCOME | Request.SWEEP:
                self._outcome_tracker.set_result(value)
        self._request_colours()
        self._idle_timer.start()

    def _on_attack_result(self, attack_result: AttackResult) -> None:
        self._show_result(attack_result)
        self._set_busy(False)
        self._request_if(Request.OUTCOME, self._outcome_tracker.rescaled_work())

    def _show_result(self, attack_result: AttackResult) -> None:
        self._history_setup = self._requested_setup
        self.store.set_history(attack_result.states, len(attack_result.states) - 1)
        self.store.set_scene(attack_result.scene)

    def _on_idle(self) -> None:
        """Compute the outcome that single steps have changed, then the exact one, attacked at every epsilon."""
        store = self.store
        if self._pending or self.dragging or store.scene is None or not store.history:
            return
        if store.scene.state is store.history[-1]:
            self._request_if(Request.OUTCOME, self._outcome_tracker.rescaled_work())
        if not self._pending:
            self._request_if(Request.SWEEP, self._outcome_tracker.exact_work())

    def _on_step(self, scene: Scene) -> None:
        history = (*self.store.history, scene.state)
        self.store.set_history(history, len(history) - 1)
        self.store.set_scene(scene)
        self.stateShown.emit()

    def _on_failure(self, key: Request, token: object, sentence: str, _: str = "") -> None:
        if self._pending.get(key) != token:
            return
        del self._pending[key]
        if key == Request.SWEEP:
            self._outcome_tracker.mark_failed()
            return
        self.interrupted.emit()
        if key in (Request.ATTACK, Request.BEGIN):  # what is shown does not belong to what is chosen
            self._discard_all()
            self._show_nothing()
        self._set_busy(False)
        self.failed.emit(sentence)

    def _show_nothing(self) -> None:
        self._requested_setup = self._history_setup = None
        self.store.set_history((), 0)
        self.store.set_scene(None)
        self._set_busy(False)

    # --- internals ---

    @property
    def made_by_job(self) -> bool:
        """Whether a job makes the attack, which takes long: its steps can't be shown yet."""
        return self._job is not None

    @property
    def made_elsewhere(self) -> bool:
        """Whether the last of the states was made at another time."""
        return self._history_setup is not None and self._history_setup.made_elsewhere

    @property
    def planned_steps(self) -> int:
        """How many steps the chosen attack has."""
        return self.store.attack.total_steps if self.store.attack is not None else 0

    def current_setup(self) -> Setup | None:
        """What an attack made now would start from; None while something is missing."""
        from core import live

        store = self.store
        models = store.verdict_models
        if store.cloud is None or store.attack is None or not models:
            return None
        primary = next(index for index, model in enumerate(models) if model.name == store.primary)
        cloud = replace(store.cloud, label=class_index(store.cloud.class_name, store.classes))
        attack = store.attack.at(store.epsilon)
        return live.Setup(models, primary, attack, cloud, store.target, store.seed, store.colouring)

    def _request(self, key: Request, function: Callable[..., Any], *arguments: Any) -> None:
        if Request.SWEEP in self._pending:  # it takes seconds, and is continued when idle again
            self._outcome_tracker.cancel()
            self._discard(Request.SWEEP)
        self._pending[key] = self._worker.submit(key, function, *arguments)

    def _request_if(self, key: Request, work: Callable[[], Any] | None) -> None:
        if work is not None:
            self._request(key, work)

    def _discard_all(self) -> None:
        """Cancel what is running and ignore all pending results."""
        self._cancel.request()
        self._cancel = Cancel()
        self._outcome_tracker.cancel()
        if self._job is not None:
            job, self._job = self._job, None
            job.silent = True  # the person has chosen something else, and knows
            job.cancel()
        for key in list(self._pending):
            self._discard(key)

    def _discard(self, key: Request) -> None:
        if key in self._pending:
            del self._pending[key]
            self._worker.discard(key)

    def _set_busy(self, busy: bool) -> None:
        if busy != self.busy:
            self.busy = busy
            self.busyChanged.emit(busy)
