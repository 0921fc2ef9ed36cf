"""What a lab is about, what it needs, and its tasks."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from virtlab import lifecycle, render


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")


def run(options: argparse.Namespace) -> render.Result:
    lab = lifecycle.open_lab(options.lab)
    data = {
        "lab": lab.slug,
        "title": lab.title,
        "summary": lab.summary,
        "track": lab.track,
        "minutes": lab.minutes,
        "prefix": lab.prefix,
        "ports": dict(lab.ports),
        "values": dict(lab.values),
        "environment": lab.environment(),
        "needs": asdict(lab.needs),
        "work": str(lab.work),
        "tasks": [asdict(task) for task in lab.tasks],
    }
    return render.Result(data, lambda style: render.lab(lab, style))
