"""What a manifest says, apart from when and how often it was said: pure."""

import hashlib
import json
from collections.abc import Sequence

from otaserver.director.manifests import VehicleManifest

# What its client reported and nobody could read has to be looked at one by one.
_ALWAYS_KEPT = "report_unread:"


def said_sha256(manifest: VehicleManifest, findings: Sequence[str]) -> str:
    """Return a digest of what each ECU runs and noticed, and of what was odd; equal ones in a row say nothing new.

    Empty for a manifest with the report of an attempt: no other is like it.
    """
    if manifest.report is not None or any(finding.startswith(_ALWAYS_KEPT) for finding in findings):
        return ""
    said = [manifest.primary_serial, sorted(findings)]
    ecus = [[one.serial, one.target_name, one.sha256, one.length, one.attacks] for one in manifest.ecus]
    return hashlib.sha256(json.dumps([*said, sorted(ecus)]).encode()).hexdigest()
