"""Think first, then look: predictions and questions, to choose in and commit to where widgets work.

Elsewhere (IPython in a terminal, an exported page, a guide under test) the same questions are text, or HTML
that opens on a click. What was answered is kept in the learner's progress.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from virtlab import progress
from virtlab.errors import LabError, UsageError
from virtlab.language import say
from virtlab.notebook import view
from virtlab.notebook.panel import Panel, paragraphs, rich, stacked
from virtlab.notebook.progress import is_strict

if TYPE_CHECKING:
    from virtlab.catalogue import Lab
    from virtlab.progress import Answer
    from virtlab.quiz import Choice, Question

LETTERS = "abcdefgh"


@dataclass(frozen=True)
class Live(Panel):
    """A panel that has a widget to show where widgets work."""

    widget: Any = None

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {**self.widget._repr_mimebundle_(), "text/plain": self.text, "text/html": self._repr_html_()}


def quiz(lab: Lab, wanted: str, answer: str) -> Panel:
    """One question, or all of them; with an answer: what there is to say to it."""
    if not wanted:
        if not lab.quiz.questions:
            raise UsageError(say("This lab has no questions."))
        return _asked(lab, lab.quiz.questions, "quiz")
    one = lab.quiz.find(wanted)
    if answer:
        return outcome(one, commit(lab, one, "quiz", _chosen(one, answer)))
    return _asked(lab, [one], "quiz")


def predict(lab: Lab, wanted: str, answer: str) -> Panel:
    """Before an experiment: commit to an answer. Once that is done: the answer, and how it really is."""
    one = lab.quiz.find(wanted)
    before = progress.read(lab.slug).answer(one.id)
    if before and _choice(one, before):
        return outcome(one, before)
    if not answer:
        return _asked(lab, [one], "predict")
    chosen = _chosen(one, answer)
    panel = view.prediction(one, LETTERS[one.choices.index(chosen)])
    commit(lab, one, "predict", chosen)
    return panel


def commit(lab: Lab, one: Question, kind: str, choice: Choice) -> Answer:
    return progress.answered(lab.slug, one.id, kind, choice.text["en"], choice.right)


def _chosen(one: Question, letter: str) -> Choice:
    known = dict(zip(LETTERS, one.choices, strict=False))
    if letter.strip("()").lower() not in known:
        raise UsageError(
            say("There is no answer '{answer}'.", answer=letter),
            do=say("Choose one of {letters}.", letters=", ".join(f"{each})" for each in known)),
        )
    return known[letter.strip("()").lower()]


def _choice(one: Question, given: Answer) -> Choice | None:
    """Which one it was, if the author has not taken it away since."""
    return next((choice for choice in one.choices if choice.text["en"] == given.choice), None)


def outcome(one: Question, given: Answer) -> Panel:
    """What was answered, and what there is to say to every choice."""
    said = say("Before the experiment you said:") if given.kind == "predict" else say("You said:")
    chosen = _choice(one, given)
    lines = [f"{said} **{chosen.text if chosen else given.choice}**"]
    for letter, choice in zip(LETTERS, one.choices, strict=False):
        mark = say("✔ right") if choice.right else say("✘ wrong")
        yours = f" ← {say('your answer')}" if choice.text["en"] == given.choice else ""
        lines.append(f"{mark}{yours}: {letter}) {choice.text}\n{choice.feedback}")
    return paragraphs("good" if given.is_right else "bad", str(one.question), lines)


def _asked(lab: Lab, questions: Sequence[Question], kind: str) -> Panel:
    """As HTML and text; and as widgets where somebody is there to use them."""
    still = view.questions(questions) if kind == "quiz" else view.prediction(questions[0], "")
    if is_strict():
        return still
    if not _has_front_end():
        how = [f"`%lab {kind} {one.id} a`" for one in questions]
        return stacked([still, paragraphs("plain", say("Answer like this: {how}", how=", ".join(how)))])
    import ipywidgets

    cards = [_card(lab, one, kind) for one in questions]
    return Live(still.tone, still.body, still.text, ipywidgets.VBox(cards))


def _has_front_end() -> bool:
    """A kernel has one, most likely; who only executes and exports a notebook is given the HTML as well."""
    from importlib.util import find_spec

    from IPython.core.getipython import get_ipython

    return hasattr(get_ipython(), "kernel") and find_spec("ipywidgets") is not None


def _card(lab: Lab, one: Question, kind: str) -> Any:
    """The question, its choices, a button, and a place for what comes of it: all usable from the keyboard."""
    import ipywidgets

    lines = [f"{letter}) {choice.text}" for letter, choice in zip(LETTERS, one.choices, strict=False)]
    plain = [line.replace("`", "").replace("**", "") for line in lines]
    wide, hidden = {"width": "auto"}, {"width": "auto", "display": "none"}
    options = list(zip(plain, one.choices, strict=True))
    choices = ipywidgets.RadioButtons(options=options, index=None, layout=wide)
    word = say("I commit to this") if kind == "predict" else say("This is my answer")
    button = ipywidgets.Button(description=word, disabled=True, layout=wide)
    reveal = ipywidgets.Button(description=say("I have run it: was it so?"), layout=hidden)
    said = ipywidgets.HTML()

    def tell(panel: Panel) -> None:
        said.value = f'<div role="status" aria-live="polite">{panel._repr_html_()}</div>'

    def choose(_: Any) -> None:
        button.disabled = choices.index is None

    def answer(_: Any) -> None:
        try:
            given = commit(lab, one, kind, choices.value)
        except LabError as error:
            tell(view.error(error))
            return
        if kind == "quiz":
            tell(outcome(one, given))
            return
        choices.disabled = button.disabled = True
        reveal.layout.display = ""
        reveal.on_click(lambda _: tell(outcome(one, given)))
        reveal.focus()
        mine = _choice(one, given) or choices.value
        tell(paragraphs("plain", say("You say {choice}", choice=mine.text), [say("Now run the experiment.")]))

    choices.observe(choose, "index")
    button.on_click(answer)
    asked = Panel("plain", f"<p><b>{rich(str(one.question))}</b></p>", str(one.question))
    return ipywidgets.VBox(
        [ipywidgets.HTML(asked._repr_html_()), choices, ipywidgets.HBox([button, reveal]), said],
        layout=ipywidgets.Layout(max_width="56em"),
    )
