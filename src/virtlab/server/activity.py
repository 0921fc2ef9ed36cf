"""Whether anything is under way in this server, even when nobody types: then it is not idle.

Jupyter itself notes what is typed and printed. A silent build in a terminal, a cell that computes, a download
and a check are work as well: while one of them is under way the server counts as used, and is not culled.
That a page asks is no work: an open one does so every few seconds, whether or not anybody sits before it.
"""

from __future__ import annotations

import contextlib
import os
from typing import Any
from weakref import WeakKeyDictionary

from jupyter_server._tz import utcnow

from virtlab import catalogue, state

ASKING = ("GET", "HEAD", "OPTIONS")
NOTED = "virtlab_last_activity"  # Jupyter counts every setting whose name ends like this


_written: WeakKeyDictionary[Any, int] = WeakKeyDictionary()  # bytes that had gone out at the last look


def only_deeds() -> None:
    """Jupyter counts every request to its API as use; from now on only those that change something."""
    from jupyter_server.base.handlers import APIHandler

    note_it = APIHandler.update_api_activity

    def note_deeds(self: APIHandler) -> None:
        if self.request.method not in ASKING:
            note_it(self)

    APIHandler.update_api_activity = note_deeds  # type: ignore[method-assign]


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
    """Is an answer still being written? One that a page waits for is written in no time.

    It has to get on: a proxy may keep a connection whose other end has gone, and never read from it again.
    """
    connections = getattr(app.http_server, "_connections", ())
    streams = [getattr(one, "stream", None) for one in connections]
    slow = [one for one in streams if one is not None and not one.closed() and one.writing()]
    before = [_written.get(one) for one in slow]
    _written.update((one, getattr(one, "_total_write_done_index", 0)) for one in slow)
    return any(_written[one] != had for one, had in zip(slow, before, strict=True))


def _checks(app: Any) -> bool:
    return any(state.busy(slug) for slug in catalogue.slugs())


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (names only)


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return 0
