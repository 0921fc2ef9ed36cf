"""`%lab`: the lab's verbs inside its guide."""

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class

from virtlab import catalogue, lifecycle
from virtlab.errors import Exit, LabError
from virtlab.notebook import view
from virtlab.notebook.panel import Panel, paragraphs
from virtlab.notebook.progress import Progress, is_strict

USAGE = """%lab start [LAB]     prepare the lab (`%lab start 05` names one; otherwise the one this guide belongs to)
%lab grade           look at what works so far
%lab hint            the next step, a little at a time
%lab solve [TASK]    do it for me, all of it or one task
%lab finish          put the machine back as it was
%lab show, status    what the lab asks for; how far you are
%lab predict ID [a]  a prediction before an experiment: commit to an answer, then run it
%lab quiz ID         a question with an answer to every choice"""


@magics_class
class LabMagics(Magics):                                # type: ignore[misc]  # IPython has no types
    """The current lab is remembered for as long as the notebook runs."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.current = ""

    @line_magic                                         # type: ignore[misc]
    def lab(self, line: str) -> None:
        """Run one verb of the lab and show what came of it."""
        progress = Progress("Working")
        try:
            progress.finish(self.run(line, progress))
        except LabError as error:
            progress.finish(view.error(error))
            if is_strict():
                raise
        except KeyboardInterrupt:
            progress.finish(paragraphs("odd", "Stopped.", ["Run the cell again to pick up where it was."]))

    def run(self, line: str, progress: Progress) -> Panel:
        """What a line asks for."""
        verb, *rest = shlex.split(line) or ["help"]
        known: dict[str, Callable[[list[str], Progress], Panel]] = {
            name.removeprefix("do_"): getattr(self, name) for name in dir(self) if name.startswith("do_")}
        if verb not in known:
            raise LabError(f"%lab does not know '{verb}'.", do=f"It knows: {', '.join(sorted(known))}.",
                           exit=Exit.USAGE)
        return known[verb](rest, progress)
