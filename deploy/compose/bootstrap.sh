#!/bin/sh
# Makes private/ beside this script: secrets, certificate, accounts, danhao.toml. As root, because
# each file belongs to the user of the container that reads it. What is there already stays.
#
#     sudo ./bootstrap.sh broker.example plant.toml
#
# Run it again after plant.toml has another agent, then: docker compose kill -s HUP broker
set -eu

fail() { printf 'bootstrap: %s\n' "$*" >&2; exit 2; }

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -eq 2 ] || fail "name both: bootstrap.sh BROKER plant.toml (BROKER as agents call this machine)"
name=$1 plant=$2
case $name in
    '' | *[!a-z0-9.-]*) fail "$name is no name of a machine: lower-case letters, digits, dots, hyphens" ;;
esac
[ -f "$plant" ] || fail "$plant is not there"
[ "$(id -u)" -eq 0 ] || fail "run it as root: sudo $0 $*"
# A danhao on this machine, or the image's: no network, and only this folder.
run() {
    if [ -n "${DANHAO_PROGRAM:-}" ]; then
        "$DANHAO_PROGRAM" "$@"
    else
        docker run --rm --network none --user 0:0 --volume "$private:$private" "${DANHAO_IMAGE:-danhao:0.1.0}" "$@"
    fi
}
private=$here/private
umask 077
install -d -m 0711 "$private"
install -d -m 0700 "$private/broker"
install -d -m 0750 -o 10001 -g 10001 "$private/danhao" "$private/backups"
# 1883 is the user of Mosquitto's image, and 10001 of ours.
install -d -m 0750 -o 0 -g 1883 "$private/mosquitto"

if [ ! -s "$private/database.secret" ]; then
    head -c 32 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$private/database.secret.new"
    mv "$private/database.secret.new" "$private/database.secret"
fi
# Hexadecimal digits need no escape in an address.
printf 'DANHAO_DATABASE_URL=postgresql://danhao:%s@database/danhao\n' \
    "$(cat "$private/database.secret")" >"$private/danhao.env"

# `broker` is its name inside the composition, the other one outside.
cp "$plant" "$private/broker/plant.toml"
[ -f "$private/broker/server.pem" ] ||
    run broker certificate --to "$private/broker" --name "$name" --name broker
run broker accounts --to "$private/broker" "$private/broker/plant.toml"
for file in acl passwords server.pem server.key; do
    install -m 0640 -o 0 -g 1883 "$private/broker/$file" "$private/mosquitto/$file"
done
install -m 0444 "$private/broker/ca.pem" "$private/danhao/ca.pem"
install -m 0444 "$private/broker/plant.toml" "$private/danhao/plant.toml"
install -m 0400 -o 10001 -g 10001 "$private/broker/secrets/ingest" "$private/danhao/ingest.secret"
if [ ! -f "$private/danhao/danhao.toml" ]; then
    cat >"$private/danhao/danhao.toml" <<'TOML'
# The database's address, with its password, is in danhao.env. All keys: docs/servers.md
[mqtt]
url = "mqtts://broker:8883"
username = "ingest"
password_file = "/etc/danhao-server/ingest.secret"
ca_file = "/etc/danhao-server/ca.pem"

[api]
port = 8080
TOML
fi
chown 10001:10001 "$private/danhao/danhao.toml"
chmod 0640 "$private/danhao/danhao.toml"
printf 'made %s: secrets of agents in broker/secrets, to be carried to their gateways\n' "$private"
