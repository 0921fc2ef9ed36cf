"""The ready box for Vagrant: `build` makes it from the project's own disk image, `add` registers it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from virtlab import box, render, root


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("verb", choices=["build", "add"])
    parser.add_argument("file", type=Path, nargs="?", help="build: the image to pack; add: the box")
    parser.add_argument("--provider", choices=box.FORMATS, default="libvirt", help="build: whom it is for")


def run(options: argparse.Namespace) -> render.Result:
    if options.verb == "build":
        root.become("`lab box build` writes below /var/cache; that", sys.argv[1:])
        made = box.build(options.file or box.IMAGE, options.provider)
        end = f"Here: lab box add. On a laptop: vagrant box add --name {made.name} {made.file.name}"
    else:
        made = box.add(options.file)
        end = "`vagrant up` uses it from now on."
    data = {"name": made.name, "file": str(made.file), "provider": made.provider, "bytes": made.size,
            "seconds": made.seconds}  # fmt: skip
    size = f"{made.size / box.GB:.2f} GB, {made.seconds} s"
    return render.Result(data, f"{made.file}\n{made.name} for {made.provider}, {size}\n{end}")
