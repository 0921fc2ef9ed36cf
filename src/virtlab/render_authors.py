"""What authors are told, as text: a proof, complaints, a new lab."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from virtlab.render import Style, table

if TYPE_CHECKING:
    from virtlab.lint import Finding
    from virtlab.prove import Proof
    from virtlab.scaffold import Made


def proof(done: Proof, style: Style) -> str:
    rows = [
        (row.id, *("ok" if not said else "NO" for said in (row.fresh, row.solved, row.broken, row.repaired)))
        for row in done.rows
    ]
    lines = [
        table(rows, style, ("check", "fresh: fails", "solved: passes", "broken: fails", "repaired: passes"))
    ]
    for row in done.rows:
        stages = (
            ("fresh", row.fresh),
            ("solved", row.solved),
            ("broken", row.broken),
            ("repaired", row.repaired),
        )
        lines += [f"{row.id}, {stage}: {said}" for stage, said in stages if said]
    lines += done.problems
    lines += done.left or ([] if done.problems else ["Finish is clean, twice: the machine is as it was."])
    verdict = style.paint("proven", "good") if not done.exit else style.paint("NOT PROVEN", "bad")
    return "\n".join([*lines, f"{done.lab.slug}: {verdict} ({done.seconds:.0f} s)."])


def findings(found: Sequence[Finding], looked: int, style: Style) -> str:
    lines = [f"{one.where}: {one.message} ({one.rule})" for one in found]
    problems = "nothing to complain about" if not found else f"{len(found)} things to mend"
    return "\n".join(
        [*lines, style.paint(f"{looked} labs looked at: {problems}.", "bad" if found else "good")]
    )


def made(done: Made, style: Style) -> str:
    from virtlab import paths

    files = [f"  {paths.short(file)}" for file in done.files]
    todo = [f"  {number}. {said}" for number, said in enumerate(done.todo, 1)]
    return "\n".join(
        [f"{style.paint(done.lab.slug, 'strong')} is there, and works:", *files, "What is left:", *todo]
    )
