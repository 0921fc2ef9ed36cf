"""A KVM guest for each user of a JupyterHub: `c.JupyterHub.spawner_class = "virtlab"`.

Only traits and JupyterHub's own ways are here; what is done, `virtlab.hub.seats` does, and can be called
without a hub.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from html import escape
from pathlib import Path
from typing import Any, ClassVar

from jupyterhub.spawner import Spawner
from jupyterhub.utils import url_path_join
from traitlets import Callable, Dict, Float, Integer, List, Unicode, default

from virtlab.errors import LabError
from virtlab.hub import placement, rescue, seats, words
from virtlab.hub.hosts import Host
from virtlab.hub.link import HostDown
from virtlab.hub.machines import Machine
from virtlab.hub.places import Found, Full, Places
from virtlab.hub.plan import Plan, Site
from virtlab.hub.queue import Queue
from virtlab.hub.words import AGAIN, AWAY, BEHIND, EMPTY, FAILED, FULL

CERTAIN = 3  # so many looks in a row have to find a seat dead before it is called dead
STEPS = 6  # messages a start usually has, for the bar


class SeatSpawner(Spawner):  # type: ignore[misc]  # JupyterHub has no types
    """Starts a user's server in a virtual machine of their own."""

    plan = Dict(
        help="""
        What all machines have in common, by the names of `virtlab.hub.plan.Plan`: `name`, `size`
        (`memory_mb`, `vcpus`, `disk_mb`), `image` (the volume in each host's pool that disks build upon),
        `user`, `python`, `hub` and `doors` (`address`, `port`, `name`: what machines may reach in private
        networks), `registry` (`address`, `port`, `name`, `user`, and the files `password` and `ca`: where
        machines pull images), `outside`, `forbidden`, `cpu_percent`, `network_kb`, `keys`.
        """
    ).tag(config=True)

    sites = List(
        Dict(),
        help="""
        The KVM hosts, by the names of `virtlab.hub.plan.Site`: `name`, `uri` (libvirt's, `qemu:///system`
        or `qemu+ssh://root@kvm1/system`), `subnet` (a /24 of its own), `emulated`, `machine`, `cpu`. The
        hub has to reach the subnets: those of other hosts need a route.
        """,
    ).tag(config=True)

    warm = Integer(
        0,
        help="""
        How many machines each host keeps awake for whoever comes next. Used ones are replaced behind the
        user, as long as there is room. 0: copies of the template are made when somebody comes.
        """,
    ).tag(config=True)

    choose = Callable(
        placement.choose,
        help="""
        `choose(hosts, size)`: the `virtlab.hub.placement.Host` for one more machine, or None when it fits
        nowhere.
        """,
    ).tag(config=True)

    queue_file = Unicode(
        "", help="Where the queue of those who wait for a place is kept, so that it outlives the hub."
    ).tag(config=True)

    queue_minutes = Float(
        30.0, help="How long somebody may wait for a place; `start_timeout` has to be longer."
    ).tag(config=True)

    rescue = Unicode(
        "",
        help="""
        A folder on the hub for copies of users' disks, from which a machine starts on another host when its
        own has died. Empty: no copies are made.
        """,
    ).tag(config=True)

    rescue_minutes = Float(
        20.0, help="How old the copy of a running machine's disk may become before it is made anew."
    ).tag(config=True)

    # Shared by the spawners of all users: connections, warm machines, who is on the way.
    _places: ClassVar[Places | None] = None
    _tasks: ClassVar[set[asyncio.Task[None]]] = set()

    @default("env_keep")
    def _env_keep(self) -> list[str]:
        return []  # the hub's own paths mean nothing inside

    @default("start_timeout")
    def _start_timeout(self) -> int:
        return int(self.queue_minutes * 60 + seats.BOOT + seats.ANSWER)

    @default("http_timeout")
    def _http_timeout(self) -> int:
        return 120

    @default("ip")
    def _ip(self) -> str:
        return "0.0.0.0"  # noqa: S104  (inside the machine, which has one card)

    @default("port")
    def _port(self) -> int:
        return Plan.of(self.plan).port

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.machine: Machine | None = None
        self.home = ""  # the host it is on, kept while it is stopped: it may be the one that died
        self._said: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    # --- what the hub remembers -------------------------------------------------------------------------
    def get_state(self) -> dict[str, Any]:
        state: dict[str, Any] = super().get_state()
        if self.home:
            state["home"] = self.home
        if self.machine:
            state |= {"machine": self.machine.name, "address": self.machine.address}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.home = state.get("home", "")
        if "machine" in state:
            self.machine = Machine.remembered(
                self.home, state["machine"], state.get("address", ""), self.owner
            )

    def clear_state(self) -> None:
        super().clear_state()
        self.machine = None

    # --- start ------------------------------------------------------------------------------------------
    @property
    def owner(self) -> str:
        """One machine for each of a user's named servers."""
        return f"{self.user.name}--{self.name}" if self.name else self.user.name

    async def start(self) -> str:
        self._said = []
        try:
            return await self._start()
        except Full as full:
            raise _told(full, FULL, minutes=round(self.queue_minutes)) from full
        except LabError as error:
            raise _told(error, FAILED, why=f"{error.message} {error.do}".strip()) from error

    async def _start(self) -> str:
        self._tell("looking for a place")
        places = self._shared()
        found = await places.find(self.owner, self.home)
        host = found.host
        if found.machine is None or not found.machine.running:
            host = await self._room(places, found)
        else:
            assert host is not None  # noqa: S101 (a machine is somewhere)
            places.coming(host)
        self.home = host.name
        server = seats.Server(self.get_env(), self.get_args(), self.notebook_dir)
        pool = places.pools[host.name]
        try:
            self.machine = await seats.start(host, self.owner, server, pool=pool, tell=self._tell)
        finally:
            places.arrived(host)
        self._behind(pool.fill(self.warm))
        return f"http://{self.machine.address}:{host.plan.port}"

    async def _room(self, places: Places, found: Found) -> Host:
        """Where a machine can be started: at home when it has one, else where there is room."""
        if found.host:
            return await places.room_at(self.owner, found.host, self.queue_minutes, self._waits)
        if self.home in found.away and self.user_options.get("elsewhere") != self.home:
            raise self._offer(self.home)
        copied = rescue.when(self.rescue, self.owner) if self.home in found.away else ""
        host = await places.room(self.owner, found.away, self.queue_minutes, self._waits)
        if copied:
            self._tell("fetching your files from the snapshot of {when}", when=copied)
            try:
                await rescue.plant(host, self.owner, self.rescue)
            except BaseException:
                places.arrived(host)
                raise
        return host

    def _waits(self, place: int) -> None:
        self._tell("you are number {place} in the queue: this page goes on by itself", place=place)

    def _offer(self, home: str) -> LabError:
        """The choice between waiting for a dead host and going on without it."""
        copied = rescue.when(self.rescue, self.owner)
        offer = words.html(AGAIN if copied else EMPTY, when=copied)
        address = url_path_join(self.hub.base_url, "spawn", self.user.escaped_name, self.name)
        link = f'<a href="{escape(address)}?elsewhere={escape(home)}">{offer}</a>'
        left = words.html(BEHIND, host=home)
        error = _told(LabError(words.english(AWAY, host=home)), AWAY, host=home)
        error.jupyterhub_html_message += f"<p>{link}. {left}</p>"  # type: ignore[attr-defined]
        return error

    def options_from_query(self, query_data: dict[str, list[str]]) -> dict[str, Any]:
        return {"elsewhere": query_data["elsewhere"][0]} if "elsewhere" in query_data else {}

    # --- while it runs ----------------------------------------------------------------------------------
    async def poll(self) -> int | None:
        host = self._shared().hosts.get(self.home)
        if host is None or self.machine is None:
            return 0
        for look in range(CERTAIN):
            why = await seats.poll(host, self.machine)
            if not why:
                self._keep_copy(host)
                return None
            if look == 0 and await self._has_moved():
                return None
            await asyncio.sleep(1)
        self.log.warning("The server of %s is gone: %s", self.owner, why)
        return 1

    async def _has_moved(self) -> bool:
        """Does it run on another host by now? Then the hub and its proxy learn where."""
        try:
            found = await self._shared().find(self.owner, self.home)
        except LabError as error:
            self.log.warning("%s %s", error.message, error.do)
            return False
        if found.host is None or found.machine is None or not found.machine.running:
            return False
        if found.host.name == self.home or self.orm_spawner.server is None:
            return False
        self.home, self.machine = found.host.name, found.machine
        self.log.info("The server of %s is on %s now, at %s", self.owner, self.home, self.machine.address)
        self.orm_spawner.server.ip = self.machine.address
        self._server = None  # what the hub keeps of it is read again
        self.orm_spawner.state = self.get_state()
        self.db.commit()
        await self.user.settings["proxy"].add_user(self.user, self.name)
        return True

    async def stop(self, now: bool = False) -> None:
        host = self._shared().hosts.get(self.home)
        if host is None or self.machine is None:
            return
        try:
            await seats.stop(host, self.machine)
        except HostDown as error:
            self.log.warning("%s cannot be stopped: %s", self.machine.name, error.message)

    def _keep_copy(self, host: Host) -> None:
        if self.rescue and rescue.due(self.rescue, self.owner, self.rescue_minutes):
            self._behind(rescue.keep(host, self.owner, self.rescue))

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        said = 0
        while True:
            self._news.clear()
            while said < len(self._said):
                yield self._said[said]
                said += 1
            await self._news.wait()

    def _tell(self, phrase: str, **values: Any) -> None:
        self.log.info("%s: %s", self.owner, words.english(phrase, **values))
        self._said.append(
            {
                "progress": min(95, 100 * (len(self._said) + 1) // (STEPS + 1)),
                "message": words.english(phrase, **values),
                "html_message": words.html(phrase, **values),
            }
        )
        self._news.set()

    # --- shared -----------------------------------------------------------------------------------------
    def _shared(self) -> Places:
        if SeatSpawner._places is None:
            queue = Queue(Path(self.queue_file)) if self.queue_file else Queue()
            sites = (Site(**site) for site in self.sites)
            SeatSpawner._places = Places(Plan.of(self.plan), sites, choose=self.choose, queue=queue)
        return SeatSpawner._places

    def _behind(self, work: Any) -> None:
        """Something that nobody waits for; what goes wrong with it is in the hub's log."""

        async def run() -> None:
            try:
                await work
            except LabError as error:
                self.log.warning("%s %s", error.message, error.do)

        task = asyncio.ensure_future(run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _told(error: LabError, phrase: str, **values: Any) -> LabError:
    """JupyterHub shows what an error carries under these names."""
    if not hasattr(error, "jupyterhub_message"):
        error.jupyterhub_message = words.english(phrase, **values)  # type: ignore[attr-defined]
        error.jupyterhub_html_message = words.html(phrase, **values)  # type: ignore[attr-defined]
    return error
