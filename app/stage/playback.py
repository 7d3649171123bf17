"""Which state of the attack is shown: back and forth through its steps, and playing them one after another."""

from PySide6.QtCore import QObject, QTimer, Signal

from app.stage.controller import AttackController
from app.store import Store

PLAY_MS = 80  # shortest time between two frames of an attack that is played


class Playback(QObject):
    """Moves the controller from state to state; a new attack and a move of the slider end the playing."""

    playingChanged = Signal(bool)

    def __init__(self, store: Store, controller: AttackController, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.playing = False
        self._store, self._controller = store, controller
        self._frame_timer = QTimer(self, singleShot=True, interval=PLAY_MS)
        self._frame_timer.timeout.connect(controller.step)
        controller.interrupted.connect(self.stop)
        controller.stateShown.connect(self._play_on)

    @property
    def can_seek(self) -> bool:
        """Whether the steps of the attack can be gone through: not while a job makes them."""
        return self._store.scene is not None and bool(self._store.history) and not self._controller.made_by_job

    @property
    def can_step(self) -> bool:
        """Whether there is a step after the shown one, or one can be made."""
        history = self._store.history
        return self.can_seek and (self._store.position + 1 < len(history) or not history[-1].ended)

    @property
    def at_end(self) -> bool:
        """Whether the last step is shown, and no planned one is missing."""
        planned = 0 if self._controller.made_elsewhere else self._controller.planned_steps
        return self._store.position >= max(planned, len(self._store.history) - 1)

    def step_back(self) -> None:
        self.stop()
        self._controller.seek(self._store.position - 1)

    def reset(self) -> None:
        """Show the clean cloud; the states are kept, so that stepping and playing go through them again."""
        self.stop()
        self._controller.seek(0)

    def to_end(self) -> None:
        """Show the last step, and compute those that are missing."""
        self.stop()
        if not self._controller.compute_missing_steps():
            self._controller.seek(len(self._store.history) - 1)

    def toggle(self) -> None:
        """Play the attack step by step, from the start if the last step is shown; or pause."""
        if self.playing:
            self.stop()
        elif self._store.history and not self._controller.busy:
            self._set_playing(True)
            if self.at_end:
                self._controller.seek(0)
            else:
                self._frame_timer.start()

    def _play_on(self) -> None:
        if self.playing:
            if self.at_end:
                self.stop()
            else:
                self._frame_timer.start()

    def stop(self) -> None:
        """End the playing."""
        self._frame_timer.stop()
        self._set_playing(False)

    def _set_playing(self, playing: bool) -> None:
        if playing != self.playing:
            self.playing = playing
            self.playingChanged.emit(playing)
