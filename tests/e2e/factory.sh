# What there is before a release: keys, roots, the factory's software, and three vehicles that leave it. Sourced, with
# OTA_URL, OTA_TOKEN and OTA_KEYS as always, and FOLDER for files.
ota() { python -m clients.publisher "$@"; }  # the installed command `ota` is the same
vehicles="CAR1 CAR2 CAR3"

# Once for a tenant: keys, and the roots that vehicles are born with.
ota keys init --tenant default --role supplier --json > "$FOLDER/keys.json"
ota tenant polling 1
ota trust init --json > "$FOLDER/trust.json"
ota root fetch "$FOLDER"

# The factory's software, and three vehicles that leave it: a simulated fleet, which drives until this script ends.
head -c 20000 /dev/urandom > "$FOLDER/engine-1.0.bin"
ota publish "$FOLDER/engine-1.0.bin" --role supplier --name engine --version 1.0 --hardware-id gateway
ota release create city-car 1 --package supplier/engine-1.0
for id in $vehicles; do ota vehicle claim-code "$id" --json; done |
    jq -s --arg folder "$FOLDER" '{
        tenant: "default", polling_seconds: 1,
        director_root: "\($folder)/director-root.tuf-1.0.json", image_root: "\($folder)/image-root.tuf-1.0.json",
        vehicles: map(.claim_codes[0] | {vehicle_id, claim_code, ecus: [{
            serial: "\(.vehicle_id)-gw", hardware_id: "gateway", is_primary: true,
            target_name: "supplier/engine-1.0", image: "\($folder)/engine-1.0.bin"}]})}' > "$FOLDER/fleet.json"
python -m clients.fleet run "$FOLDER/fleet.json" --folder "$FOLDER/fleet" --url "$OTA_URL" > "$FOLDER/fleet.out" 2>&1 &
trap "kill $! && wait $! || true" EXIT
until [ "$(ota vehicle list --json | jq 'map(select(.confirmed_at)) | length')" = 3 ]; do sleep 1; done
