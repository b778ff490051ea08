#!/usr/bin/env bash
# A whole release, from making keys to a finished campaign, by the command line alone; docs/pipeline.md explains it.
# From the environment: OTA_URL, OTA_TOKEN and OTA_KEYS as always; FOLDER for files; HOOK, where events are posted to.
set -euo pipefail
cd "$(dirname "$0")/../.."
. tests/e2e/factory.sh

# The release: built, signed and published; published again, as by a pipeline that was started twice.
head -c 300000 /dev/urandom > "$FOLDER/engine-2.0.bin"
for is_new in true false; do
    ota publish "$FOLDER/engine-2.0.bin" --role supplier --name engine --version 2.0 --hardware-id gateway --json \
        > "$FOLDER/published.json"
    [ "$(jq .is_new "$FOLDER/published.json")" = $is_new ]
done
ota release create city-car 2 --package supplier/engine-2.0 --note "en=Smoother starts"

# For whom, in which waves; and who is told.
ota group create everyone --filter 'vehicle_id ~ "CAR"'
hook=$(ota webhook add "$HOOK" --type 'campaign.*' --type assignment.settled --json | jq .id)
ota campaign create autumn --release city-car 2 --fallback city-car 1 --group everyone \
    --wave count=1 --wave 100 --soak-seconds 5
ota campaign submit autumn
ota campaign approve autumn --revision "$(ota campaign show autumn --json | jq .revision)"
ota campaign start autumn
ota campaign pause autumn --reason "A look at the first vehicle."
ota campaign resume autumn

# The pipeline waits here; the exit code says how it went.
ota campaign watch autumn --every 0.5 --json > "$FOLDER/watched.json"
ota campaign explain autumn
ota campaign replay autumn
[ "$(ota campaign assignments autumn --state succeeded --json | jq length)" = 3 ]

# What cannot be has an exit code of its own: 2 wrong input, 4 not reachable.
code=0; ota release show city-car 3 2> "$FOLDER/refused.txt" || code=$?
[ $code = 2 ]
code=0; OTA_URL=http://127.0.0.1:9 ota tenant approvals 1 2> "$FOLDER/unreachable.txt" || code=$?
[ $code = 4 ]
until [ "$(ota webhook deliveries "$hook" --json | jq 'map(select(.state == "pending")) | length')" = 0 ]; do sleep 1; done
ota webhook deliveries "$hook" --state delivered
