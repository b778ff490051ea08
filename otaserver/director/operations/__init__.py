from otaserver.director.operations.directions import direct
from otaserver.director.operations.manifests import ReceivedManifest, receive_manifest

__all__ = ["ReceivedManifest", "direct", "receive_manifest"]
