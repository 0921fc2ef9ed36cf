"""A class: a virtual machine for each student, on one host or several."""

from __future__ import annotations

import argparse
import importlib
from typing import Any

from virtlab import render
from virtlab.language import LANGUAGES

# name → one line of help; each is a module here
VERBS = {
    "check": "what is wrong with a class's files, and how many seats fit",
    "up": "bring a class to life: hosts, seats' disk, hub, warm seats",
    "status": "hub, hosts, seats, and who waits",
    "handout": "a page to print, with a card for each student; or CSV",
    "grade": "grade a lab in every seat from outside, beside the students' own records",
    "grades": "points for the gradebook, from the seats' records",
    "message": "show students a message",
    "exec": "run a program on all seats, or on some",
    "snapshot": "keep the disk of a seat, or of all, as it is now",
    "rollback": "put the disk of a seat, or of all, back to a snapshot",
    "reset": "give a student a new machine",
    "evacuate": "empty a KVM host before it is switched off",
    "down": "take the class back, with the students' disks or without them",
}
# of every command; here they may stand behind the verb as well
OPTIONS: dict[str, dict[str, Any]] = {
    "--json": {"action": "store_true", "help": "print the result as JSON"},
    "--lang": {"choices": tuple(LANGUAGES), "help": argparse.SUPPRESS},
}


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for name, said in VERBS.items():
        module = importlib.import_module(f"{__name__}.{name}")
        verb = verbs.add_parser(name, help=said, description=module.__doc__, allow_abbrev=False)
        for option, how in OPTIONS.items():
            verb.add_argument(option, default=argparse.SUPPRESS, **how)
        module.configure(verb)
        verb.set_defaults(run=module.run)


def run(options: argparse.Namespace) -> render.Result:
    result: render.Result = options.run(options)
    return result
