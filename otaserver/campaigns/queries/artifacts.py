from firmware_store.formats.facts import Format
from firmware_store.models import Package
from firmware_store.queries import package_contents
from otaserver.campaigns.rules import artifacts


def artifact_of(package: Package) -> str:
    """Return what the artifact in a package is called, to a client that takes one at a time (Mender's artifact name).

    That is what its file says; in a file that says nothing it is taken to be built with the package's own name.
    """
    contents = package_contents(package)
    stated = contents.details.get("artifact_name", "") if contents.format == Format.MENDER else ""
    return str(stated) or artifacts.artifact_name(package.name, package.version)
