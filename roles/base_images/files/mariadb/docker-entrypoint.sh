#!/bin/bash
# Makes the database on the first start, then becomes the server.
set -euo pipefail

data=/var/lib/mysql

setting() {     # setting NAME: the value of MARIADB_NAME, or of the file that MARIADB_NAME_FILE names, or of MYSQL_…
    local name
    for name in "MARIADB_$1" "MYSQL_$1"; do
        local file="${name}_FILE"
        if [[ -n ${!name-} ]]; then printf %s "${!name}"; return; fi
        if [[ -n ${!file-} ]]; then
            [[ -r ${!file} ]] || { echo "I cannot read ${!file}, which $file names." >&2; return 1; }
            printf %s "$(<"${!file}")"; return
        fi
    done
}

quoted() {      # an SQL string
    local text=${1//\\/\\\\}
    printf "'%s'" "${text//\'/\\\'}"
}

initialise() {
    local root database user password
    root=$(setting ROOT_PASSWORD); database=$(setting DATABASE); user=$(setting USER); password=$(setting PASSWORD)
    if [[ -z $root && -z ${MARIADB_ALLOW_EMPTY_ROOT_PASSWORD-}${MARIADB_RANDOM_ROOT_PASSWORD-} ]]; then
        echo "The database is empty and has no password: set MARIADB_ROOT_PASSWORD or MARIADB_ROOT_PASSWORD_FILE." >&2
        return 1
    fi
    if [[ -n ${MARIADB_RANDOM_ROOT_PASSWORD-} && -z $root ]]; then
        root=$(head -c 24 /dev/urandom | base64)
    fi
    if [[ -n $user && -z $password ]]; then
        echo "MARIADB_USER is '$user' but there is no MARIADB_PASSWORD or MARIADB_PASSWORD_FILE." >&2
        return 1
    fi
    echo "Making a new database in $data …"
    # Killed in the middle, the next start sees this file and begins again.
    find "$data" -mindepth 1 -delete
    touch "$data/.initialising"
    mariadb-install-db --user=mysql --datadir="$data" --skip-test-db --skip-name-resolve \
        --auth-root-authentication-method=normal >/dev/null
    {
        echo "FLUSH PRIVILEGES;"
        # the container's own root comes in through the socket: health checks and `docker exec` need no password
        echo "ALTER USER root@localhost IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD($(quoted "$root"));"
        # one statement a line: --bootstrap takes no more
        echo "CREATE USER root@'%' IDENTIFIED BY $(quoted "$root");"
        echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
        echo "DELETE FROM mysql.global_priv WHERE User = '' OR (User = 'root' AND Host NOT IN ('localhost', '%'));"
        [[ -z $database ]] || echo "CREATE DATABASE IF NOT EXISTS \`${database//\`/\`\`}\`;"
        if [[ -n $user ]]; then
            echo "CREATE USER $(quoted "$user")@'%' IDENTIFIED BY $(quoted "$password");"
            [[ -z $database ]] || echo "GRANT ALL ON \`${database//\`/\`\`}\`.* TO $(quoted "$user")@'%';"
        fi
    } | mariadbd --bootstrap --log-warnings=0
    rm "$data/.initialising"
}

if [[ ${1-} == -* ]]; then set -- mariadbd "$@"; fi
if [[ ${1-} == mariadbd || ${1-} == mysqld ]]; then
    shift
    chown mysql:mysql "$data" /run/mysqld
    if [[ -e $data/.initialising || ! -d $data/mysql ]]; then initialise; fi
    for name in ROOT_PASSWORD PASSWORD; do unset "MARIADB_$name" "MYSQL_$name"; done    # not for the server's children
    exec mariadbd "$@"
fi
exec "$@"
