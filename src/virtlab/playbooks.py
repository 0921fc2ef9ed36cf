"""Run a playbook and tell what it did, task by task. The only importer of ansible_runner."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from virtlab import paths, patience, settings
from virtlab.errors import PlaybookError

AGAIN = "Run the same command again: it goes on from there."
KEPT_LOGS = 10
PATIENCE = 10.0  # seconds for Ansible to stop by itself after Ctrl-C


@dataclass(frozen=True)
class Event:
    """Something a playbook just did: `task` (began), `changed`, `retry` or `failed`."""

    kind: str
    role: str
    task: str
    item: str = ""


@dataclass(frozen=True)
class PlaybookResult:
    changed: int
    ok: int
    seconds: float
    log: Path
    changes: list[tuple[str, str, str]] = field(default_factory=list)  # role, task, item
    failed: dict[str, str] = field(default_factory=dict)  # host, why; only where some may fail


OnEvent = Callable[[Event], None]


def run(
    playbook: Path,
    *,
    variables: Mapping[str, Any] | None = None,
    tags: Sequence[str] = (),
    check: bool = False,
    on_event: OnEvent | None = None,
    log: str,
    inventory: Path | None = None,
    some_may_fail: bool = False,
) -> PlaybookResult:
    """Run it; the user's own variables give way to `variables`. A failure is a PlaybookError.

    `inventory`: more machines than this one. With `some_may_fail` hosts that fail are told in the result.
    """
    import ansible_runner

    began = time.monotonic()
    log_file = _new_log(log)
    with (
        _private_folder() as folder,
        log_file.open("a", encoding="utf-8") as stream,
        _interrupts() as interrupted,
    ):
        story = _Story(stream, on_event)
        extra = folder / "variables.json"  # a file: a command line is for everybody to read
        extra.touch(0o600)
        extra.write_text(json.dumps(settings.variables() | dict(variables or {})))
        ansible = [_program("ansible-playbook"), "-e", f"@{extra}", str(playbook)]
        ansible += [*(["--tags", ",".join(tags)] if tags else []), *(["--check"] if check else [])]
        for name in [name for name in os.environ if name.startswith("ANSIBLE_")]:
            del os.environ[name]  # somebody's own defaults for other projects
        runner = ansible_runner.run(
            private_data_dir=str(folder),
            project_dir=str(paths.ROOT),
            inventory=[str(file) for file in (paths.ROOT / "inventory/local.yml", inventory) if file],
            # When we are killed, Ansible must not go on behind the back of whoever tries again.
            binary="setpriv",
            cmdline=shlex.join(["--pdeathsig", "TERM", "--", *ansible]),
            envvars=_environment(folder),
            settings={"pexpect_timeout": 1, "suppress_output_file": True},
            fact_cache_type="memory",
            suppress_env_files=True,
            quiet=True,
            event_handler=story.handle,
            cancel_callback=interrupted.must_kill,
        )
    if interrupted.signal:
        raise PlaybookError(
            f"Interrupted in {story.where()}.", do=f"{AGAIN} The log: {log_file}", log=log_file
        )
    if runner.rc != 0 and not (some_may_fail and story.failed):
        raise story.error(playbook, log_file)
    return PlaybookResult(
        len(story.changes), story.ok, time.monotonic() - began, log_file, story.changes, story.failed
    )


class _Story:
    """What the events of a run add up to."""

    def __init__(self, log: TextIO, on_event: OnEvent | None) -> None:
        self.log = log
        self.on_event = on_event
        self.ok = 0
        self.changes: list[tuple[str, str, str]] = []
        self.role = self.task = ""
        self.failure: dict[str, Any] = {}
        self.failed: dict[str, str] = {}
        self.said: list[str] = []

    def handle(self, event: Mapping[str, Any]) -> bool:
        text, kind, data = event.get("stdout", ""), event["event"], event.get("event_data", {})
        if text:
            print(text, file=self.log, flush=True)
        if kind in ("error", "warning", "verbose", "deprecated"):
            self.said.append(text)
        elif kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
            self.role, self.task = data.get("role", ""), data.get("task", "")
            self._tell("task")
        elif kind in ("runner_on_ok", "runner_item_on_ok"):
            self._went_well(kind, data)
        elif kind == "runner_retry":
            self._tell("retry")
        elif kind == "runner_item_on_failed" or (
            kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors")
        ):
            if "results" not in data.get("res", {}) or not self.failure:  # an item tells more than its loop
                self.failure = dict(data)
            said = str(data.get("res", {}).get("msg") or "it did not say why").strip()
            self.failed.setdefault(str(data.get("host")), f"{data.get('task')}: {said}")
            self._tell("failed")
        return True  # anything else drops the event and the statistics with it

    def _went_well(self, kind: str, data: Mapping[str, Any]) -> None:
        result = data.get("res", {})
        if kind == "runner_on_ok":
            self.ok += 1
        if result.get("changed") and "results" not in result:  # a loop has told about its items already
            item = _item(result)
            self.changes.append((data.get("role", ""), data.get("task", ""), item))
            self._tell("changed", item)

    def _tell(self, kind: str, item: str = "") -> None:
        if self.on_event:
            self.on_event(Event(kind, self.role, self.task, item))

    def where(self) -> str:
        task = f"'{self.task}'" if self.task else "the start"
        return f"{self.role}: {task}" if self.role else task

    def error(self, playbook: Path, log: Path) -> PlaybookError:
        """The failed task's whole story; or what Ansible said when it did not get as far as a task."""
        if not self.failure:
            said = [line.strip() for text in self.said for line in text.splitlines() if line.strip()]
            wrong = [line for line in said if "error" in line.lower()] or said[-3:] or ["it did not say why"]
            return PlaybookError(
                f"{paths.short(playbook)} did not run: {' '.join(wrong)}", do=f"The whole log: {log}", log=log
            )
        result = self.failure.get("res", {})
        role, task, host = (str(self.failure.get(key) or "") for key in ("role", "task", "host"))
        message = str(result.get("msg") or "it did not say why").strip()
        tail = [
            f"  {line}"
            for name in ("module_stderr", "stderr", "stdout", "module_stdout")
            for line in str(result.get(name) or "").strip().splitlines()[-8:]
            if line.strip() not in message
        ]
        item, where = _item(result), f"{role}: '{task}'" if role else f"'{task}'"
        where += (f" ({item})" if item else "") + (f" on {host}" if host else "")
        if result.get("rc") is not None and "cmd" in result:
            message += f" ({result['rc']}): {result['cmd']}"
        return PlaybookError(
            "\n".join([f"{where} failed: {message}", *tail]),
            do=f"Put that right. {AGAIN} The whole log: {log}",
            task=f"{role}: {task}" if role else task,
            host=host,
            log=log,
        )


