"""The learner's JupyterLab: where it is, and asking it to show something."""

from __future__ import annotations

import os
import re
from urllib.parse import urlsplit

from virtlab import paths, settings
from virtlab.errors import MachineError

ROLE = "VIRTLAB_JUPYTER"  # in the environment of a JupyterLab's terminals: which one it is


def is_seat() -> bool:
    """In a terminal of a classroom's seat: JupyterHub has started the server, and lets its owner in."""
    return "JUPYTERHUB_SERVICE_PREFIX" in os.environ


def address(role: str = "", lab: str = "") -> str:
    """The one address to open, with its token. It is a secret: print it for the learner, never into a log."""
    if is_seat():
        url = os.environ.get("JUPYTERHUB_PUBLIC_URL") or os.environ["JUPYTERHUB_SERVICE_PREFIX"]
        return f"{url.rstrip('/')}/lab{f'?open={lab}' if lab else ''}"
    there, token = _there(role)
    return f"{_seen(there)}/lab?{f'open={lab}&' if lab else ''}token={token}"


def show(lab: str, role: str = "") -> int:
    """Have the pages that are open show a lab; in how many it was done (0: none is open)."""
    import json
    from urllib.error import URLError
    from urllib.request import ProxyHandler, Request, build_opener

    there, token = _there(role)
    ask = Request(  # noqa: S310
        f"{there.url}/virtlab/show",
        data=json.dumps({"lab": lab}).encode(),
        headers={"Authorization": f"token {token}", "Content-Type": "application/json"},
    )
    try:
        with build_opener(ProxyHandler({})).open(ask, timeout=5) as answer:
            return int(json.load(answer)["pages"])
    except (URLError, OSError, ValueError, KeyError) as error:
        raise MachineError(
            f"JupyterLab at {there.url} does not answer: {getattr(error, 'reason', error)}.",
            do="`lab jupyter start` starts it.",
        ) from None


def _seen(there: settings.Record) -> str:
    """In a virtual machine on a laptop: by the port that the laptop forwards; the browser is there."""
    host = settings.host()
    port = host["laptop"].jupyterlab_port if "laptop" in host and there == host.get("jupyterlab") else None
    return re.sub(r":\d+", f":{port}", str(there.url), count=1) if port else str(there.url)


def _there(role: str) -> tuple[settings.Record, str]:
    if is_seat():
        port = urlsplit(os.environ["JUPYTERHUB_SERVICE_URL"]).port
        url = f"http://127.0.0.1:{port}{os.environ['JUPYTERHUB_SERVICE_PREFIX'].rstrip('/')}"
        return settings.Record("jupyterlab", {"url": url}), os.environ["JUPYTERHUB_API_TOKEN"]
    there = settings.host()[role or os.environ.get(ROLE) or "jupyterlab"]
    secret = paths.SECRETS / there.token
    try:
        return there, secret.read_text().strip()
    except PermissionError:
        raise MachineError(f"JupyterLab is at {there.url}, but its token is {there.user}'s.",
                           do=f"Ask as {there.user}: `sudo -u {there.user} lab jupyter url`.") from None
    except OSError:
        raise MachineError("JupyterLab has no token yet.", do="Run `./lab up --only jupyterlab`.") from None
