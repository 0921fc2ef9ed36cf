#!/bin/sh
# A password file is often readable for root only, and Apache's workers are not root: hand it on in the environment.
set -eu
if [ -z "${WORDPRESS_DB_PASSWORD-}" ] && [ -n "${WORDPRESS_DB_PASSWORD_FILE-}" ]; then
    if [ ! -r "$WORDPRESS_DB_PASSWORD_FILE" ]; then
        echo "I cannot read $WORDPRESS_DB_PASSWORD_FILE, which WORDPRESS_DB_PASSWORD_FILE names." >&2
        exit 1
    fi
    WORDPRESS_DB_PASSWORD=$(cat "$WORDPRESS_DB_PASSWORD_FILE")
    export WORDPRESS_DB_PASSWORD
fi
rm -f /run/apache2.pid      # a killed container leaves it, and Apache would not start again
exec "$@"
