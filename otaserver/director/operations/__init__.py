from otaserver.director.operations.assertions import assert_installed
from otaserver.director.operations.directions import direct
from otaserver.director.operations.manifests import ReceivedManifest, receive_manifest
from otaserver.director.operations.metadata import metadata_for, unchanged_until
from otaserver.director.operations.unknown_software import assert_unknown

__all__ = [
    "ReceivedManifest",
    "assert_installed",
    "assert_unknown",
    "direct",
    "metadata_for",
    "receive_manifest",
    "unchanged_until",
]
