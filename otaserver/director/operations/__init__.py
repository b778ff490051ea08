from otaserver.director.operations.directions import direct
from otaserver.director.operations.manifests import ReceivedManifest, receive_manifest
from otaserver.director.operations.metadata import metadata_for

__all__ = ["ReceivedManifest", "direct", "metadata_for", "receive_manifest"]
