"""Outcomes of lab 06: what the blog shows, who reaches its database, and what would be left after a loss."""

import bz2
import gzip
import html
import json
import lzma
import os
import re
import shlex
import time
from datetime import datetime

from virtlab import patience
from virtlab.checks import check
from virtlab.stack import (
    DOCKERS_OWN,
    called,
    crew,
    database,
    environment,
    exists,
    is_mounted,
    lasting,
    name,
    networks,
    once,
    publishes,
    read,
    replace,
    site,
    speaks_mysql,
    stack,
)

PATIENCE = 8  # seconds; the first page of a new container, on a busy machine, takes four
LOOPBACK = re.compile(r"127\.|::1$")
PASSWORD = re.compile(r"(PASSWORD|PASSWD|_PASS|SECRET)$", re.IGNORECASE)
YES_OR_NO = re.compile(r"RANDOM|ALLOW_EMPTY", re.IGNORECASE)  # …RANDOM_ROOT_PASSWORD=1 is no password
PACKED = {".gz": gzip, ".tgz": gzip, ".bz2": bz2, ".xz": lzma}
CONFIGS = [f"{place}/wp-config.php" for place in ("/var/www/html", "/etc/wordpress", "/usr/share/wordpress")]
LITERAL = re.compile(rb"""^\s*define\(\s*['"]DB_PASSWORD['"]\s*,\s*['"][^'"]+['"]""", re.MULTILINE)


def ask(seat, lab, path):
    from requests import RequestException

    url, front = f"http://localhost:{lab.ports['web']}{path}", name(site(seat, lab))
    try:
        return url, seat.http.get(url, timeout=patience.seconds(PATIENCE))
    except RequestException as error:
        late = f"no answer within {patience.seconds(PATIENCE)} seconds"
        why = late if "timed out" in str(error) else "no answer"
        raise AssertionError(
            f"I asked {url} and got {why}. `{front}` publishes it; `docker logs {front}` may say what is "
            "wrong."
        ) from None


def visible(page):
    """What a reader sees of a page."""
    page = re.sub(r"<(script|style|head)\b.*?</\1>", " ", page, flags=re.DOTALL | re.IGNORECASE)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@once
def posts(seat, lab):
    """The learner's own: what WordPress brings along is number 1."""
    fields = "id,slug,title,date_gmt,content"
    url, answer = ask(seat, lab, f"/?rest_route=/wp/v2/posts&per_page=100&_fields={fields}")
    every = answer.json() if "json" in answer.headers.get("Content-Type", "") else None
    assert answer.status_code == 200 and isinstance(every, list), (
        f"I asked WordPress for its posts ({url}) and got status {answer.status_code} instead of a list. "
        f"Open http://localhost:{lab.ports['web']}/ to see what it says."
    )
    own = [one for one in every if one["id"] != 1 and visible(one["content"]["rendered"])]
    assert own, (
        'The blog shows no post of yours with a text in it. "Hello world!" came with WordPress, and a draft '
        "does not count. Write one, and publish it."
    )
    for one in own:
        one["written"] = datetime.fromisoformat(f"{one['date_gmt']}+00:00").timestamp()
    return own


def base(seat, lab):
    """The database's container, inspected."""
    return next(one for one in crew(seat, lab) if one["Id"] == database(seat, lab)["Id"])


def sql(seat, lab, statement):
    """For proofs: the solution's database lets its own root in without a password."""
    container = seat.docker.containers.get(database(seat, lab)["Id"])
    done = container.exec_run(["mariadb", "wordpress", "--execute", statement])
    if done.exit_code:
        raise RuntimeError(done.output.decode())


# database
@check(
    "A database answers, in a container of its own",
    task="database",
    hint="`docker ps --all` shows what runs and what stopped; `docker logs` of the database says why.",
)
def db_answers(seat, lab):
    found = database(seat, lab)
    assert lab.ports["web"] not in [port for _, port in publishes(seat, found)], (
        f"`{name(found)}` is the site and the database at once. I expected two containers with one duty "
        "each, so that each can be replaced without the other."
    )
    return f"`{name(found)}` answers on port 3306 to those on its network."


@db_answers.broken_by
def _(seat, lab):
    seat.docker.api.stop(database(seat, lab)["Id"])


