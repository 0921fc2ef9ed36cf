"""The ports of what stands here: free, ours, or taken by whom, and the variable that moves ours."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from virtlab import paths, settings
from virtlab.doctor.finding import Finding, State
from virtlab.errors import LabError
from virtlab.ports import LOOPBACK, Listeners, Owner, docker0
from virtlab.seat import Seat

GROUP = "ports"


@dataclass(frozen=True)
class Wanted:
    """A port that a role listens on, and the variable that moves it."""

    role: str
    variable: str
    port: int
    address: str = LOOPBACK
    name: str = ""  # what stands before the port in the variable

    @property
    def moved(self) -> str:
        return f"{self.variable}={self.name}{self.port + 1}"


def probe(chosen: Mapping[str, Any] | None = None) -> Iterator[Finding]:
    """As the roles' variables are, or are going to be."""
    listeners = Listeners(Seat())
    for one in wanted(variables() | dict(chosen or {})):
        yield standing(one, listeners.owner(one.port, one.address))


def standing(one: Wanted, owner: Owner | None) -> Finding:
    name, where, built = f"port.{one.port}", f"{one.address}:{one.port}", one.role in settings.host()
    if owner is None:
        return Finding(name, GROUP, State.OK, f"{where} is free (for {one.role}).")
    if owner.ours == one.role or (one.role == "jupyterlab" and built and "jupyter" in owner.command):
        return Finding(name, GROUP, State.OK, f"{where} is {one.role}'s own ({owner.name}).")
    if owner.is_hidden and len(settings.host()):
        return Finding(
            name, GROUP, State.INFO, f"{where} is in use, as {one.role} would; only root sees by whom."
        )
    return Finding(
        name,
        GROUP,
        State.FAIL,
        f"{where}, wanted for {one.role}, is taken by {owner.name}.",
        f"Stop that, or move ours: `./lab up --set {one.moved}`.",
    )


def wanted(values: Mapping[str, Any]) -> list[Wanted]:
    """Every `<role>_…port` among the roles' variables, and the registry's."""
    roles = [file.parents[1].name for file in _defaults()]
    found = []
    for name, value in values.items():
        role = next((one for one in roles if name.startswith(f"{one}_")), "")
        if role and role != "registry" and name.endswith("_port") and str(value).isdigit():
            found.append(Wanted(role, name, int(value)))
    registry, _, port = str(values.get("virtlab_registry", "")).rpartition(":")
    if port.isdigit():
        address = settings.host().get("registry", {}).get("address") or docker0() or LOOPBACK
        found.append(Wanted("registry", "virtlab_registry", int(port), address, f"{registry}:"))
    return sorted(found, key=lambda one: one.port)


def variables() -> dict[str, Any]:
    """The defaults, the group's and the user's, the later ones going before."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    values: dict[str, Any] = {}
    for file in (*_defaults(), paths.ROOT / "inventory/group_vars/all.yml"):
        values |= yaml.load(file.read_text(), loader) or {}  # noqa: S506  (a safe loader, in C where there is one)
    with contextlib.suppress(LabError):  # whoever needs the user's variables says what is wrong with them
        values |= settings.variables()
    return values


def _defaults() -> list[Any]:
    return sorted(paths.ROOT.glob("roles/*/defaults/main.yml"))
