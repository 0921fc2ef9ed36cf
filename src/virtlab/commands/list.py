"""The labs there are, and how far you are in each."""

from __future__ import annotations

import argparse

from virtlab import catalogue, progress, render
from virtlab.catalogue import Broken


def configure(parser: argparse.ArgumentParser) -> None:
    del parser  # nothing to choose


def run(options: argparse.Namespace) -> render.Result:
    del options
    every = catalogue.every()
    passed = {}
    for lab in every:
        record = progress.read(lab.slug)
        if record.checks:
            passed[lab.slug] = f"{record.passed} of {len(record.checks)}"
    data = [
        {"lab": lab.slug, "error": lab.error.message}
        if isinstance(lab, Broken)
        else {
            "lab": lab.slug,
            "title": lab.title,
            "summary": lab.summary,
            "track": lab.track,
            "minutes": lab.minutes,
            "passed": passed.get(lab.slug),
        }
        for lab in every
    ]
    return render.Result({"labs": data}, lambda style: render.labs(every, passed, style))
