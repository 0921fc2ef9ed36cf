"""Whether anything is under way in this server, even when nobody types: then it is not idle.

Jupyter itself notes what is typed and printed. A silent build in a terminal, a cell that computes, a download
and a check are work as well: while one of them is under way the server counts as used, and is not culled.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any

from jupyter_server._tz import utcnow

from virtlab import catalogue, state

NOTED = "virtlab_last_activity"  # Jupyter counts every setting whose name ends like this


def under_way(app: Any) -> list[str]:
    """kernel, terminal, download, check: what of it is at work right now."""
    looks = {"kernel": _kernels, "terminal": _terminals, "download": _downloads, "check": _checks}
    return [name for name, is_at_work in looks.items() if is_at_work(app)]


def note(app: Any) -> list[str]:
    if found := under_way(app):
        app.web_app.settings[NOTED] = utcnow()
    return found


def _kernels(app: Any) -> bool:
    manager = app.kernel_manager
    every = (manager.get_kernel(one) for one in manager.list_kernel_ids())
    return any(getattr(one, "execution_state", "idle") == "busy" for one in every)


def _terminals(app: Any) -> bool:
    """Does a terminal run anything besides its shell? In the background counts as well."""
    manager = app.web_app.settings.get("terminal_manager")
    shells = {one.ptyproc.pid for one in manager.terminals.values()} if manager else set()
    return bool(shells) and any(pid not in shells and _session(pid) in shells for pid in _processes())


def _downloads(app: Any) -> bool:
    """Is an answer still being written? One that a page waits for is written in no time."""
    connections = getattr(app.http_server, "_connections", ())
    streams = [getattr(one, "stream", None) for one in connections]
    return any(one is not None and not one.closed() and one.writing() for one in streams)


def _checks(app: Any) -> bool:
    return any(state.busy(slug) for slug in catalogue.slugs())


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (names only)


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return 0
