#!/bin/sh
# Healthy: it answers a query. Takes the official script's options (--connect, --innodb_initialized) and needs none.
exec mariadb --user=root --skip-column-names --silent --execute "SELECT 1 FROM information_schema.ENGINES WHERE ENGINE = 'InnoDB'" >/dev/null
