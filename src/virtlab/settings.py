"""What the roles wrote down about this host (`host.d/*.json`), and the user's own variables."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from virtlab import paths
from virtlab.errors import MachineError, UsageError


class Record(dict[str, Any]):
    """What one role wrote down; `record.name` is `record["name"]`."""

    def __init__(self, role: str, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self._role = role

    def __missing__(self, key: str) -> Any:
        raise MachineError(
            f"The {self._role} of this machine says nothing about '{key}'.",
            do=f"Run `./lab up --only {self._role}`.",
        )

    def __getattr__(self, key: str) -> Any:
        if key.startswith("_"):
            raise AttributeError(key)
        return self[key]


class Host(Mapping[str, Record]):
    """All of host.d by role: `host.registry.name`, `host["registry"]["name"]`. Read on first use."""

    def __init__(self) -> None:
        self._records: dict[str, Record] | None = None

    def _read(self) -> dict[str, Record]:
        if self._records is None:
            self._records = {file.stem: _record(file) for file in sorted(paths.HOST_D.glob("*.json"))}
        return self._records

    def __getitem__(self, role: str) -> Record:
        try:
            return self._read()[role]
        except KeyError:
            raise MachineError(f"This machine has no {role} yet.", do="Run `./lab up`.") from None

    def __getattr__(self, role: str) -> Record:
        if role.startswith("_"):
            raise AttributeError(role)
        return self[role]

    def __contains__(self, role: object) -> bool:
        return role in self._read()

    def get(self, role: str, default: Any = None) -> Any:
        return self._read().get(role, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def as_dict(self) -> dict[str, dict[str, Any]]:
        return {role: dict(record) for role, record in self._read().items()}


def _record(file: Any) -> Record:
    try:
        values = json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise MachineError(
            f"I cannot read {file}: {error}.", do=f"Run `./lab up --only {file.stem}`."
        ) from None
    if not isinstance(values, dict):
        raise MachineError(f"{file} is not a JSON object.", do=f"Run `./lab up --only {file.stem}`.")
    return Record(file.stem, values)


def host() -> Host:
    return Host()


def variables() -> dict[str, Any]:
    """The user's variables, as kept by `lab up --set`."""
    import yaml

    file = paths.variables()
    if not file.exists():
        return {}
    try:
        values = yaml.safe_load(file.read_text()) or {}
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(
            f"I cannot read {file}: {' '.join(str(error).split())}.", do="Correct it or remove it."
        ) from None
    if not isinstance(values, dict):
        raise UsageError(
            f"{file} is not a table of variables.", do="Write `name: value` lines, or remove it."
        )
    return values


def keep(values: Mapping[str, Any]) -> None:
    """Remember variables for the next time."""
    import yaml

    paths.write(paths.variables(), yaml.safe_dump(variables() | dict(values), allow_unicode=True))
