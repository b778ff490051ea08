from otaserver.director.operations.assertions import assert_installed
from otaserver.director.operations.directions import direct
from otaserver.director.operations.manifests import ReceivedManifest, receive_manifest
from otaserver.director.operations.metadata import metadata_for

__all__ = ["ReceivedManifest", "assert_installed", "direct", "metadata_for", "receive_manifest"]