def _item(result: Mapping[str, Any]) -> str:
    item = result.get("_ansible_item_label", result.get("item"))
    return "" if item is None else str(item)


class _Interrupts:
    """Ctrl-C or a TERM: Ansible, in a session of its own, does not see them, so they are passed on."""

    def __init__(self) -> None:
        self.signal = 0
        self.since = 0.0

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        self.since = time.monotonic() - (PATIENCE if self.signal else 0)  # the second time is the last
        self.signal = number
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int(stat.read_text().rpartition(") ")[2].split()[1]) == os.getpid():
                    os.kill(int(stat.parent.name), signal.SIGINT)

    def must_kill(self) -> bool:
        return bool(self.signal) and time.monotonic() - self.since >= PATIENCE


@contextlib.contextmanager
def _interrupts() -> Iterator[_Interrupts]:
    interrupts = _Interrupts()
    if threading.current_thread() is not threading.main_thread():  # only there may handlers be set
        yield interrupts
        return
    before = {number: signal.signal(number, interrupts) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder in memory where there is one, gone afterwards: results of tasks may hold secrets."""
    places = ("/run" if os.geteuid() == 0 else os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir())
    place = next(place for place in places if place and os.access(place, os.W_OK))
    for old in Path(place).glob("virtlab-[0-9]*-*"):  # of runs that were killed
        if not Path("/proc", old.name.split("-")[1]).exists():
            shutil.rmtree(old, ignore_errors=True)
    prefix = f"virtlab-{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=place, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _program(name: str) -> str:
    return str(Path(sys.prefix) / "bin" / name)


def _environment(folder: Path) -> dict[str, str]:
    return {
        "ANSIBLE_CONFIG": str(paths.ROOT / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
        "ANSIBLE_ASYNC_DIR": str(folder / "async"),
        "ANSIBLE_NOCOLOR": "1",
        # An emulated machine's engine needs more than a minute to answer the roles' modules.
        "DOCKER_TIMEOUT": os.environ.get("DOCKER_TIMEOUT") or f"{patience.seconds(60):.0f}",
        "LC_ALL": "C.UTF-8",  # Ansible insists on UTF-8; and messages that can be searched for
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ.get('PATH', os.defpath)}",
    }


def _new_log(name: str) -> Path:
    folder = paths.private(Path("/var/log/virtlab") if name in ("up", "down") else paths.logs())
    for old in sorted(folder.glob(f"{name}-2*.log"))[: -KEPT_LOGS + 1]:
        old.unlink(missing_ok=True)
    file = folder / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    file.touch(0o600)
    return file
