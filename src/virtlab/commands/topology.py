"""What is really there, of a lab or on this machine: networks, containers, guests, volumes, ports."""

from __future__ import annotations

import argparse
from pathlib import Path

from virtlab import render
from virtlab.errors import Exit, UsageError
from virtlab.language import say


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("lab", metavar="LAB", nargs="?", help="without it: everything on this machine")
    parser.add_argument("--svg", metavar="FILE", type=Path, help="draw it into a file")


def run(options: argparse.Namespace) -> render.Result:
    from virtlab import lifecycle, topology

    found = topology.of(lifecycle.open_lab(options.lab) if options.lab else None)
    data, said = found.as_dict(), found.text()
    if options.svg is not None:
        _write(options.svg, found.svg())
        data["svg"] = str(options.svg)
        drawn = say("Drawn into {file}.", file=options.svg)
        said = "\n".join([drawn, *(f"{one.message} {one.do}" for one in found.unseen)])
    return render.Result(data, said, Exit.MACHINE if found.unseen else Exit.OK)


def _write(file: Path, drawing: str) -> None:
    try:
        file.write_text(drawing)
    except OSError as error:
        raise UsageError(
            f"I cannot write {file}: {error.strerror}.", do="Name a file in a folder that is yours."
        ) from None
