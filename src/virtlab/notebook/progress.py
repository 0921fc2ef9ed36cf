"""A line that says what is happening while a playbook runs; the result replaces it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from IPython.display import display

from virtlab.language import say
from virtlab.notebook.panel import Panel, rich

if TYPE_CHECKING:
    from virtlab.playbooks import Event


def is_strict() -> bool:
    """A guide is being executed or tested: no passing states in its outputs, and errors fail their cell."""
    return os.environ.get("VIRTLAB_STRICT") == "1"


class Progress:
    """Shows each task of a playbook in one place, then what came of it."""

    def __init__(self) -> None:
        self._steps = 0
        self._handle: Any = None

    def __call__(self, event: Event) -> None:
        """A playbook did something; what matters here is which task it is at."""
        if event.kind != "task" or is_strict():
            return
        self._steps += 1
        line = say("Step {number}: {task}", number=self._steps, task=event.task)
        self.show(Panel("plain", f"<progress></progress> {rich(line)} …", f"{line} …"))

    def show(self, panel: Panel) -> None:
        """Show this where the last one was."""
        if self._handle is None:
            self._handle = display(panel, display_id=not is_strict())
        else:
            self._handle.update(panel)
