"""What `lab up` left running: each is asked, not looked up. What was never built is not missing."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from virtlab import paths, patience, settings, workspace
from virtlab.doctor.finding import Finding, State
from virtlab.doctor.network import resolve
from virtlab.seat import Seat

GROUP = "services"
CERTS_D = Path("/etc/docker/certs.d")
SECONDS = 1.5


def probe() -> Iterator[Finding]:
    host = settings.host()
    if not len(host):
        yield Finding(
            "services.none", GROUP, State.INFO, "Nothing has been built here yet.", "`./lab up` does it."
        )
        return
    seat = Seat()
    if "registry" in host:
        yield from registry(seat, host["registry"])
    if "wordpress" in host:
        yield page(seat, "wordpress", "The blog", host["wordpress"].get("url", ""))
    if "jupyterlab" in host and not workspace.is_seat():  # there JupyterHub has started another
        yield jupyterlab(seat, host["jupyterlab"])


def registry(seat: Seat, record: dict[str, Any]) -> Iterator[Finding]:
    name = str(record.get("name", ""))
    wanted, again = record.get("address"), "Run `./lab up --only registry`."
    found = resolve(name.partition(":")[0])
    if not found or (wanted and wanted not in found):
        said = f"means {', '.join(found)}, not {wanted}" if found else "is not known here"
        yield Finding("registry.name", GROUP, State.FAIL, f"The registry's name {name} {said}.", again)
        return
    yield Finding("registry.name", GROUP, State.OK, f"The registry's name {name} means {found[0]}.")
    code, said = _answer(seat, f"https://{name}/v2/")
    if code == 401:
        yield Finding("registry", GROUP, State.OK, "The registry answers over TLS and wants a password.")
    elif code == 200:
        yield Finding(
            "registry", GROUP, State.WARN, "The registry answers without asking for a password.", again
        )
    else:
        yield Finding(
            "registry", GROUP, State.FAIL, f"The registry does not answer as it should: {said}.", again
        )
    trusted = CERTS_D / name / "ca.crt"
    try:
        same = trusted.read_bytes() == paths.CA.read_bytes()
    except OSError:
        same = False
    if same:
        yield Finding("registry.trust", GROUP, State.OK, "Docker trusts the registry's certificate.")
    else:
        yield Finding(
            "registry.trust", GROUP, State.FAIL, f"Docker does not trust the registry: see {trusted}.", again
        )


def page(seat: Seat, role: str, what: str, url: str) -> Finding:
    code, said = _answer(seat, url)
    if code == 200 and said:
        return Finding(role, GROUP, State.OK, f"{what} answers at {url}.")
    if code == 200:
        said = "its page is empty"
    return Finding(
        role, GROUP, State.FAIL, f"{what} does not answer at {url}: {said}.", f"Run `./lab up --only {role}`."
    )


def jupyterlab(seat: Seat, record: dict[str, Any]) -> Finding:
    url = str(record.get("url", ""))
    code, said = _answer(seat, f"{url}/api")
    if code == 200:
        return Finding("jupyterlab", GROUP, State.OK, f"JupyterLab answers at {url}.")
    return Finding(
        "jupyterlab",
        GROUP,
        State.WARN,
        f"JupyterLab does not answer at {url}: {said}.",
        "`lab jupyter start`; it stays off after `lab jupyter stop`.",
    )


def _answer(seat: Seat, url: str) -> tuple[int, str]:
    """The status and the text, or 0 and the reason."""
    import requests

    try:
        answer = seat.http.get(url, timeout=patience.seconds(SECONDS))
    except requests.exceptions.SSLError as error:
        return 0, f"its certificate is not trusted ({error.args[0] if error.args else error})"
    except requests.exceptions.Timeout:
        return 0, f"no answer in {patience.seconds(SECONDS):g} seconds"
    except requests.exceptions.ConnectionError:
        return 0, "nothing listens there"
    except (requests.exceptions.RequestException, ssl.SSLError, OSError) as error:
        return 0, str(error)
    return (
        answer.status_code,
        answer.text.strip() if answer.status_code == 200 else f"status {answer.status_code}",
    )