@check(
    "Nobody outside reaches the database",
    task="database",
    after=["db_answers"],
    hint="Which networks is the database on, and is each of them internal? `docker network inspect` says.",
)
def db_hidden(seat, lab):
    found = database(seat, lab)
    ports = " and ".join(f"{address}:{port}" for address, port in publishes(seat, found))
    assert not ports, (
        f"`{name(found)}` publishes {ports}, so others reach it past WordPress. I expected no published "
        "port: start it without `-p`."
    )
    ways = [
        f"`{one}`"
        for one in networks(found)
        if one in DOCKERS_OWN or not seat.docker.api.inspect_network(one)["Internal"]
    ]
    assert not ways, (
        f"`{name(found)}` is on {' and '.join(ways)}, which has a way out. I expected it only on "
        "networks that were made with `--internal`."
    )
    for one in stack(seat, lab):
        for address, port in publishes(seat, one) if one["State"] == "running" else ():
            here = address if LOOPBACK.match(address) else "127.0.0.1"
            assert port == lab.ports["web"] or not speaks_mysql(seat, here, port), (
                f"A database answers on port {port} of this machine: `{name(one)}` hands it out. I "
                "expected none."
            )
    on = ", ".join(f"`{one}`" for one in networks(found))
    return f"`{name(found)}` publishes nothing; its network, {on}, is internal."


@db_hidden.broken_by
def _(seat, lab):
    front = next(one for one in networks(site(seat, lab)) if one not in networks(database(seat, lab)))
    seat.docker.api.connect_container_to_network(database(seat, lab)["Id"], front)


# secrets
@check(
    "No password can be read in docker inspect or in the images",
    task="secrets",
    after=["db_answers"],
    hint="`docker inspect CONTAINER` shows its Env to everybody who may use Docker. A file stays a file.",
)
def secrets_hidden(seat, lab):
    known = set()
    for one in crew(seat, lab):
        for key, value in environment(one):
            assert not (PASSWORD.search(key) and not YES_OR_NO.search(key) and value), (
                f"`docker inspect {called(one)}` shows {key} with the password in it. I expected a path "
                f"instead: {key}_FILE, with the file mounted there."
            )
            if key.endswith("_FILE") and PASSWORD.search(key.removesuffix("_FILE")):
                known.add(secret(seat, one, key, value))
        for path in CONFIGS:
            assert is_mounted(one, path) or not LITERAL.search(read(seat, one, path)), (
                f"{path} in `{called(one)}` holds the database's password, and nothing is mounted there: "
                "it is baked in. I expected it to come from a mounted file."
            )
    for one in crew(seat, lab):
        image = [seat.docker.api.inspect_image(one["Image"]), seat.docker.api.history(one["Image"])]
        for what, shown in (("`docker inspect` of", one), ("The image of", image)):
            text = json.dumps(shown)
            assert not any(value in text for value in known), (
                f"{what} `{called(one)}` shows a password that is also in a secret file. I expected it "
                "in the file only."
            )
    assert known, (
        "No container of the blog reads a password from a file. I expected MARIADB_PASSWORD_FILE and "
        "WORDPRESS_DB_PASSWORD_FILE, each with the path of a mounted file."
    )
    return "The passwords are in mounted files; docker inspect and the images show none."


def secret(seat, one, key, path):
    assert is_mounted(one, path), (
        f"`{called(one)}` reads its password from {path} ({key}), and nothing is mounted there: the file "
        "is part of the image or the container. I expected a mounted file (`-v …:ro`)."
    )
    content = read(seat, one, path).decode(errors="replace").strip()
    assert content, f"`{called(one)}` is to read {path} ({key}), which is empty. Put the password there."
    return content


@secrets_hidden.broken_by
def _(seat, lab):
    replace(seat, site(seat, lab), env=("WORDPRESS_DB_PASSWORD=" + "x" * 24,))


# site
@check(
    "The blog shows a real page",
    task="site",
    after=["db_answers", "secrets_hidden"],
    hint="Open it in the browser. 200 says that somebody answers, not that there is something to read.",
    seconds=PATIENCE + 2,
)
def shows_page(seat, lab):
    front = site(seat, lab)
    assert front["State"] == "running", (
        f"`{name(front)}` is to publish the blog, and its state is '{front['State']}'. `docker logs "
        f"{name(front)}` says how it ended."
    )
    url, answer = ask(seat, lab, "/")
    text = visible(answer.text)
    assert "wp-admin/install.php" not in answer.url, (
        f"{url} leads to WordPress's installation. I expected an installed blog: fill the form in, or use "
        "`wp-lab install`."
    )
    assert answer.status_code == 200, (
        f"I asked {url} and got status {answer.status_code}: '{text[:80]}'. I expected a page."
    )
    assert text, (
        f"{url} answers 200, and there is nothing to read on the page ({len(answer.content)} bytes). I "
        "expected the blog. Without a theme, for example, WordPress sends empty pages."
    )
    assert re.search(r"wp-(content|includes|json)|rest_route", answer.text), (
        f"{url} shows '{text[:60]}', which is not from WordPress. I expected the blog there."
    )
    database(seat, lab)
    return f"{url} shows the blog, and there is something to read on it."


@shows_page.broken_by
def _(seat, lab):
    seat.docker.api.stop(site(seat, lab)["Id"], timeout=1)


