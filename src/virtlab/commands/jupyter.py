"""Start, stop or find JupyterLab. `url` prints the address with its token."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from virtlab import paths, render, roles, root, workspace
from virtlab.commands.up import alone, play
from virtlab.errors import MachineError
from virtlab.language import say

STATES = {"start": "started", "stop": "stopped", "restart": "restarted"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=[*STATES, "url"])


def run(options: argparse.Namespace) -> render.Result:
    if not (paths.HOST_D / "jupyterlab.json").exists():
        raise MachineError("This machine has no JupyterLab yet.", do="Run `./lab up`.")
    if options.verb in STATES:
        root.become(f"`lab jupyter {options.verb}` works on a service; that", sys.argv[1:])
        os.environ["XDG_CONFIG_HOME"] = str(Path(root.caller().pw_dir) / ".config")
        with alone(f"jupyter {options.verb}"):
            play(
                roles.UP,
                ["jupyterlab"],
                variables={"daemon_state": STATES[options.verb]},
                tags=["jupyterlab"],
                log=f"jupyter-{options.verb}",
            )
    if options.verb == "stop":
        said = say("JupyterLab is stopped. `lab jupyter start` starts it.")
        return render.Result({"state": "stopped"}, said)
    url = workspace.address()
    return render.Result({"url": url}, url)
