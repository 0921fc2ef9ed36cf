"""A YAML file checked against its schema: every error is one line that starts with file and line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from virtlab import paths
from virtlab.errors import UsageError

Where = tuple[str | int, ...]
KINDS = {
    "object": "a table (name: value)",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}


class Document:
    """A file's values, and the line of each."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: dict[Where, int] = {}
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(_text(file))
        try:
            node = loader.get_single_node()
            self.values = None if node is None else self._build(loader, node, ())
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise self.error(
                mark.line + 1 if mark else 1, f"not valid YAML: {error.problem or error.context}"
            ) from None
        except yaml.YAMLError as error:
            raise self.error(1, f"not valid YAML: {' '.join(str(error).split())}") from None
        finally:
            loader.dispose()

    def _build(self, loader: Any, node: yaml.Node, where: Where) -> Any:
        self.lines[where] = node.start_mark.line + 1
        if isinstance(node, yaml.MappingNode):
            table: dict[Any, Any] = {}
            for key_node, value_node in node.value:
                key = loader.construct_object(key_node)
                line = key_node.start_mark.line + 1
                if not isinstance(key, str):
                    raise self.error(line, f"{key!r} is not a name; names are texts")
                if key in table:
                    raise self.error(line, f"'{key}' is given twice")
                table[key] = self._build(loader, value_node, (*where, key))
                self.lines[(*where, key)] = line
            return table
        if isinstance(node, yaml.SequenceNode):
            return [self._build(loader, item, (*where, index)) for index, item in enumerate(node.value)]
        return loader.construct_object(node)

    def error(self, line: int, what: str) -> UsageError:
        return UsageError(f"{paths.short(self.file)}:{line}: {what}.")

    def at(self, where: Where, what: str) -> UsageError:
        while where not in self.lines and where:
            where = where[:-1]
        return self.error(self.lines.get(where, 1), what)

    def validate(self, schema: str) -> Any:
        """The values, when they are as the schema of the package wants them."""
        import fastjsonschema

        try:
            _validator(schema)(self.values)
        except fastjsonschema.JsonSchemaValueException as error:
            raise self._explain(error) from None
        return self.values

    def _explain(self, error: Any) -> UsageError:
        where: Where = tuple(int(part) if part.isdigit() else part for part in error.path[1:])
        name = _spell(where) or "the file"
        value, rule, wanted = error.value, error.rule, error.rule_definition
        if rule in ("additionalProperties", "required"):  # a misspelt one is both
            known = list(error.definition["properties"])
            if key := next((key for key in value if key not in known), None):
                return self.at((*where, key), f"unknown key '{_spell((*where, key))}'{_nearest(key, known)}")
        if rule == "required":
            missing = next(key for key in wanted if key not in value)
            return self.at(where, f"'{_spell((*where, missing))}' is missing")
        return self.at(where, f"'{name}' {_complaint(error, rule, value, wanted)}")


def _complaint(error: Any, rule: str, value: Any, wanted: Any) -> str:
    match rule:
        case "type":
            said = f"must be {KINDS.get(wanted, wanted)}, but is {_said(value)}"
        case "enum":
            said = f"must be one of {', '.join(wanted)}, but is {_said(value)}"
        case "minimum" | "maximum":
            said = f"must be at {'least' if rule == 'minimum' else 'most'} {wanted}, but is {value}"
        case "pattern":
            said = f"cannot be {_said(value)}: it must match {wanted}"
        case "minItems" | "minLength":
            said = f"needs {wanted} or more, but has {len(value)}"
        case "uniqueItems":
            said = "names something twice"
        case _:
            said = str(error.message).removeprefix("data").strip()
    return said


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{paths.short(file)}:1: the file is missing.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{paths.short(file)}:1: I cannot read it: {error}.") from None


_validators: dict[str, Any] = {}


def _validator(schema: str) -> Any:
    if schema not in _validators:
        import fastjsonschema

        definition = json.loads(Path(__file__).with_name(schema).read_text())
        _validators[schema] = fastjsonschema.compile(definition)
    return _validators[schema]


def _spell(where: Where) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in where).removeprefix(".")


def _said(value: Any) -> str:
    said = json.dumps(value, ensure_ascii=False, default=str)
    return said if len(said) <= 40 else f"{said[:40]}…"


def _nearest(key: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(key, known, 1)
    return f" (did you mean '{near[0]}'?)" if near else f"; known are {', '.join(known)}"
