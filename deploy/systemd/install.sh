#!/bin/sh
# Installs or renews the Danhao server on one machine with Debian 12 or later: PostgreSQL,
# Mosquitto, ingest, API, a backup every night.
#
#     sudo ./install.sh danhao-0.1.0-py3-none-any.whl all.txt plant.toml broker.example
#     sudo ./install.sh danhao-0.1.0-py3-none-any.whl all.txt plant.toml broker.example wheels/
#
# all.txt is requirements/all.txt of the same version: every package by its hash. broker.example is
# the name by which agents call this machine. With a folder of wheels pip needs no network.
# It never replaces danhao.toml, an authority, a secret, a database or a backup.
set -eu

say() { printf '%s\n' "$*"; }
fail() { printf 'install: %s\n' "$*" >&2; exit 2; }

prefix=/opt/danhao-server
config=/etc/danhao-server
broker=/etc/mosquitto/danhao
private=/var/lib/danhao-server
backups=/var/backups/danhao
units=/etc/systemd/system
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)

[ $# -ge 4 ] || fail "name them all: install.sh WHEEL all.txt plant.toml BROKER [FOLDER WITH WHEELS]"
wheel=$1 lock=$2 plant=$3 name=$4 wheels=${5:-}
for file in "$wheel" "$lock" "$plant"; do
    [ -f "$file" ] || fail "$file is not there"
done
case $name in
    '' | *[!a-z0-9.-]*) fail "$name is no name of a machine: lower-case letters, digits, dots, hyphens" ;;
esac
[ "$(id -u)" -eq 0 ] || fail "run it as root: sudo $0 $*"
command -v systemctl >/dev/null || fail "this machine has no systemd"
for file in danhao.target danhao-ingest@.service danhao-api.service danhao-national.service \
    danhao-backup.service danhao-backup.timer backup.sh danhao.toml mosquitto-danhao.conf; do
    [ -f "$here/$file" ] || fail "$file must lie beside this script"
done

say "installing PostgreSQL, Mosquitto and Python"
apt-get update -q
DEBIAN_FRONTEND=noninteractive apt-get install -q --yes --no-install-recommends \
    postgresql mosquitto python3 python3-venv ca-certificates
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || fail "Python 3.11 or newer is needed"

getent passwd danhao >/dev/null ||
    useradd --system --user-group --home-dir "$private" --shell /usr/sbin/nologin danhao
install -d -m 0750 -o root -g danhao "$config"
install -d -m 0700 -o root -g root "$private" "$private/broker"
install -d -m 0700 -o danhao -g danhao "$backups"
install -d -m 0750 -o root -g mosquitto "$broker"

# A new environment beside the old one: a failed installation leaves the running programs alone.
fresh=$prefix.new
rm -rf "$fresh"
python3 -m venv "$fresh"
set -- --quiet --disable-pip-version-check
[ -z "$wheels" ] || set -- "$@" --no-index --find-links "$wheels"
"$fresh/bin/pip" install "$@" --require-hashes -r "$lock"
"$fresh/bin/pip" install "$@" --no-deps "$wheel"
"$fresh/bin/python" -P -m danhao plant check "$plant" || fail "mend $plant, then run this again"
install -d -m 0755 "$fresh/libexec"
install -m 0755 "$here/backup.sh" "$fresh/libexec/backup.sh"
# From here ingest and API are out, for seconds; agents keep what they read and send it afterwards.
systemctl stop danhao.target 2>/dev/null || true
rm -rf "$prefix.old"
[ ! -d "$prefix" ] || mv "$prefix" "$prefix.old"
mv "$fresh" "$prefix"
# The scripts of an environment name its first place: write ours anew.
"$prefix/bin/python3" -m pip install "$@" --no-deps --no-index --force-reinstall "$wheel"
danhao=$prefix/bin/danhao

# The broker: certificate by the plant's own authority, an account for each agent and for ingest.
if [ ! -f "$private/broker/server.pem" ]; then
    "$danhao" broker certificate --to "$private/broker" --name "$name"
fi
"$danhao" broker accounts --to "$private/broker" "$plant"
for file in acl passwords server.pem server.key; do
    install -m 0640 -o root -g mosquitto "$private/broker/$file" "$broker/$file"
done
install -m 0644 "$here/mosquitto-danhao.conf" /etc/mosquitto/conf.d/danhao.conf
install -m 0644 "$private/broker/ca.pem" "$config/ca.pem"
install -m 0400 -o danhao -g danhao "$private/broker/secrets/ingest" "$config/ingest.secret"
if [ ! -f "$config/danhao.toml" ]; then
    sed "s/@BROKER@/$name/" "$here/danhao.toml" >"$config/danhao.toml"
fi
chown root:danhao "$config/danhao.toml"
chmod 0640 "$config/danhao.toml"

# The database: the role is the user's name, and comes in by the socket without a password.
systemctl enable --now postgresql.service
as_postgres() { (cd / && runuser -u postgres -- "$@"); }
[ "$(as_postgres psql -tAc "select 1 from pg_roles where rolname = 'danhao'")" = 1 ] ||
    as_postgres createuser danhao
[ "$(as_postgres psql -tAc "select 1 from pg_database where datname = 'danhao'")" = 1 ] ||
    as_postgres createdb --owner danhao --encoding UTF8 --template template0 danhao
as_danhao() { (cd "$config" && runuser -u danhao -- env "DANHAO_CONFIG=$config/danhao.toml" "$@"); }
as_danhao "$danhao" db migrate
cmp -s "$plant" "$config/plant.toml" ||
    install -m 0640 -o root -g danhao "$plant" "$config/plant.toml"
as_danhao "$danhao" plant apply "$config/plant.toml"

for file in danhao.target danhao-ingest@.service danhao-api.service danhao-national.service \
    danhao-backup.service danhao-backup.timer; do
    install -m 0644 "$here/$file" "$units/$file"
done
systemctl daemon-reload
systemctl enable --quiet danhao.target danhao-ingest@1.service danhao-api.service danhao-backup.timer
systemctl restart mosquitto.service
systemctl start danhao.target danhao-backup.timer

say "installed. Secrets of agents: $private/broker/secrets, to be carried to their gateways"
say "next: docs/deploy.md, 'The first person'; then $danhao doctor --backups $backups"
