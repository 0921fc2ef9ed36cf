"""What `lab classroom up` wrote down about the class of this hub: what the other verbs find it by."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from virtlab import paths, root, settings
from virtlab.errors import MachineError

if TYPE_CHECKING:
    from virtlab.classroom.class_data import ClassData
    from virtlab.hub.hosts import Host
    from virtlab.hub.plan import Plan

FOLDER = paths.STATE / "classroom"
FILE = FOLDER / "record.json"


@dataclass(frozen=True)
class Record:
    """Written before anything is made, so that an `up` that was killed can be undone."""

    inventory: str  # the class's folder
    plan: Mapping[str, Any]  # virtlab.hub.plan.Plan's values
    sites: Sequence[Mapping[str, Any]]  # virtlab.hub.plan.Site's, one a KVM host
    bare: Sequence[str] = ()  # hosts that Ansible does not touch: libvirt there is somebody else's
    is_down: bool = False  # after `lab classroom down --keep-disks`: only students' disks are there

    def save(self) -> None:
        paths.write(FILE, json.dumps(asdict(self), indent=1) + "\n")
        caller = root.caller()  # the hub runs as them, and the other verbs need no root
        for place in (FOLDER, FILE):
            os.chown(place, caller.pw_uid, caller.pw_gid)

    def made(self) -> Plan:
        from virtlab.hub.plan import Plan

        return Plan.of(self.plan)

    def hosts(self) -> dict[str, Host]:
        from virtlab.hub.hosts import Host
        from virtlab.hub.plan import Site

        plan = self.made()
        return {str(site["name"]): Host(plan, Site(**site)) for site in self.sites}


def find() -> Record | None:
    try:
        return Record(**json.loads(FILE.read_text()))
    except FileNotFoundError:
        return None
    except PermissionError:
        raise MachineError(
            f"The class of this hub is {FOLDER.owner()}'s.", do="Run it as that user, or with sudo."
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise MachineError(
            f"I cannot read what this hub's class consists of, in {FILE}: {error}.",
            do="`lab classroom up -i DIR` writes it again.",
        ) from None


def load() -> Record:
    if (found := find()) is None:
        raise MachineError(
            "There is no class on this machine.",
            do="Run it on the hub's machine; `lab classroom up -i DIR` makes a class.",
        )
    return found


def data() -> ClassData:
    """The class as its hub reads it; the hub's role has written down where."""
    from virtlab.classroom import class_data

    if (hub := settings.host().get("hub")) is None:
        raise MachineError(
            "There is no hub on this machine, so nobody has a password yet.",
            do="Run it where the hub is, after `lab classroom up`; or name the class's data: --class FILE.",
        )
    return class_data.read(hub["class"])


def forget() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
