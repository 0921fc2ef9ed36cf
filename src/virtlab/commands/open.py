"""Open a lab in JupyterLab: its guide on the left, a terminal and the checklist on the right."""

from __future__ import annotations

import argparse

from virtlab import catalogue, render, workspace
from virtlab.language import say


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB")


def run(options: argparse.Namespace) -> render.Result:
    lab = catalogue.find(options.lab)
    pages = workspace.show(lab.slug)
    url = workspace.address(lab=lab.slug)
    said = f"{say('Open this in a browser:')}\n{url}"
    if pages:
        said = say("{lab} is open in JupyterLab.", lab=lab.slug)
    return render.Result({"lab": lab.slug, "pages": pages, "url": url}, said)
