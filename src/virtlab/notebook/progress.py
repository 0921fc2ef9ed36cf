"""A line that says what is happening while a playbook runs; the result replaces it."""

import os
from typing import Any

from IPython.display import display

from virtlab.notebook.panel import Panel, rich


def is_strict() -> bool:
    """A guide is being executed or tested: no passing states in its outputs, and errors fail their cell."""
    return os.environ.get("VIRTLAB_STRICT") == "1"


class Progress:
    """Shows each task of a playbook in one place, then what came of it."""

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._done = 0
        self._handle: Any = None

    def __call__(self, step: str, total: int | None = None) -> None:
        """The next task has begun."""
        if is_strict():
            return
        self._done += 1
        of = f" of {total}" if total else ""
        line = f"{self._doing} … step {self._done}{of}: {step}"
        bar = f'<progress{f" value={self._done - 1} max={total}" if total else ""}></progress> '
        self._show(Panel("plain", bar + rich(line), line))

    def finish(self, panel: Panel) -> None:
        """Put the result where the progress was."""
        self._show(panel)

    def _show(self, panel: Panel) -> None:
        if self._handle is None:
            self._handle = display(panel, display_id=not is_strict())
        else:
            self._handle.update(panel)
