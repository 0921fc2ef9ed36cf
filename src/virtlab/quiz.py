"""A lab's questions and predictions: quiz.yml, read and checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from virtlab.errors import UsageError
from virtlab.text import Text, nearest
from virtlab.yamlfile import Document


@dataclass(frozen=True)
class Choice:
    text: Text
    right: bool
    feedback: Text


@dataclass(frozen=True)
class Question:
    id: str
    question: Text
    choices: tuple[Choice, ...]


@dataclass(frozen=True)
class Quiz:
    questions: tuple[Question, ...] = ()
    predictions: tuple[Question, ...] = ()

    def find(self, wanted: str) -> Question:
        every = {one.id: one for one in (*self.questions, *self.predictions)}
        if wanted not in every:
            raise UsageError(
                f"There is no question '{wanted}'{nearest(wanted, every)}.",
                do=f"There are: {', '.join(every)}.",
            )
        return every[wanted]


def read(file: Path) -> Quiz:
    if not file.exists():
        return Quiz()
    document = Document(file)
    values = document.validate("quiz.schema.json")
    seen: set[str] = set()
    for part in ("quiz", "predict"):
        for index, one in enumerate(values.get(part) or ()):
            if one["id"] in seen:
                raise document.at((part, index, "id"), f"question '{one['id']}' is there twice")
            if not any(choice["right"] for choice in one["choices"]):
                raise document.at((part, index, "choices"), f"question '{one['id']}' has no right answer")
            seen.add(one["id"])
    return Quiz(_questions(values["quiz"]), _questions(values.get("predict") or ()))


def _questions(values: Sequence[Mapping[str, Any]]) -> tuple[Question, ...]:
    return tuple(
        Question(
            one["id"],
            Text(one["question"]),
            tuple(
                Choice(Text(item["text"]), item["right"], Text(item["feedback"])) for item in one["choices"]
            ),
        )
        for one in values
    )
