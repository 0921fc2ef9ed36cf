"""What is said at the end of a lab and after `lab solve`, the same in the terminal and in a guide."""

from __future__ import annotations

from typing import TYPE_CHECKING

from virtlab.language import say

if TYPE_CHECKING:
    from virtlab.outcomes import Solved
    from virtlab.summary import Summary


def summary(one: Summary) -> tuple[str, list[str]]:
    """A title, and lines under it."""
    lines = [say("**What you built**"), *(f"• {title}" for title in one.built)]
    if one.learned:
        lines += [say("**What you know now**"), *(f"• {sentence}" for sentence in one.learned)]
    lines.append(say("It took {time} from the start. {help}", time=duration(one.seconds), help=_help(one)))
    if one.answered:
        lines.append(say("Questions: {right} of {asked} right.", right=one.right, asked=one.answered))
    if one.following:
        after = one.following
        lines.append(
            say("**Next lab:** {title}, `lab start {number}`", title=after.title, number=after.number)
        )
    return say("{lab}: everything works. Well done.", lab=one.lab.title), lines


def _help(one: Summary) -> str:
    if not one.hints and not one.helped:
        return say("No hint, no help: all of it is your own work.")
    hints = say("Hints: {count}.", count=one.hints)
    if not one.helped:
        return hints
    names = ", ".join(task.id for task in one.helped)
    return f"{hints} {say('Done with help: {names}.', names=names)}"


def duration(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    if hours:
        return say("{hours} h {minutes} min", hours=hours, minutes=minutes)
    return say("{minutes} min", minutes=minutes) if minutes else say("less than a minute")


def solved(done: Solved) -> list[str]:
    """What was done, step by step, and why."""
    lines = [f"• {step}" for step in done.steps]
    many = len(done.explained) > 1
    return lines + [f"{f'**{one.title}:** ' if many else ''}{one.explain}" for one in done.explained]
