"""Grading again and again: redrawn in place on a terminal, only what changed elsewhere."""

from __future__ import annotations

import json
import sys
import time

from virtlab import lifecycle, render
from virtlab.checks import Result as CheckResult
from virtlab.errors import Exit
from virtlab.outcomes import Grade
from virtlab.seat import Seat

PAUSE = 1.0  # seconds between two looks


def watch(lab: str, *, as_json: bool = False) -> render.Result:
    """Until Ctrl-C. The result is the last look's, already drawn."""
    style = render.Style()
    last = lifecycle.grade(lab, seat=Seat())  # an error here is an error of the command
    try:
        if style.is_terminal and not as_json:
            _redraw(lab, last, style)
        else:
            _tell(lab, last, style, as_json)
    except KeyboardInterrupt:
        pass
    return render.Result(None, "", Exit.OK)


def _redraw(lab: str, last: Grade, style: render.Style) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    def view(done: Grade) -> Text:
        return Text.from_ansi(f"{render.grade(done, style)}\nLooking every second; Ctrl-C ends it.")

    # a lab taller than the window is shown from its top: the summary can be had with plain `lab grade`
    with Live(view(last), console=Console(), auto_refresh=False) as live:
        while True:
            time.sleep(PAUSE)
            live.update(view(lifecycle.grade(lab)), refresh=True)


def _tell(lab: str, last: Grade, style: render.Style, as_json: bool) -> None:
    known: dict[str, tuple[str, str]] = {}
    while True:
        for one in last.results:
            now = (str(one.state), one.message)
            if known.get(one.id) != now:
                known[one.id] = now
                line = json.dumps(one.as_dict(), ensure_ascii=False) if as_json else _line(one, style)
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        time.sleep(PAUSE)
        last = lifecycle.grade(lab)


def _line(one: CheckResult, style: render.Style) -> str:
    return f"{time.strftime('%H:%M:%S')}  {style.mark(one.state)}  {one.title}: {one.message}"
