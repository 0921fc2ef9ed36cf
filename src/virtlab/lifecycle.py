"""The verbs of a lab. Each can be repeated, and picks up what a crash left behind. Nobody prints here."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from virtlab import catalogue, checks, claims, messages, needs, paths, progress, state, summary, sweep
from virtlab.catalogue import Lab, Task
from virtlab.errors import LabError, PlaybookError, UsageError
from virtlab.language import say
from virtlab.outcomes import Finished, Grade, Hint, Solved, Started, Status
from virtlab.seat import Seat
from virtlab.state import State

__all__ = [
    "Finished", "Grade", "Hint", "Solved", "Started", "Status",
    "finish", "folders", "grade", "hint", "keep", "look", "open_lab", "reset", "solve", "start", "status",
]  # fmt: skip

OnEvent = Callable[[Any], None]


def open_lab(wanted: str) -> Lab:
    """The lab, with the ports it was started on."""
    lab = catalogue.find(wanted)
    begun = state.read(lab.slug)
    moved = {name: port for name, port in begun.ports.items() if name in lab.ports}
    return lab.with_ports(moved) if begun.is_begun and moved else lab


def _begun(lab: Lab) -> None:
    """Grading or solving makes sense only for a lab that was started."""
    phase = state.read(lab.slug).phase
    if phase == "started":
        return
    if phase in ("starting", "finishing"):
        verb = phase.removesuffix("ing")
        raise UsageError(
            say("Lab {lab} did not get to the end of its {verb}.", lab=lab.slug, verb=verb),
            do=say("`lab {verb} {lab}` picks up where it stopped.", verb=verb, lab=lab.number),
        )
    raise UsageError(
        say("Lab {lab} is not started.", lab=lab.slug), do=say("Run `lab start {lab}`.", lab=lab.number)
    )


def start(wanted: str, *, ports: Mapping[str, int] | None = None, on_event: OnEvent | None = None) -> Started:
    """Prepare a lab. A second start brings it up to date and changes nothing the learner did."""
    lab = catalogue.find(wanted)
    with state.locked(lab.slug, "start"):
        begun = state.read(lab.slug)
        already = begun.phase == "started"
        if begun.phase == "finishing":
            raise UsageError(
                say("Lab {lab} is half finished.", lab=lab.slug),
                do=say("Run `lab finish {lab}` to the end, then start it.", lab=lab.number),
            )
        known = (
            {name: port for name, port in begun.ports.items() if name in lab.ports} if begun.is_begun else {}
        )
        if already and any(known.get(name) != port for name, port in (ports or {}).items()):
            raise UsageError(
                say("Lab {lab} is started; its ports stay until it is finished.", lab=lab.slug),
                do=say("Run `lab finish {lab}`, then `lab start {lab} --port …`.", lab=lab.number),
            )
        lab = lab.with_ports({**known, **(ports or {})})
        claims.check(lab)
        seat = Seat()
        notes: list[str] = []
        if not already:
            needs.check(lab, seat)
            if not begun.is_begun:
                begun, notes = _first(lab, seat, begun)
            begun.phase, begun.ports = "starting", dict(lab.ports)
            claims.take(lab)
            state.write(lab.slug, begun)
        notes += folders(lab)
        result = _play(lab, "start", on_event=on_event)
        if not already:
            begun.phase, begun.since = "started", state.now()
            state.write(lab.slug, begun)
            progress.started(lab.slug)
        return Started(lab, already, result.changed, result.seconds, result.log, tuple(notes))


def _first(lab: Lab, seat: Seat, last: State) -> tuple[State, list[str]]:
    """Remember what is on the machine, so that finishing never takes what was there before."""
    found = sweep.things(seat, lab)
    old = {
        thing.key for thing in sweep.belongings(lab, found, None if last.before is None else set(last.before))
    }
    before = [thing for thing in found if thing.key not in old]
    theirs = [str(thing) for thing in before if thing.name.startswith(f"{lab.prefix}-")]
    notes = [
        say("{name} was here before the lab and is left alone, at the finish too.", name=name)
        for name in theirs
    ]
    return State(before=[thing.key for thing in before]), notes


def folders(lab: Lab) -> list[str]:
    """The lab's private folder, and the learner's with the guide in it, in the learner's language."""
    try:
        paths.private(lab.data)
        lab.work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise state.cannot_write(error) from None
    if not lab.notebook.exists():
        return []
    from virtlab import release

    if not release.is_missing(lab.work):
        return []
    done = release.release(lab.work.parent, [lab.slug])
    beside = [Path(one.path).name for one in done if one.state == "beside"]
    return [say("The guide in this language lies beside yours: {name}", name=name) for name in beside]


def _play(lab: Lab, verb: str, *, tags: tuple[str, ...] = (), on_event: OnEvent | None = None) -> Any:
    from virtlab import playbooks

    return playbooks.run(
        lab.folder / f"{verb}.yml",
        variables={"lab": lab.variables()},
        tags=tags,
        on_event=on_event,
        log=f"{verb}-{lab.slug}",
    )


def grade(wanted: str, *, seat: Seat | None = None) -> Grade:
    """Look at every outcome. Nothing is changed but the learner's progress."""
    return keep(look(open_lab(wanted), seat or Seat()))


def look(lab: Lab, seat: Seat) -> Grade:
    """Look at every outcome, and change nothing at all."""
    began = time.perf_counter()
    _begun(lab)
    seat.load(lab.needs)
    results = messages.told(checks.run(lab.checks, seat, lab), lab.folder)
    return Grade(lab, tuple(results), time.perf_counter() - began)


