"""What this machine can run, tried rather than looked up. 0: all well; 3: something needed does not work."""

from __future__ import annotations

import argparse
import time
from itertools import groupby

from virtlab import render
from virtlab.doctor import Finding, State, examine
from virtlab.errors import Exit


def configure(parser: argparse.ArgumentParser) -> None:
    del parser  # nothing to choose


def run(options: argparse.Namespace) -> render.Result:
    del options
    began = time.monotonic()
    found = examine()
    well = all(one.state is not State.FAIL for one in found)
    seconds = round(time.monotonic() - began, 2)
    data = {"well": well, "seconds": seconds, "findings": [one.as_dict() for one in found]}
    return render.Result(data, lambda style: draw(found, seconds, style), Exit.OK if well else Exit.MACHINE)


def draw(found: list[Finding], seconds: float, style: render.Style) -> str:
    lines = []
    for group, members in groupby(found, key=lambda one: one.group):
        lines.append(style.paint(group.capitalize(), "strong"))
        for one in members:
            lines.append(f"  {mark(one.state, style)}  {one.seen}")
            if one.do:
                label = "" if one.state is State.INFO else style.paint("What to do: ", "strong")
                lines.append(f"        {label}{one.do}")
    counts = {state: sum(one.state is state for one in found) for state in State}
    if counts[State.FAIL]:
        summary = style.paint(f"Needed, and not working: {counts[State.FAIL]}.", "bad")
    elif counts[State.WARN]:
        summary = f"Nothing needed is broken. Worth a look: {counts[State.WARN]}."
    else:
        summary = style.paint("All is well.", "good")
    return "\n".join([*lines, "", f"{summary} ({seconds:.1f} s)"])


def mark(state: State, style: render.Style) -> str:
    colour = {State.OK: "good", State.WARN: "odd", State.FAIL: "bad", State.INFO: "quiet"}[state]
    return style.paint(f"{state:<4}", colour)
