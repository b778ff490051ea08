from otaserver.recovery.operations.backups import Description, back_up, describe, has_other_secrets, restore
from otaserver.recovery.operations.drills import (
    Drill,
    Line,
    director_key,
    fleet_ca,
    release_key,
    url_secret,
    withdrawn_package,
)
from otaserver.recovery.operations.raising import Recovered, recover, unknown_tenants

__all__ = [
    "Description",
    "Drill",
    "Line",
    "Recovered",
    "back_up",
    "describe",
    "director_key",
    "fleet_ca",
    "has_other_secrets",
    "recover",
    "release_key",
    "restore",
    "unknown_tenants",
    "url_secret",
    "withdrawn_package",
]
