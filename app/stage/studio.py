"""Keeps the scene in step with what is chosen: the one place where the window asks core for a verdict.

While the slider moves, the last attack's perturbation is refitted and only the newest position is computed; when it
comes to rest, the attack is run, a long one as a job with a bar, and then its outcome over epsilon: first the result
rescaled, and while the person rests the attack itself at every epsilon. What is not wanted any more is forgotten with
all its answers, so nothing stale is shown; a frame that is only late is shown, or a slow machine would show none while
the slider moves.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, QTimer, Signal

from app.jobs import Job, JobList, Latest
from app.stage.outcomes import LONG, Outcomes
from app.store import Store
from core.events import Cancel, result

if TYPE_CHECKING:
    from core.attacks import State
    from core.live import AttackResult, Scene, Setup

SETTLE_MS = 250  # after the last key press or typed digit the slider counts as at rest, and so do answers
PLAY_MS = 80  # least time between two frames of a playing attack


class Studio(QObject):
    """Turns the person's moves into requests to the worker, and answers into the store's scene."""

    busyChanged = Signal(bool)
    playingChanged = Signal(bool)
    failed = Signal(str)

    def __init__(self, store: Store, jobs: JobList, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.store, self.jobs = store, jobs
        self.busy = self.playing = self._dragging = False
        self._serials = itertools.count(1)
        self._worker = Latest(parent=self)
        self._worker.ready.connect(self._answered)
        self._worker.failed.connect(self._refused)
        self._asked: dict[str, int] = {}
        self._cancel = Cancel()
        self._outcomes = Outcomes(store)
        self._wish: Setup | None = None  # the attack that is under way
        self._made: Setup | None = None  # the one whose states are the history
        self._job: Job | None = None  # a long attack
        self._rest = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._rest.timeout.connect(self._at_rest)
        self._settle = QTimer(self, singleShot=True, interval=SETTLE_MS)
        self._settle.timeout.connect(self.run)
        self._frame = QTimer(self, singleShot=True, interval=PLAY_MS)
        self._frame.timeout.connect(self.step)
        self._choices = QTimer(self, singleShot=True, interval=0)  # several changes of one click are one new attack
        self._choices.timeout.connect(self.run)
        for changed in (store.cloudChanged, store.modelsChanged, store.attackChanged):
            changed.connect(self._choices.start)

    def close(self) -> bool:
        """End the worker; call before the application quits. Whether it has ended."""
        self._forget()
        return self._worker.close()

    # --- the slider ---

    def press(self) -> None:
        """The slider is held: jobs rest so that every frame goes to the person."""
        if not self._dragging:
            self._dragging = True
            self.jobs.hold_all()

    def drag(self, epsilon: float) -> None:
        """The slider stands at ``epsilon``: show the present perturbation inside that budget."""
        store = self.store
        store.set_epsilon(epsilon)
        if store.scene is None or not store.history:
            return
        from core import live

        self._stop_playing()
        if self._asked.keys() - {"refit"}:
            self._forget()
        state = store.history[store.position or -1]  # the clean cloud has no perturbation, the whole attack has
        self._ask("refit", live.refit, store.scene, epsilon, state)
        if not self._dragging:
            self._settle.start()

    def release(self, epsilon: float) -> None:
        """The slider was let go: run the attack at its place."""
        if self._dragging:
            self._dragging = False
            self.jobs.release_all()
        self.store.set_epsilon(epsilon)
        self.run()

    # --- the attack ---

    def run(self) -> None:
        """Attack from the clean cloud to the end with what is chosen now; what is made of it already is kept."""
        self._settle.stop()
        self._stop_playing()
        wish, history = self._setup(), self.store.history
        if wish is not None and self._job is not None and wish.same_attack(self._wish):
            self._wish = wish  # other models are shown, at the end too
            self._ask("begin", _attack, wish, history, _ended())
            return
        self._forget()
        if wish is None:
            self._show_nothing()
        elif wish.same_attack(self._made) and len(history) <= 1 + wish.attack.total_steps:
            self._attack(wish, history, end=True)
        else:
            self._attack(wish)

    def _attack(self, wish: Setup, states: tuple[State, ...] = (), *, end: bool = False) -> None:
        """Make all steps that are left after some states; with ``end`` none, and ask every model of the last."""
        self._wish = wish
        self._set_busy(True)
        total = wish.attack.total_steps
        if end:
            self._ask("attack", _attack, wish, states, _ended())
        elif total + 1 - len(states) > LONG:  # with a bar and a way to stop it
            self._begin_job(wish, states)
        else:
            self._ask("attack", _attack, wish, states, self._cancel)

    def _begin_job(self, wish: Setup, states: tuple[State, ...]) -> None:
        from core import live

        if not states:
            self.store.set_outcome(None)
            self._ask("begin", _attack, wish, (), _ended())
        cancel = Cancel()
        work = partial(live.attack, wish, wish.attack.epsilon, cancel, states)
        title = f"attack of {wish.attack.total_steps:,} steps"
        self._job = job = self.jobs.submit(title, work, cancel, "steps", brief=True)
        self._asked["attack"] = serial = -next(self._serials)  # not the job itself, which would never be freed
        for ended in (job.finished_ok, job.stopped):
            ended.connect(partial(self._job_ended, serial))
        job.failed.connect(partial(self._refused, "attack", serial))

    def _job_ended(self, serial: int, attacked: AttackResult | None) -> None:
        """Show what it made, also if it was stopped; if that was dropped, what was there before."""
        if self._asked.get("attack") != serial:
            return
        del self._asked["attack"]
        self._job = None
        assert self._wish is not None
        if attacked is None:
            self._set_busy(False)
        elif attacked.scene.setup.models != self._wish.models:
            self._attack(self._wish, attacked.states, end=True)
        else:
            self._attacked(attacked)

    def step(self) -> None:
        """One step forward: the next known state, or a new one."""
        store = self.store
        if store.scene is None or not store.history or self._asked.keys() & {"advance", "attack"}:
            return
        from core import live

        if store.position + 1 < len(store.history):
            self.seek(store.position + 1)
        else:  # the scene may still be that of an earlier state, for which ``show`` has not answered yet
            self._ask("advance", live.advance, replace(store.scene, state=store.history[-1]))

    def seek(self, position: int) -> None:
        """Show state ``position`` of the attack."""
        store = self.store
        if store.scene is not None and store.history and "attack" not in self._asked:
            from core import live

            self._drop("advance")
            position = max(0, min(position, len(store.history) - 1))
            store.set_history(store.history, position)
            self._ask("show", live.show, store.scene, store.history[position])

    def step_back(self) -> None:
        self._stop_playing()
        self.seek(self.store.position - 1)

    def step_again(self) -> None:
        """Show the step after, if it has been made."""
        self._stop_playing()
        self.seek(self.store.position + 1)

    def reset(self) -> None:
        """Back to the clean cloud; the states stay, so that steps and play go through them again."""
        self._stop_playing()
        self.seek(0)

    def to_end(self) -> None:
        """Go to the last step, and make those that are missing."""
        self._stop_playing()
        if self._made is not None and len(self.store.history) <= self._planned and "attack" not in self._asked:
            self._attack(self._made, self.store.history)
        else:
            self.seek(len(self.store.history) - 1)

    def toggle_play(self) -> None:
        """Play the attack step by step, from the start if it stands at its end; or pause."""
        if self.playing:
            self._stop_playing()
        elif self.store.history and "attack" not in self._asked:
            self._set_playing(True)
            if self.store.position >= max(self._planned, len(self.store.history) - 1):
                self.seek(0)
            else:
                self._frame.start()

    # --- answers ---

    def _answered(self, key: str, serial: int, value: Any) -> None:
        if self._asked.get(key) == serial:
            del self._asked[key]
        match key:
            case "begin":
                self._show_attacked(value)
            case "attack":
                self._attacked(value)
            case "refit":
                self.store.set_scene(value)
            case "show":
                self.store.set_scene(value)
                self._keep_playing()
            case "advance":
                self._advanced(value)
            case "outcome" | "sweep":
                self._outcomes.take(value)
        self._rest.start()

    def _attacked(self, attacked: AttackResult) -> None:
        self._show_attacked(attacked)
        self._set_busy(False)
        self._ask_if("outcome", self._outcomes.renew())

    def _show_attacked(self, attacked: AttackResult) -> None:
        self._made = self._wish
        self.store.set_history(attacked.states, len(attacked.states) - 1)
        self.store.set_scene(attacked.scene)

    def _at_rest(self) -> None:
        """Renew the outcome after steps by hand, then make the attack at every epsilon."""
        store = self.store
        if self._asked or self.playing or self._dragging or store.scene is None or not store.history:
            return
        if store.scene.state is store.history[-1]:
            self._ask_if("outcome", self._outcomes.renew())
        if not self._asked:
            self._ask_if("sweep", self._outcomes.refine())

    def _advanced(self, scene: Scene) -> None:
        history = (*self.store.history, scene.state)
        self.store.set_history(history, len(history) - 1)
        self.store.set_scene(scene)
        self._keep_playing()

    def _refused(self, key: str, serial: int, sentence: str, _: str = "") -> None:
        if self._asked.get(key) != serial:
            return
        del self._asked[key]
        if key == "sweep":
            self._outcomes.give_up()
            return
        self._stop_playing()
        if key in ("attack", "begin"):  # what is on the screen is not what was asked for
            self._forget()
            self._show_nothing()
        self._set_busy(False)
        self.failed.emit(sentence)

    def _show_nothing(self) -> None:
        self._wish = self._made = None
        self.store.set_history((), 0)
        self.store.set_scene(None)
        self._set_busy(False)

    # --- inside ---

    @property
    def _planned(self) -> int:
        return self.store.attack.total_steps if self.store.attack is not None else 0

    def _setup(self) -> Setup | None:
        from core import live

        store = self.store
        models = store.verdict_models
        if store.cloud is None or store.attack is None or not models:
            return None
        primary = next(index for index, model in enumerate(models) if model.name == store.primary)
        known = store.classes.index(store.cloud.class_name) if store.cloud.class_name in store.classes else None
        cloud = replace(store.cloud, label=known)  # datasets and models number their classes each in their own way
        return live.Setup(models, primary, store.attack.at(store.epsilon), cloud, store.target)

    def _ask(self, key: str, function: Callable[..., Any], *arguments: Any) -> None:
        if "sweep" in self._asked:  # which takes seconds, and goes on at the next rest
            self._outcomes.stop()
            self._drop("sweep")
        self._asked[key] = self._worker.submit(key, function, *arguments)

    def _ask_if(self, key: str, work: Callable[[], Any] | None) -> None:
        if work is not None:
            self._ask(key, work)

    def _forget(self) -> None:
        """Whatever was asked is not wanted any more."""
        self._cancel.request()
        self._cancel = Cancel()
        self._outcomes.stop()
        if self._job is not None:
            job, self._job = self._job, None
            job.cancel()
        for key in list(self._asked):
            self._drop(key)

    def _drop(self, key: str) -> None:
        if key in self._asked:
            del self._asked[key]
            self._worker.forget(key)

    def _keep_playing(self) -> None:
        if self.playing:
            if self.store.position < max(self._planned, len(self.store.history) - 1):
                self._frame.start()
            else:
                self._stop_playing()

    def _stop_playing(self) -> None:
        self._frame.stop()
        self._set_playing(False)

    def _set_playing(self, playing: bool) -> None:
        if playing != self.playing:
            self.playing = playing
            self.playingChanged.emit(playing)

    def _set_busy(self, busy: bool) -> None:
        if busy != self.busy:
            self.busy = busy
            self.busyChanged.emit(busy)


def _ended() -> Cancel:
    cancel = Cancel()
    cancel.request()
    return cancel


def _attack(wish: Setup, states: tuple[State, ...], cancel: Cancel) -> AttackResult:
    from core import live

    attacked: AttackResult = result(live.attack(wish, wish.attack.epsilon, cancel, states))
    return attacked
