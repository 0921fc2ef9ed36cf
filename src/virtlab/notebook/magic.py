"""`%lab`: the lab's verbs inside its guide."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Any

from IPython.core.magic import Magics, line_magic, magics_class

from virtlab.errors import LabError
from virtlab.language import say
from virtlab.notebook import view
from virtlab.notebook.panel import paragraphs
from virtlab.notebook.progress import Progress, is_strict
from virtlab.notebook.verbs import VERBS, Session


@magics_class
class LabMagics(Magics):
    """The lab at hand is remembered for as long as the notebook's kernel runs."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell)
        self.session = Session(_guide())

    @line_magic
    def lab(self, line: str) -> None:
        """Run one verb of the lab and show what came of it."""
        progress = Progress()
        try:
            verb, *rest = shlex.split(line) or ["help"]
            if verb not in VERBS:
                raise LabError(say("`%lab` does not know '{verb}'.", verb=verb),
                               do=say("It knows: {verbs}.", verbs=", ".join(sorted(VERBS))))
            progress.show(VERBS[verb](self.session, rest, progress))
        except LabError as error:
            progress.show(view.error(error))
            if is_strict():
                raise
        except ValueError as error:                     # an open quotation mark
            said = say("I cannot read `%lab {line}`: {error}.", line=line, error=error)
            progress.show(paragraphs("odd", said))
        except KeyboardInterrupt:
            progress.show(paragraphs(
                "odd", say("Stopped."), [say("Run the cell again: it goes on from there.")]))


def _guide() -> str:
    """Which guide this kernel belongs to: JupyterLab says so, and guides lie in folders of their name."""
    return Path(os.environ.get("JPY_SESSION_NAME", "")).stem or Path.cwd().name
