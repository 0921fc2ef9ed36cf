"""Grading for as long as one likes: redrawn in place on a terminal, only what changed elsewhere."""

from __future__ import annotations

import json
import sys
import time
from itertools import chain

from virtlab import render
from virtlab.checks import Result as CheckResult
from virtlab.errors import Exit
from virtlab.language import say
from virtlab.outcomes import Grade
from virtlab.watch import Watch

CLOSING = "This follows what you do; Ctrl-C ends it."


def watch(lab: str, *, as_json: bool = False) -> render.Result:
    """Until Ctrl-C, or until the lab is finished. What was seen is drawn already."""
    style = render.Style()
    one = Watch(lab)
    changes = one.changes()
    first = next(changes)  # an error here is an error of the command
    try:
        draw = _redraw if style.is_terminal and not as_json else _tell
        draw(chain([first], changes), style, as_json)
    except KeyboardInterrupt:
        return render.Result(None, "", Exit.OK)
    return render.Result(None, "" if as_json else say("{lab} is finished.", lab=one.lab.slug), Exit.OK)


def _redraw(seen: chain[Grade], style: render.Style, _: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    # a lab taller than the window is shown from its top: the summary can be had with plain `lab grade`
    with Live(console=Console(), auto_refresh=False) as live:
        for grade in seen:
            live.update(Text.from_ansi(f"{render.grade(grade, style)}\n{say(CLOSING)}"), refresh=True)


def _tell(seen: chain[Grade], style: render.Style, as_json: bool) -> None:
    known: dict[str, tuple[str, str]] = {}
    for grade in seen:
        for one in grade.results:
            now = (str(one.state), one.message)
            if known.get(one.id) != now:
                known[one.id] = now
                line = json.dumps(one.as_dict(), ensure_ascii=False) if as_json else _line(one, style)
                sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def _line(one: CheckResult, style: render.Style) -> str:
    return f"{time.strftime('%H:%M:%S')}  {style.mark(one.state)}  {one.title}: {one.message}"
