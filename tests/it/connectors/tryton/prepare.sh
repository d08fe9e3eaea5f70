#!/usr/bin/env bash
# Installs a Tryton server into a folder and makes a shop's database in it: about two minutes, once. The tests copy the database.
#
# Usage: prepare.sh FOLDER, then KONTOR_TEST_TRYTON=FOLDER cargo test
set -euo pipefail
here="$(cd "$(dirname "$0")" && pwd)"
mkdir -p "$1"
folder="$(cd "$1" && pwd)"
[ -e "$folder/ready" ] && exit 0

python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'trytond~=8.2' trytond-sale trytond-stock-package trytond-account-invoice-stock \
  trytond-sale-supply-drop-shipment proteus
cat >"$folder/trytond.conf" <<CONF
[database]
uri = sqlite://
path = $folder
CONF
printf 'a-password-for-tests' >"$folder/password"
rm -f "$folder/shop.sqlite"
touch "$folder/shop.sqlite"
export TRYTONPASSFILE="$folder/password"
admin() { "$folder/venv/bin/trytond-admin" -c "$folder/trytond.conf" -d shop "$@"; }
admin --all --email shop@example.com >"$folder/log" 2>&1
admin -u sale stock_package account_invoice_stock sale_supply_drop_shipment --activate-dependencies >>"$folder/log" 2>&1
"$folder/venv/bin/python" "$here/shop.py" "$folder/trytond.conf" shop >>"$folder/log" 2>&1
touch "$folder/ready"
