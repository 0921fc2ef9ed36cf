"""Lab 06: right answers that are not ours pass; those that only look right are refused, each for a reason."""

import pytest
from answers import bash, started, verdicts

from virtlab import lifecycle

pytestmark = pytest.mark.host

# The solution's containers, with whatever is different about them as arguments.
CONTAINERS = """
db() {
    docker rm -f -v blog-db >/dev/null 2>&1 || true
    docker run -d --name blog-db --network ${network:-blog-back} --restart unless-stopped \\
        ${tables--v blog-data:/var/lib/mysql} \\
        -v "$PWD/secrets/db_password:/pw:ro" -e MARIADB_PASSWORD_FILE=/pw -e MARIADB_USER=wordpress \\
        -e MARIADB_RANDOM_ROOT_PASSWORD=1 "$@" $mariadb
    for second in $(seq 60); do docker exec blog-db mariadb -e 'SELECT 1' && break; sleep 0.2; done
}
web() {
    docker rm -f -v blog-web >/dev/null 2>&1 || true
    docker create --name blog-web --network blog-front --restart always -v blog-files:/var/www/html \\
        -e WORDPRESS_DB_HOST=blog-db "$@" "${image:-$wordpress}"
    docker network connect blog-back blog-web
    docker start blog-web
    for second in $(seq 60); do docker exec blog-web wp-lab is-installed && break; sleep 0.2; done
}
mounted="-v $PWD/secrets/db_password:/pw:ro -e WORDPRESS_DB_PASSWORD_FILE=/pw"
published="-p 127.0.0.1:8106:80"
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with started("06", tmp_path_factory, solved=True) as lab:
        yield lab


def run(lab, script):
    bash(lab, CONTAINERS + script)


RIGHT = {
    "other names, compose's labels, MySQL's variables, networks and an alias of its own": (
        """docker rm -f -v blog-db blog-web
        docker network create --internal wp_inner; docker network create wp_outer
        docker run -d --name wp-db-1 --label com.docker.compose.project=wp --restart always \
            --network wp_inner --network-alias db \
            -v blog-data:/var/lib/mysql -v "$PWD/secrets/db_password:/pw:ro" \
            -e MYSQL_PASSWORD_FILE=/pw -e MYSQL_RANDOM_ROOT_PASSWORD=1 $mariadb
        docker create --name wp-web-1 --label com.docker.compose.project=wp --restart on-failure \
            --network wp_outer -p 127.0.0.1:8106:80 \
            -v blog-files:/var/www/html -v "$PWD/secrets/db_password:/pw:ro" \
            -e WORDPRESS_DB_HOST=db -e WORDPRESS_DB_PASSWORD_FILE=/pw $wordpress
        docker network connect wp_inner wp-web-1; docker start wp-web-1
        for second in $(seq 60); do docker exec wp-web-1 wp-lab is-installed && break; sleep 0.2; done""",
        "docker rm -f -v wp-db-1 wp-web-1; docker network rm wp_inner wp_outer",
    ),
    "nginx in front of a WordPress that publishes nothing": (
        """web $mounted
        echo 'server { listen 80; location / {
            proxy_pass http://blog-web; proxy_set_header Host $http_host; } }' >proxy.conf
        docker run -d --name blog-door --network blog-front --restart always $published \
            -v "$PWD/proxy.conf:/etc/nginx/conf.d/default.conf:ro" $nginx
        sleep 0.5""",
        "docker rm -f -v blog-door",
    ),
    "a packed backup, and no other": (
        "gzip -k backup.sql; mv backup.sql safe",
        "mv safe backup.sql; rm backup.sql.gz",
    ),
    "the tables in a folder of this machine": (
        """docker stop blog-db
        docker run --rm -v blog-data:/from:ro -v "$PWD/tables:/to" $busybox cp -a /from/. /to
        tables="-v $PWD/tables:/var/lib/mysql"; db""",
        """docker rm -f blog-db
        docker run --rm -v "$PWD/tables:/to" $busybox sh -c 'rm -r /to/*'""",
    ),
}


@pytest.mark.parametrize("answer", RIGHT)
def test_right_answers_pass(lab, answer):
    script, after = RIGHT[answer]
    try:
        run(lab, script)
        said = verdicts(lab)
        del said["came_back"]       # a new container has not crashed yet
        assert {one: message for one, (state, message) in said.items() if state != "pass"} == {}
    finally:
        run(lab, after)
        lifecycle.solve("06")


WRONG = {   # what is done, how it is cleaned up, which check refuses it, and what it says
    "the database is published, though on localhost": (
        "network=blog-front; db -p 127.0.0.1:3399:3306", "",
        "db_hidden", "publishes 127.0.0.1:3399"),
    "another container hands the database out": (
        """docker create --name blog-hole --network blog-front -p 127.0.0.1:3399:4000 $busybox \
            nc -ll -p 4000 -e nc blog-db 3306
        docker network connect blog-back blog-hole; docker start blog-hole; sleep 0.3""",
        "docker rm -f blog-hole",
        "db_hidden", "`blog-hole` hands it out"),
    "the password in the command of a health check": (
        """db --health-cmd "mariadb --user root --password=$(cat secrets/db_password) -e 'SELECT 1'" """, "",
        "secrets_hidden", "shows a password"),
    "the password file copied into the image": (
        """docker create --name blog-bake $wordpress; docker cp secrets/db_password blog-bake:/etc/pw
        docker commit blog-bake blog-baked; docker rm -v blog-bake
        image=blog-baked; web $published -e WORDPRESS_DB_PASSWORD_FILE=/etc/pw""",
        "docker rm -f -v blog-web; docker rmi blog-baked",
        "secrets_hidden", "nothing is mounted there"),
    "the password as a variable of the image": (
        """docker create --name blog-bake $wordpress
        docker commit --change "ENV WORDPRESS_DB_PASSWORD=$(cat secrets/db_password)" blog-bake blog-baked
        docker rm -v blog-bake; image=blog-baked; web $published""",
        "docker rm -f -v blog-web; docker rmi blog-baked",
        "secrets_hidden", "shows WORDPRESS_DB_PASSWORD"),
    "200 and an empty page": (
        "docker exec blog-web mv wp-content/themes wp-content/away",
        "docker exec blog-web mv wp-content/away wp-content/themes",
        "shows_page", "nothing to read"),
    "a page that is not a blog": (
        """docker rm -f -v blog-web
        docker run -d --name blog-other --network blog-front $published $nginx; sleep 0.5""",
        "docker rm -f -v blog-other",
        "shows_page", "not from WordPress"),
    "published on every address": (     # made, not started: a test opens nothing to others
        """docker rm -f -v blog-web
        docker create --name blog-web --network blog-front $mounted -p 8106:80 $wordpress""",
        "docker rm -v blog-web",
        "on_localhost_only", "all addresses"),
    "the tables in a volume without a name": (
        "tables=; db", "docker rm -f -v blog-db",
        "in_volumes", "not in a volume with a name"),
    "a post with a neighbour's title": (
        """docker exec blog-db mariadb wordpress -e \
            "UPDATE wp_posts SET post_title = 'The golden zebra' WHERE post_type = 'post' AND ID > 1" """,
        """docker exec blog-db mariadb wordpress -e \
            "UPDATE wp_posts SET post_title = '$LAB_TITLE' WHERE post_type = 'post' AND ID > 1" """,
        "has_post", "is the title of somebody else's lab"),
    "a backup that only mentions the post": (
        """cp -p backup.sql safe; echo "$LAB_TITLE" | tr 'A-Z ' a-z- >backup.sql""", "mv safe backup.sql",
        "backup_complete", "tables"),
    "a backup that breaks off": (
        "cp -p backup.sql safe; head -c -200 safe >backup.sql", "mv safe backup.sql",
        "backup_complete", "breaks off"),
}


@pytest.mark.parametrize("answer", WRONG)
def test_wrong_answers_are_refused_for_their_reason(lab, answer):
    script, after, check, reason = WRONG[answer]
    try:
        run(lab, script)
        state, said = verdicts(lab)[check]
        assert state == "fail"
        assert reason in said
    finally:
        run(lab, after)
        lifecycle.solve("06")
