"""The roles of `playbooks/up.yml`, and the variables they declare."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from virtlab import paths
from virtlab.errors import UsageError

UP = paths.PLAYBOOKS / "up.yml"
DOWN = paths.PLAYBOOKS / "down.yml"


def sequence(playbook: Path) -> list[str]:
    """In the order they are applied; one that works in the background comes a second time."""
    import yaml

    return [role["role"] for play in yaml.safe_load(playbook.read_text()) for role in play.get("roles", [])]


def names() -> list[str]:
    return list(dict.fromkeys(sequence(UP)))


def chosen(only: Sequence[str]) -> list[str]:
    known = names()
    for name in only:
        if name not in known:
            raise UsageError(
                f"There is no role '{name}'.{_nearest(name, known)}", do=f"The roles are {', '.join(known)}."
            )
    return [name for name in known if not only or name in only]


def variables() -> set[str]:
    """What `lab up --set` may set: what a role declares, and what several roles agree on."""
    import yaml

    known = set(yaml.safe_load((paths.ROOT / "inventory/group_vars/all.yml").read_text()))
    for file in (paths.ROOT / "roles").glob("*/meta/argument_specs.yml"):
        for entry in yaml.safe_load(file.read_text())["argument_specs"].values():
            known |= set(entry.get("options") or {})
    return known


def parse(settings: Sequence[str]) -> Mapping[str, Any]:
    """`x=y` pairs, the value read as YAML: a number is a number, `[a, b]` a list."""
    import yaml

    values: dict[str, Any] = {}
    known = variables() if settings else set()
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise UsageError(
                f"'{setting}' is not of the form name=value.", do="For example: --set wordpress_port=8081"
            )
        if name not in known:
            raise UsageError(
                f"No role has a variable '{name}'.{_nearest(name, known)}",
                do="Each role's README.md lists its variables: roles/*/README.md",
            )
        try:
            values[name] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise UsageError(f"The value of {name}, '{text}', is not YAML.", do="Put it in quotes.") from None
    return values


def _nearest(name: str, known: Sequence[str] | set[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1)
    return f" Did you mean '{near[0]}'?" if near else ""
