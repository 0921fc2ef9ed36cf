"""Outcome checks: functions that look at the machine. `@check` names one, `load` reads a lab's, `run` asks.

    @check("What must be true", task="the task it belongs to", hint="where to look")
    def some_name(seat, lab):
        assert what_is, "what was seen and what was expected"
        return "what is now true"

`AssertionError` is a fail; `errors.Unknown` says that nobody can tell; anything else is a broken check, and
unknown as well.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from virtlab import paths, patience
from virtlab.errors import LabError, UsageError

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.seat import Seat

WORKERS = 4  # lab 05 solved, 9 checks, 2 busy cores: 0.77 s one by one, 0.49 s with four, 0.56 s with eight
SECONDS = 5.0  # the longest a check may take, if it does not ask for more; longer on a slow machine

Function = Callable[[Any, Any], Any]


class State(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Result:
    """What one check found out."""

    id: str
    task: str
    title: str
    state: State
    message: str
    hint: str = ""
    do: str = ""  # how to repair what kept us from looking
    seconds: float = 0.0
    broken: bool = False  # the check itself is at fault

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Check:
    """One outcome: how to look at it, and how to undo just it."""

    def __init__(
        self, function: Function, title: str, *, task: str, hint: str, after: Sequence[str], seconds: float
    ) -> None:
        self.id = function.__name__
        self.title = title
        self.task = task
        self.hint = hint
        self.after = tuple(after)
        self.seconds = seconds
        self.line = function.__code__.co_firstlineno
        self.file = Path(function.__code__.co_filename)
        self.function = function
        self.undo: Function | None = None

    def broken_by(self, function: Function) -> Function:
        """Register what undoes just this outcome; the proof runs it."""
        self.undo = function
        return function

    def __call__(self, seat: Any, lab: Any) -> Any:
        return self.function(seat, lab)


_found = threading.local()  # .checks: what the file that is being loaded has declared so far


def check(
    title: str, *, task: str, hint: str = "", after: Iterable[str] = (), seconds: float = SECONDS
) -> Callable[[Function], Check]:
    """Declare a check. When one of `after` is broken, this one may fail too; `seconds` is its time limit."""

    def declare(function: Function) -> Check:
        made = Check(function, title, task=task, hint=hint, after=tuple(after), seconds=seconds)
        if hasattr(_found, "checks"):
            _found.checks.append(made)
        return made

    return declare


def load(file: Path, tasks: Iterable[str]) -> list[Check]:
    """The checks of a lab, in the order they are written, or one clear error with file and line."""
    tasks = list(tasks)
    name = f"virtlab_checks_{file.parent.name.replace('-', '_')}"
    module = ModuleType(name)
    module.__file__ = str(file)
    _found.checks = []
    try:
        code = compile(file.read_text(), str(file), "exec")
        sys.modules[name] = module  # dataclasses and pickles look their module up
        exec(code, module.__dict__)  # noqa: S102  (a lab's checks are the project's own code)
    except FileNotFoundError:
        raise UsageError(
            f"{paths.short(file)}:1: the lab has no checks.py.", do="Write one: see docs/authors.md."
        ) from None
    except Exception as error:
        raise _at(file, _line(file, error), _reason(error)) from None
    finally:
        found: list[Check] = _found.checks
        del _found.checks
    if not found:
        raise _at(file, 1, "no function is marked with @check, so nothing can be graded")
    seen: dict[str, Check] = {}
    for one in found:
        if one.id in seen:
            raise _at(file, one.line, f"check '{one.id}' is already declared in line {seen[one.id].line}")
        if one.task not in tasks:
            raise _at(
                file, one.line, f"check '{one.id}' is for task '{one.task}', which lab.yml does not have"
            )
        seen[one.id] = one
    for one in found:
        if missing := [other for other in one.after if other not in seen]:
            raise _at(file, one.line, f"check '{one.id}' comes after '{missing[0]}', which is not a check")
    return found


def run(checks: Sequence[Check], seat: Seat, lab: Lab) -> list[Result]:
    """Ask every check, none longer than its time limit. Tasks are independent and looked at side by side."""
    tasks = list(dict.fromkeys(one.task for one in checks))

    def look(task: str) -> list[Result]:
        return [_ask(one, seat, lab) for one in checks if one.task == task]

    with ThreadPoolExecutor(WORKERS) as pool:  # most of a check is waiting for `docker exec`
        found = {result.id: result for results in pool.map(look, tasks) for result in results}
    return [found[one.id] for one in checks]


def _ask(one: Check, seat: Seat, lab: Lab) -> Result:
    began = time.perf_counter()
    answer: list[Result] = []

    def ask() -> None:
        answer.append(_judge(one, seat, lab))

    # A thread of its own, because nothing else ends a call that hangs in a library: we leave it behind.
    worker = threading.Thread(target=ask, daemon=True, name=f"check-{one.id}")
    worker.start()
    limit = patience.seconds(one.seconds)
    worker.join(limit)
    seconds = round(time.perf_counter() - began, 3)
    if not answer:
        return Result(
            one.id,
            one.task,
            one.title,
            State.UNKNOWN,
            f"No answer within {limit:g} seconds.",
            one.hint,
            do="Try again; if it stays, `lab doctor` says what does not answer.",
            seconds=seconds,
        )
    result = answer[0]
    return Result(**(result.__dict__ | {"seconds": seconds}))


def _judge(one: Check, seat: Seat, lab: Lab) -> Result:
    def result(state: State, message: str, do: str = "", broken: bool = False) -> Result:
        return Result(one.id, one.task, one.title, state, message, one.hint, do, broken=broken)

    try:
        said = one(seat, lab)
    except AssertionError as error:
        return result(State.FAIL, str(error) or f"Not true yet: {one.title}.")
    except LabError as error:
        return result(State.UNKNOWN, error.message, error.do)
    except Exception as error:
        where = f"{paths.short(one.file)}:{_line(one.file, error)}"
        return result(
            State.UNKNOWN,
            f"This check does not work here: {_reason(error)} ({where}).",
            "It is not your fault; please report this line.",
            broken=True,
        )
    return result(State.PASS, said if isinstance(said, str) and said else f"{one.title}.")


def _at(file: Path, line: int, what: str) -> UsageError:
    return UsageError(f"{paths.short(file)}:{line}: {what}.")


def _line(file: Path, error: BaseException) -> int:
    """The last line of this very file that had part in the error."""
    if isinstance(error, SyntaxError) and error.filename == str(file):
        return error.lineno or 1
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)
    ]
    return (lines[-1] if lines else 1) or 1


def _reason(error: BaseException) -> str:
    if isinstance(error, SyntaxError):
        return f"not valid Python: {error.msg}"
    said = " ".join(str(error).split())
    if len(said) > 200:
        said = said[:200] + "…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__
