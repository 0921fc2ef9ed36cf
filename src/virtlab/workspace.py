"""The learner's JupyterLab: where it is."""

from __future__ import annotations

from virtlab import paths, settings
from virtlab.errors import MachineError


def address(role: str = "jupyterlab") -> str:
    """The one address to open, with its token. It is a secret: print it for the learner, never into a log."""
    there = settings.host()[role]
    secret = paths.SECRETS / there.token
    try:
        token = secret.read_text().strip()
    except PermissionError:
        raise MachineError(f"JupyterLab is at {there.url}, but its token is {there.user}'s.",
                           do=f"Ask as {there.user}: `sudo -u {there.user} lab jupyter url`.") from None
    except OSError:
        raise MachineError("JupyterLab has no token yet.", do="Run `./lab up --only jupyterlab`.") from None
    return f"{there.url}/lab/tree/start-here.ipynb?token={token}"
