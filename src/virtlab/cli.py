"""The command line. A command is imported when it is called: importing is most of what it costs."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from virtlab import __version__, groups, language
from virtlab.errors import Exit, LabError
from virtlab.language import say
from virtlab.render import Result, Style, error

# name → (module, one line of help); in the order in which they are met
COMMANDS = {
    "up": ("virtlab.commands.up", "make this machine a lab host, or bring it up to date"),
    "down": ("virtlab.commands.down", "undo what `lab up` did"),
    "doctor": ("virtlab.commands.doctor", "what this machine can run, and what to do about the rest"),
    "jupyter": ("virtlab.commands.jupyter", "start, stop or find JupyterLab"),
    "list": ("virtlab.commands.list", "the labs there are"),
    "show": ("virtlab.commands.show", "what a lab is about, needs and asks for"),
    "start": ("virtlab.commands.start", "prepare a lab"),
    "open": ("virtlab.commands.open", "a lab in JupyterLab: its guide, a terminal, the checklist"),
    "grade": ("virtlab.commands.grade", "look at what works so far"),
    "hint": ("virtlab.commands.hint", "the next step, a little at a time"),
    "solve": ("virtlab.commands.solve", "do it for me, all of it or one task"),
    "finish": ("virtlab.commands.finish", "put the machine back as it was"),
    "reset": ("virtlab.commands.reset", "finish a lab and start it afresh"),
    "status": ("virtlab.commands.status", "how far you are"),
    "report": ("virtlab.commands.report", "your record, as text, as a web page or as JSON"),
    "topology": ("virtlab.commands.topology", "what is really there, as text or as a drawing"),
    "box": ("virtlab.commands.box", "the ready box for Vagrant: make it, register it"),
    "classroom": ("virtlab.commands.classroom", "for instructors: a class with a machine for each student"),
    "new": ("virtlab.commands.new", "for authors: a new lab that works"),
    "lint": ("virtlab.commands.lint", "for authors: is a lab complete and well written?"),
    "prove": (
        "virtlab.commands.prove",
        "for authors: show that a lab's checks are right and its finish is clean",
    ),
    "test": ("virtlab.commands.test", "for developers: all tests, or `--fast`"),
}

EXITS = """exit codes:
  0 all well   1 a check failed   2 wrong use   3 this machine cannot do it   4 a playbook failed

A lab may be called 05, 5, container-networks or 05-container-networks."""


class Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise LabError(
            f"{message[:1].upper()}{message[1:]}.", do=f"`{self.prog} --help` shows how it is used."
        )


def main(arguments: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json = "--json" in words
    try:
        if arguments is None:
            groups.join(words)
        return _run(words)
    except LabError as problem:
        _fail(problem, as_json)
        return int(problem.exit)
    except KeyboardInterrupt:
        print(f"\n{say('Stopped. The same command picks up from here.')}", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # `lab list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as problem:
        _fail(_unexpected(problem, words), as_json)
        return int(Exit.MACHINE)


def _run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_overview())  # noqa: T201
        return 0
    if words[0] in ("-V", "--version"):
        print(f"virtlab {__version__}")  # noqa: T201
        return 0
    name = words[0]
    if name not in COMMANDS:
        raise _unknown(name)
    module = importlib.import_module(COMMANDS[name][0])
    parser = Parser(
        prog=f"lab {name}",
        description=module.__doc__ or COMMANDS[name][1],
        epilog=EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument(
        "--lang", choices=tuple(language.LANGUAGES), help="speak this language (en: English, zh: 简体中文)"
    )
    module.configure(parser)
    options = parser.parse_args(words[1:])
    if options.lang:
        os.environ["VIRTLAB_LANG"] = options.lang  # for the playbooks and programs it starts as well
    result: Result = module.run(options)
    as_json = options.json and result.data is not None  # `--watch` has told everything already
    text = json.dumps(result.data, ensure_ascii=False, indent=2) if as_json else result.draw(Style())
    if text:
        print(text, flush=True)  # noqa: T201
    return int(result.exit)


def _overview() -> str:
    lines = "\n".join(f"  {name:<9} {said}" for name, (_, said) in COMMANDS.items())
    return (
        "usage: lab COMMAND [options]\n\nA training lab kit about virtualization and containers.\n\n"
        f"{lines}\n\n`lab COMMAND --help` says more. Every command takes --json and --lang.\n\n{EXITS}"
    )


def _unknown(name: str) -> LabError:
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, 1)
    hint = f" (did you mean '{near[0]}'?)" if near else ""
    return LabError(f"There is no command '{name}'{hint}.", do="`lab --help` shows all of them.")


def _fail(problem: LabError, as_json: bool) -> None:
    if as_json:
        from virtlab import messages

        problem = messages.error(problem)
        print(json.dumps({"error": problem.as_dict()}, ensure_ascii=False, indent=2), flush=True)  # noqa: T201
    else:
        print(error(problem, Style(sys.stderr)), file=sys.stderr)  # noqa: T201


def _unexpected(problem: Exception, words: Any) -> LabError:
    """A full disk; or a mistake of ours: one line here, and the traceback for whoever mends it."""
    import errno
    import time
    import traceback

    from virtlab import paths, state

    if isinstance(problem, OSError) and problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return state.cannot_write(problem)

    said = " ".join(f"{type(problem).__name__}: {problem}".split())
    try:
        log = paths.private(paths.logs()) / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
        log.write_text(f"lab {' '.join(words)}\n\n{traceback.format_exc()}")
        where = f"The details are in {log}; please report them."
    except OSError as refused:
        where = f"The details could not be kept ({refused.strerror} for {paths.logs()})."
    return LabError(f"Something unexpected went wrong: {said}.", do=where, exit=Exit.MACHINE)
