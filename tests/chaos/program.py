"""The program as it is, but with a built-in dataset of a few hundred shapes: ``python -m tests.chaos.program WORDS``.

With the word ``window`` and the folder of a run it opens the window, waits for the built-in dataset, trains the run to
its end, or goes on with it, and closes the window.
"""

import sys
from pathlib import Path
from typing import Any

from core.datasets import shapes16

SHAPES = (20, 5)
"""Train and test shapes of each category."""
TRAINING = {"epochs": 4, "batch_size": 32, "points": 64, "clouds": 160, "device": "cpu"}


def main(words: list[str]) -> int:
    for category in shapes16.COUNTS:
        shapes16.COUNTS[category] = SHAPES
    if words[0] == "window":
        return train_in_window(Path(words[1]))
    from main import main as run

    return run(words)


def train_in_window(folder: Path) -> int:
    """Open the window and train in it; the exit code is 0 if the training came to its end."""
    from app.shell.application import make
    from app.workspaces.training_work import plan_new, plan_resume
    from core.training import TrainOptions, run_exists

    application, window = make(["pointward"])
    panel, ended = window.workspaces["train"], []

    def begin(dataset: Any) -> None:
        if dataset is None or panel.job is not None or ended:
            return
        try:
            if run_exists(folder):
                plan = plan_resume(folder, dataset, None)
            else:
                plan = plan_new(folder, TrainOptions.model_validate(TRAINING), dataset, None)
            panel._start(plan)
            panel.job.finished_ok.connect(lambda run: leave(run.epochs))
            panel.job.failed.connect(lambda sentence, _: leave(sentence))
        except Exception as error:  # the window would show it, and wait
            leave(repr(error))

    def leave(result: Any) -> None:
        ended.append(result)
        window.close()
        application.quit()

    window.store.datasetChanged.connect(begin)
    application.exec()
    if ended != [TRAINING["epochs"]]:
        print(ended, file=sys.stderr)
    return int(ended != [TRAINING["epochs"]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
