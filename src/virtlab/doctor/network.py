"""The way out: names and proxies. What is needed there are the package mirror and the Python index."""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from virtlab import patience
from virtlab.doctor.finding import Finding, State, ask

GROUP = "network"
VARIABLES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
LOCAL = ("localhost", "127.0.0.1")
PATIENCE = 1.2  # seconds for a name; a resolver that is not there makes one wait much longer


def probe() -> Iterator[Finding]:
    proxies = environment()
    yield names(bool({"http_proxy", "https_proxy", "all_proxy"} & set(proxies)))
    yield from environment_proxies(proxies)
    yield from apt_proxy()
    yield from docker_proxy()


def mirrors(sources: str) -> list[str]:
    """The hosts that an apt source file names, of both formats."""
    entries = [line.split("#")[0] for line in sources.splitlines()]
    urls = [word for line in entries if re.match(r"\s*(deb(-src)?\s|URIs:)", line) for word in line.split()]
    return list(dict.fromkeys(host for url in urls if "://" in url and (host := urlsplit(url).hostname)))


def configured_mirrors() -> list[str]:
    folder = Path("/etc/apt")
    files = [folder / "sources.list", *sorted(folder.glob("sources.list.d/*"))]
    texts = [
        file.read_text(errors="replace") for file in files if file.is_file() and os.access(file, os.R_OK)
    ]
    return mirrors("\n".join(texts))


def resolve(name: str, seconds: float = PATIENCE) -> list[str] | None:
    """The addresses of a name, [] when there are none, None when nobody answered in time."""
    answer: list[list[str]] = []

    def look() -> None:
        try:
            found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
        except OSError:
            answer.append([])
        else:
            answer.append(list(dict.fromkeys(str(one[4][0]) for one in found)))

    worker = threading.Thread(
        target=look, daemon=True, name=f"resolve-{name}"
    )  # nothing else ends a slow look-up
    worker.start()
    worker.join(patience.seconds(seconds))
    return answer[0] if answer else None


def names(through_proxy: bool) -> Finding:
    hosts = configured_mirrors()
    if not hosts:
        return Finding("dns", GROUP, State.INFO, "No package mirror is configured, so no name was looked up.")
    found = resolve(hosts[0])
    if found:
        return Finding("dns", GROUP, State.OK, "The package mirror's name resolves.")
    said = f"Nobody {'answers for' if found is None else 'knows'} the name {hosts[0]} (the package mirror)."
    if through_proxy:
        return Finding("dns", GROUP, State.INFO, f"{said} A proxy is set and may know it.")
    return Finding(
        "dns", GROUP, State.WARN, said, "What is built already works without; to build, see /etc/resolv.conf."
    )


def environment() -> dict[str, str]:
    return {
        name: value for name in VARIABLES if (value := os.environ.get(name) or os.environ.get(name.upper()))
    }


def without_password(url: str) -> str:
    return re.sub(r"//[^/@]*@", "//…@", url)


def environment_proxies(proxies: dict[str, str]) -> Iterator[Finding]:
    if not proxies:
        yield Finding("proxy", GROUP, State.OK, "No proxy is set in the environment.")
        return
    said = ", ".join(f"{name}={without_password(value)}" for name, value in proxies.items())
    exceptions = {one.strip() for one in proxies.get("no_proxy", "").split(",")}
    through = set(proxies) - {"no_proxy"}
    missing = [name for name in LOCAL if name not in exceptions and "*" not in exceptions]
    if through and missing:
        yield Finding(
            "proxy",
            GROUP,
            State.WARN,
            f"{said}: what runs on this machine would be asked through the proxy.",
            f"export no_proxy={','.join([*LOCAL, '.lab.test'])}   (the labs go past it already)",
        )
    else:
        yield Finding("proxy", GROUP, State.OK, f"{said}.")


def apt_proxy() -> Iterator[Finding]:
    code, said = ask("apt-config", "dump", "--no-empty", "Acquire::http::Proxy", "Acquire::https::Proxy")
    if code == 0 and (found := re.findall(r'Proxy "([^"]+)"', said)):
        yield Finding("proxy.apt", GROUP, State.INFO, f"apt uses the proxy {without_password(found[0])}.")


def docker_proxy() -> Iterator[Finding]:
    for file in (Path("/etc/systemd/system/docker.service.d"), Path("/etc/docker/daemon.json")):
        texts = [
            one.read_text(errors="replace")
            for one in ([file] if file.is_file() else sorted(file.glob("*.conf")))
            if os.access(one, os.R_OK)
        ]
        if re.search(r"(?i)https?[_-]proxy", "\n".join(texts)):
            yield Finding(
                "proxy.docker", GROUP, State.INFO, f"The Docker daemon is told of a proxy in {file}."
            )