@check(
    "The blog is published on localhost only",
    task="site",
    hint="In `-p`, an address fits in front of the port. Without one, Docker takes every address.",
)
def on_localhost_only(seat, lab):
    site(seat, lab)
    for one in stack(seat, lab):
        wide = [(at, port) for at, port in publishes(seat, one) if not LOOPBACK.match(at)]
        assert not wide, (
            f"`{name(one)}` is published on {wide[0][0] or 'all addresses'}, port {wide[0][1]}: others "
            "than this machine can reach it. I expected 127.0.0.1 only, as in `-p "
            f"127.0.0.1:{lab.ports['web']}:80`."
        )
    return f"`{name(site(seat, lab))}` is published on 127.0.0.1:{lab.ports['web']} and nowhere else."


@on_localhost_only.broken_by
def _(seat, lab):
    gateways = [at["Gateway"] for at in networks(site(seat, lab)).values() if at["Gateway"]]
    replace(seat, site(seat, lab), also_at=gateways[0])  # this machine's address on the bridge: nobody else's


# post
@check(
    "A post with a title of your own is published",
    task="post",
    after=["db_answers", "shows_page", "secrets_hidden"],
    hint="Log in at /wp-admin, or use `wp-lab post` in the WordPress container.",
    seconds=PATIENCE + 2,
)
def has_post(seat, lab):
    title = lab.values["title"]
    titles = [visible(one["title"]["rendered"]) for one in posts(seat, lab)]
    assert any(title.lower() in one.lower() for one in titles), (
        f"The blog shows {' and '.join(f'`{one}`' for one in titles[:3])}. "
        f"{lab.values.whose('title', ' | '.join(titles))}I expected a post with the title that is yours "
        f"alone, `{title}` ($LAB_TITLE)."
    )
    return f"Your post `{title}` can be read."


@has_post.broken_by
def _(seat, lab):
    sql(seat, lab, "UPDATE wp_posts SET post_status = 'draft' WHERE post_type = 'post' AND ID > 1")


# recreate
@check(
    "The data is in volumes that a new container finds again",
    task="recreate",
    after=["db_answers"],
    hint="`docker inspect` lists the Mounts. A volume called by 64 digits is for one container only.",
)
def in_volumes(seat, lab):
    store = base(seat, lab)
    fronts = [one for one in crew(seat, lab) if one["Id"] != store["Id"]]
    tables = [place for place in lasting(store) if exists(seat, store, f"{place}/aria_log_control")]
    assert tables, (
        f"The tables of `{called(store)}` are not in a volume with a name: the next container would "
        "start with an empty database. I expected `-v NAME:/var/lib/mysql`."
    )
    uploads = [one for one in fronts for place in lasting(one) if holds_uploads(seat, one, place)]
    assert uploads, (
        f"What is uploaded to `{called(fronts[-1])}` is not in a volume with a name, and would be gone "
        "with the container. I expected `-v NAME:/var/www/html`."
    )
    return f"Tables and uploads are in volumes that outlive `{called(store)}` and `{called(uploads[0])}`."


def holds_uploads(seat, one, place):
    version = "wp-includes/version.php"
    return place.endswith(("/wp-content", "/uploads")) or any(
        exists(seat, one, f"{place}/{below}{version}") for below in ("", "html/", "wordpress/")
    )


@in_volumes.broken_by
def _(seat, lab):
    replace(seat, site(seat, lab), volumes=False)


@check(
    "Your post is older than the containers that show it",
    task="recreate",
    after=["db_answers", "shows_page", "has_post", "secrets_hidden"],
    hint="Write the post first; then remove both containers, and start them again around the same volumes.",
    seconds=PATIENCE + 2,
)
def outlived(seat, lab):
    written = min(one["written"] for one in posts(seat, lab))
    for one in crew(seat, lab):
        made = datetime.fromisoformat(re.sub(r"(\.\d+)?Z$", "+00:00", one["Created"])).timestamp()
        assert made > written, (
            f"`{called(one)}` is older than your oldest post, so nothing shows yet that the post would "
            "survive it. I expected a container made after the post: remove this one, and start it again."
        )
    return "Both containers were made after your post was written, and the post is there."


@outlived.broken_by
def _(seat, lab):
    sql(seat, lab, "UPDATE wp_posts SET post_date = NOW(), post_date_gmt = UTC_TIMESTAMP() WHERE ID > 1")


# backup
def backups(seat, lab):
    """The learner's files that are called so, the newest first."""
    found = list(seat.path(lab.work).glob("[Bb]ackup*"))
    files = [file for one in found for file in (one, *one.rglob("*")) if file.is_file()]
    return sorted(files, key=lambda file: -file.stat().st_mtime)


