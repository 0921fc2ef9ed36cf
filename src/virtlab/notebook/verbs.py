"""What `%lab VERB` does: ask the engine, return a panel."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from virtlab import catalogue, lifecycle
from virtlab.catalogue import Lab
from virtlab.errors import UsageError
from virtlab.language import say
from virtlab.notebook import ask, ending, view
from virtlab.notebook.panel import Panel, paragraphs
from virtlab.playbooks import OnEvent

NAME_IT = "Name it once: `%lab start 05`. `lab list` in a terminal shows all."


@dataclass
class Session:
    """Which lab this notebook is about."""

    guide: str
    current: str = ""

    def lab(self, named: str = "") -> Lab:
        """The lab that was named, or is at hand."""
        wanted = named or self.current or self.guide.partition(".")[0]
        try:
            lab = lifecycle.open_lab(wanted)
        except UsageError:
            if named or self.current or wanted in catalogue.slugs():
                raise
            raise UsageError(
                say("Which lab? This notebook is not the guide of one."), do=say(NAME_IT)
            ) from None
        self.current = lab.slug
        os.environ.update(lab.environment())        # for the guide's own commands: $LAB_PORT and so on
        return lab


def _one(words: Sequence[str], usage: str) -> str:
    """The only word there may be."""
    if len(words) > 1:
        raise UsageError(say("I do not understand all of '{words}'.", words=" ".join(words)),
                         do=say("Like this: `%lab {usage}`.", usage=usage))
    return words[0] if words else ""


def start(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """Prepare the lab, and work in its folder from here on."""
    lab = session.lab(_one(words, "start 05"))
    done = lifecycle.start(lab.slug, on_event=on_event)
    os.chdir(done.lab.work)
    return view.started(done)


def grade(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """Look at every outcome."""
    done = lifecycle.grade(session.lab(_one(words, "grade")).slug)
    return ending.with_summary(view.grade(done), done.summary)


def hint(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """The next hint, of the first task that is not solved or of the one named."""
    return view.hint(lifecycle.hint(session.lab().slug, _one(words, "hint TASK") or None))


def solve(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """Have it done, and say what was done."""
    task = _one([word for word in words if word != "--task"], "solve TASK") or None
    done = lifecycle.solve(session.lab().slug, task=task, on_event=on_event)
    return ending.explained(view.solved(done), done)


def finish(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """Put the machine back as it was."""
    done = lifecycle.finish(session.lab(_one(words, "finish")).slug, on_event=on_event)
    return ending.with_summary(view.finished(done), done.summary)


def show(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """What the lab asks for."""
    return view.lab(session.lab(_one(words, "show 05")))


def status(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """The labs there are, and how far the learner is in each."""
    known = {one.lab.slug: one for one in lifecycle.status()}
    return view.labs(catalogue.every(), known, Path.cwd())


def topology(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """What is really there of the lab; `all` is everything on this machine."""
    from virtlab import topology as real
    from virtlab.notebook import picture

    named = _one(words, "topology 05")
    return picture.panel(real.of(None if named == "all" else session.lab(named)))


def values(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """What was drawn for this learner."""
    return view.values(session.lab(_one(words, "values")))


def quiz(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """A question, or all of them."""
    answer = _one(words[1:], "quiz ID b")
    return ask.quiz(session.lab(), words[0] if words else "", answer)


def predict(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """Commit to an answer before an experiment; afterwards, see it and what was so."""
    if not words:
        raise UsageError(
            say("Predict what?"), do=say("`%lab predict ID` asks, `%lab predict ID b` is your answer.")
        )
    answer = _one(words[1:], "predict ID b")
    return ask.predict(session.lab(), words[0], answer)


def help(session: Session, words: Sequence[str], on_event: OnEvent) -> Panel:
    """What there is."""
    return paragraphs("plain", say("What `%lab` can do"), map(say, USAGE))


USAGE = (
    "`%lab start`: prepare the lab (`%lab start 05` names another than this guide's)",
    "`%lab grade`: look at what works so far",
    "`%lab hint`: one more step towards the solution",
    "`%lab solve`: have it done, all of it or one task (`%lab solve TASK`)",
    "`%lab finish`: put the machine back as it was",
    "`%lab values`: what is yours alone in this lab, a word or a title",
    "`%lab show`: what the lab asks for; `%lab list`: the labs, and how far you are in each",
    "`%lab topology`: what is really there, drawn; `%lab topology all`: everything on this machine",
    "`%lab predict ID`: a prediction before an experiment; `%lab quiz ID`: a question afterwards",
)
VERBS: dict[str, Callable[[Session, Sequence[str], OnEvent], Panel]] = {
    verb.__name__: verb
    for verb in (start, grade, hint, solve, finish, show, status, topology, values, quiz, predict, help)
}
VERBS["list"] = status
