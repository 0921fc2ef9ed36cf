"""One line that says which task a playbook is at; on a terminal only, and gone when it is done."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from virtlab.render import Style


@contextmanager
def display(doing: str, options: argparse.Namespace) -> Iterator[Callable[[Any], None] | None]:
    if options.json or not Style(sys.stderr).is_terminal:
        yield None
        return

    def show(event: Any) -> None:
        if event.kind == "task":
            line = f"{doing} … {event.task}"[: shutil.get_terminal_size().columns - 1]
            sys.stderr.write(f"\r\033[2K{line}")
            sys.stderr.flush()

    sys.stderr.write(f"{doing} …")
    sys.stderr.flush()
    try:
        yield show
    finally:
        sys.stderr.write("\r\033[2K")
        sys.stderr.flush()