@once
def good_backups(seat, lab):
    own, wrong = posts(seat, lab), ""
    good = []
    for file in backups(seat, lab):
        if why := fault(file, own):
            wrong = wrong or f"`{file.name}` {why}"
        else:
            good.append(file)
    assert good, wrong or (
        f"There is no file beside the guide whose name begins with `backup`. I looked in {lab.work}. I "
        "expected a dump of the database there."
    )
    return good


def fault(file, own):
    """What keeps a file from being a backup of the whole blog; "" if nothing does."""
    opener = PACKED.get(file.suffix)
    try:
        with file.open("rb") as stored, opener.open(stored) if opener else stored as stream:
            text = stream.read()
    except (OSError, EOFError, lzma.LZMAError) as error:
        return f"cannot be read: {error}."
    if not text:
        return "is empty. I expected your post in it."
    due = [one for one in own if one["written"] < file.stat().st_mtime] or own
    lost = [one["slug"] for one in due if one["slug"].encode() not in text]
    if lost:
        return f"does not contain your post `{lost[0]}`. I expected the whole blog in it."
    if b"_options" not in text or b"_users" not in text:
        return "has your post but not all the blog's tables: I miss its options or users."
    if b"-- MariaDB dump" in text[:500] and b"-- Dump completed" not in text[-500:]:
        return "breaks off: a complete dump says so in its last line."
    return ""


@check(
    "A backup file holds the whole blog",
    task="backup",
    after=["db_answers", "shows_page", "has_post", "secrets_hidden"],
    hint="Look into the file: `head`, and `grep` for a word of your post.",
    seconds=PATIENCE + 2,
)
def backup_complete(seat, lab):
    return f"`{good_backups(seat, lab)[0].name}` holds the blog, with your post in it."


@backup_complete.broken_by
def _(seat, lab):
    for file in backups(seat, lab):
        file.write_text("")


@check(
    "The database was restored from it",
    task="backup",
    after=["db_answers", "shows_page", "has_post", "backup_complete", "secrets_hidden"],
    hint="A dump makes its tables anew. Send the file into `mariadb`, in the database's container.",
    seconds=PATIENCE + 2,
)
def restored(seat, lab):
    good = good_backups(seat, lab)
    places = " ".join(shlex.quote(place) for place in lasting(base(seat, lab)) or ["/var/lib/mysql"])
    find = f"find {places} -maxdepth 2 -name '*_posts.frm' -exec stat -c %Z {{}} +"
    said = seat.docker.containers.get(database(seat, lab)["Id"]).exec_run(["sh", "-c", find]).output.split()
    made = max((int(word) for word in said if word.isdigit()), default=0)
    tried = [file for file in good if int(file.stat().st_mtime) <= made]
    assert tried, (
        f"The table with your posts is older than `{good[-1].name}`, so this backup has never been "
        "restored, and nobody knows whether it works. I expected the table to have been made from it."
    )
    return f"The table with your posts was made after `{tried[0].name}`, and your post is in it."


@restored.broken_by
def _(seat, lab):
    time.sleep(1.1)  # the table's time is in whole seconds, and it may be of this one
    for file in backups(seat, lab):
        os.utime(file)


# recover
@check(
    "Both containers have a restart policy",
    task="recover",
    after=["db_answers"],
    hint="`docker run --restart …`, or `docker update --restart …` for one that runs already.",
)
def comes_back(seat, lab):
    for one in crew(seat, lab):
        policy = one["HostConfig"]["RestartPolicy"]["Name"] or "no"
        assert policy != "no", (
            f"`{called(one)}` has the restart policy 'no': after a crash, or a reboot, it stays down. I "
            "expected `unless-stopped` or `always`."
        )
    return "Both come back by themselves after a crash."


@comes_back.broken_by
def _(seat, lab):
    seat.docker.containers.get(site(seat, lab)["Id"]).update(restart_policy={"Name": "no"})


@check(
    "The database has crashed and come back",
    task="recover",
    after=["db_answers"],
    hint="Only a process that dies by itself, or by a signal from outside Docker, is started again.",
)
def came_back(seat, lab):
    store = base(seat, lab)
    assert store["RestartCount"], (
        f"`{called(store)}` has not been started again by Docker since it was made, or since you last "
        "started it yourself. I expected its process to have died at least once, and the restart policy "
        "to have brought it back. (`docker kill` counts as your wish that it stays down.)"
    )
    return f"`{called(store)}` died, came back by itself, and answers."


@came_back.broken_by
def _(seat, lab):
    container = seat.docker.containers.get(database(seat, lab)["Id"])
    container.restart()
    until = time.monotonic() + patience.seconds(20)  # the others count only once it answers again
    while container.exec_run(["mariadb", "--execute", "SELECT 1"]).exit_code and time.monotonic() < until:
        time.sleep(0.2)
