"""The names that an update client of one artifact at a time knows packages by (Mender's artifact name)."""

from collections.abc import Iterator


def artifact_name(name: str, version: str) -> str:
    """Return what the artifact in a package is called: it is built with that name, as `mender-artifact` takes it."""
    return f"{name}-{version}"


def possible_packages(artifact: str) -> Iterator[tuple[str, str]]:
    """Yield every name and version that an artifact of that name could be of."""
    for position, letter in enumerate(artifact):
        if letter == "-" and 0 < position < len(artifact) - 1:
            yield artifact[:position], artifact[position + 1 :]
