from collections.abc import Mapping
from typing import Any

from firmware_store.formats.facts import Contents, Format
from firmware_store.models import Package
from otaserver.campaigns.rules import artifacts


def artifact_of(package: Package) -> str:
    """Return what the artifact in a package is called, to a client that takes one at a time (Mender's artifact name).

    That is what its file says; in a file that says nothing it is taken to be built with the package's own name.
    """
    return artifact_in(package.contents, package.name, package.version)


def artifact_in(read: Mapping[str, Any] | None, name: str, version: str) -> str:
    """Return the same of a package of this name and version, by what was read in its file (`Package.contents`)."""
    contents = Contents.loaded(read or {})
    stated = contents.details.get("artifact_name", "") if contents.format == Format.MENDER else ""
    return str(stated) or artifacts.artifact_name(name, version)
