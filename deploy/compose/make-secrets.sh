#!/bin/sh
# Makes every secret of the stack in secrets/, once, with a self-signed certificate for a trial. Needs openssl.
# Usage: ./make-secrets.sh HOST
set -eu
host=${1:?"usage: ./make-secrets.sh HOST"}
cd "$(dirname "$0")"
if [ -e secrets ]; then
  echo "secrets/ exists already; move it away to make new ones" >&2
  exit 1
fi
# The folder keeps others on this host out; inside, containers of several users read the files.
umask 077
rm -rf secrets.new
mkdir secrets.new
cd secrets.new
new() { openssl rand -hex 24; }
put() { printf '%s' "$2" > "$1"; }

put postgres_password "$(new)"
put node_token "$(new)"
put grafana_password "$(new)"
password=$(new)
put orthanc_password "$password"
printf '{"RegisteredUsers": {"braintumor": "%s"}}\n' "$password" > orthanc_users.json
password=$(new)
printf 'default_user = braintumor\ndefault_pass = %s\n' "$password" > rabbitmq.conf
put broker_url "amqp://braintumor:$password@rabbitmq:5672//"
password=$(new)
put proxy_password "$password"
printf 'braintumor:%s\n' "$(printf '%s' "$password" | openssl passwd -6 -stdin)" > proxy_users
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 365 -subj "/CN=$host" \
  -addext "subjectAltName=DNS:$host" -keyout proxy.key -out proxy.crt 2>/dev/null
chmod 0444 ./*
cd ..
mv secrets.new secrets
echo "Made secrets/. Log in at https://$host/ as braintumor with secrets/proxy_password; Grafana: admin, secrets/grafana_password."
