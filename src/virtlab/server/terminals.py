"""Terminals that know their lab: whoever opens one in a lab's folder finds the lab's values there."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from jupyter_server_terminals.terminalmanager import TerminalManager

from virtlab import lifecycle, paths
from virtlab.catalogue import Lab
from virtlab.errors import LabError

NAME = re.compile(r"lab(\d\d)")  # a terminal's name is letters and digits


def name(lab: Lab) -> str:
    """The terminal of a lab: one, however often the lab is opened."""
    return f"lab{lab.number}"


class LabTerminals(TerminalManager):
    """Jupyter's own, with one difference: a lab's terminal starts in its folder, with its environment."""

    def new_named_terminal(self, **options: Any) -> Any:
        lab = _lab(str(options.get("name") or ""), str(options.get("cwd") or ""))
        if lab is not None:
            options.setdefault("cwd", str(lab.work))
            options["extra_env"] = lab.environment()
        return super().new_named_terminal(**options)


def _lab(wanted: str, folder: str) -> Lab | None:
    """By the terminal's name, as a restored page asks for it, or by the folder it is opened in."""
    inside = Path(os.path.realpath(folder)) if folder else Path()
    home = Path(os.path.realpath(paths.workspace()))
    if found := NAME.fullmatch(wanted):
        wanted = found[1]
    elif inside != home and inside.is_relative_to(home):
        wanted = inside.relative_to(home).parts[0]
    else:
        return None
    try:
        lab = lifecycle.open_lab(wanted)
        lifecycle.folders(lab)
    except LabError:
        return None  # a terminal like any other
    return lab