def keep(seen: Grade) -> Grade:
    """Note in the learner's progress what was seen."""
    try:
        progress.graded(seen.lab.slug, seen.results)
        if seen.passed == seen.total:
            return replace(seen, summary=summary.of(seen.lab))
    except LabError as error:  # the verdict is worth having even when it cannot be kept
        return replace(seen, notes=(*seen.notes, f"{error.message} {error.do}"))
    return seen


def hint(wanted: str, task: str | None = None) -> Hint:
    """The next hint of a task, or of the first one that is not solved."""
    lab = open_lab(wanted)
    if task is not None:
        chosen: Task | None = lab.task(task)
    else:
        _begun(lab)
        chosen = grade(lab.slug).first_unsolved()
    if chosen is None:
        return Hint(lab, None)
    if not chosen.hints:
        return Hint(lab, chosen)
    number = progress.hinted(lab.slug, chosen.id, len(chosen.hints))
    return Hint(lab, chosen, chosen.hints[number - 1], number, len(chosen.hints))


def solve(wanted: str, *, task: str | None = None, on_event: OnEvent | None = None) -> Solved:
    """Do it for the learner: all of it, or one task. What the learner had done alone stays so."""
    lab = open_lab(wanted)
    chosen = lab.task(task) if task is not None else None
    steps: list[str] = []

    def watch(event: Any) -> None:
        if event.kind == "task":
            steps.append(event.task)
        if on_event:
            on_event(event)

    with state.locked(lab.slug, "solve"):
        _begun(lab)
        record = progress.read(lab.slug)
        result = _play(lab, "solve", tags=(chosen.id,) if chosen else (), on_event=watch)
        due = (chosen,) if chosen else lab.tasks
        progress.helped(lab.slug, [one.id for one in due if not record.is_own(one.id)])
    return Solved(lab, chosen, result.changed, result.seconds, result.log, tuple(steps))


def finish(wanted: str, *, on_event: OnEvent | None = None) -> Finished:
    """Put the machine back: finish.yml, then whatever else belongs to the lab. The learner's files stay."""
    began = time.perf_counter()
    lab = open_lab(wanted)
    with state.locked(lab.slug, "finish"):
        begun = state.read(lab.slug)
        if not begun.is_begun:
            claims.check(lab)
        before = None if begun.before is None else set(begun.before)
        if begun.is_begun:
            begun.phase = "finishing"
            state.write(lab.slug, begun)
        seat = Seat()
        done: summary.Summary | None = None
        failure: PlaybookError | None = None
        try:
            _folders_for_finish(lab)
            if not _is_empty(lab.folder / "finish.yml"):
                _play(lab, "finish", on_event=on_event)
        except PlaybookError as error:  # what can be removed still is
            failure = error
        gone, left, notes = _sweep(lab, seat, before)
        if failure:
            raise failure
        shutil.rmtree(lab.data, ignore_errors=True)
        if begun.is_begun:
            begun.phase, begun.since, begun.ports = "finished", state.now(), {}
            state.write(lab.slug, begun)
            progress.finished(lab.slug)
            done = summary.of(lab)
        claims.drop(lab)
        return Finished(lab, tuple(gone), tuple(left), time.perf_counter() - began, tuple(notes), done)


def _is_empty(playbook: Path) -> bool:
    """Nothing to do: then Ansible's start, most of what finishing takes, can be spared."""
    import yaml

    try:
        plays = yaml.safe_load(playbook.read_text())
        return all(
            set(play) <= {"name", "hosts", "gather_facts", "tasks"} and not play.get("tasks")
            for play in plays
        )
    except (OSError, yaml.YAMLError, TypeError):
        return False  # Ansible says what is wrong with it


def _folders_for_finish(lab: Lab) -> None:
    try:
        paths.private(lab.data)
    except OSError as error:
        raise state.cannot_write(error) from None


def _sweep(lab: Lab, seat: Seat, before: set[str] | None) -> tuple[list[str], list[str], list[str]]:
    """Remove what belongs to the lab; name what appeared meanwhile, and what only looks like the lab's."""
    found = sweep.things(seat, lab)
    gone = sweep.belongings(lab, found, before)
    sweep.remove(seat, gone, found)
    names = sorted({str(thing) for thing in gone})
    kept = [thing for thing in found if thing not in gone]
    if before is None:
        mine = [str(thing) for thing in kept if thing.name.startswith(f"{lab.prefix}-")]
        return (
            names,
            [],
            [say("{name} is not this never started lab's, and is left alone.", name=name) for name in mine],
        )
    if all(thing.key in before for thing in kept):
        return names, [], []
    prefixes = [
        other.prefix for other in catalogue.every() if isinstance(other, Lab) and other.slug != lab.slug
    ]
    return names, sorted({str(thing) for thing in sweep.others(lab, kept, before, prefixes)}), []


def reset(wanted: str, *, on_event: OnEvent | None = None) -> tuple[Finished, Started]:
    """Finish, then start afresh on the same ports."""
    lab = open_lab(wanted)
    moved = dict(lab.ports) if state.read(lab.slug).is_begun else None
    done = finish(lab.slug, on_event=on_event)
    return done, start(lab.slug, ports=moved, on_event=on_event)


def status(wanted: str | None = None) -> list[Status]:
    """How far the learner is, in one lab or in all that were ever started."""
    if wanted is not None:
        return [_status(open_lab(wanted))]
    found = [_status(lab) for lab in catalogue.every() if isinstance(lab, Lab)]
    return [one for one in found if one.phase != "new" or one.record.starts]


def _status(lab: Lab) -> Status:
    begun = state.read(lab.slug)
    try:
        total = len(lab.checks)
    except LabError:
        total = 0  # its checks are broken, which `lab grade` will say
    return Status(lab, begun.phase, begun.since, total, progress.read(lab.slug))
