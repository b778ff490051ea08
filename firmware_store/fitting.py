"""Whether what a package file says of itself fits what it was declared as. Pure."""

import re
from collections.abc import Iterable, Mapping, Sequence

from firmware_store.errors import ContentsHardwareError, ContentsVersionError
from firmware_store.formats.facts import Contents, Format
from firmware_store.rules import Declaration
from otaserver.errors import RefusedError

_REGEX = "#RE:"
# Quantified groups, back references and the like can take for ever; a revision needs none of them.
_MAX_REGEX, _MAX_QUANTIFIERS = 128, 3
_SAFE_REGEX = re.compile(r"[A-Za-z0-9 ._\-^$+*?\\\[\]|()]*\Z")
_REVISION = re.compile(r"[\^(]*[vVrR]?[0-9\[\\.]")
_DECLARABLE = re.compile(r"[A-Za-z0-9._-]\Z")


def contents_refusal(contents: Contents, declared: Declaration, *, is_known: bool) -> RefusedError | None:
    """Return why a file is not what it is declared as, or None if it is.

    `is_known` says that the tenant has published these bytes under this name before: signed again, as on the way back
    to old software, they may have another version than they state.
    """
    if contents.format == Format.PLAIN:
        return None
    stated = _stated_versions(contents)
    if stated and not is_known and not any(_is_version(one, declared.version, contents.format) for one in stated):
        return ContentsVersionError(
            f"The file states the version {stated[0]!a:.100}; {declared.version!a} was declared.",
            stated=stated[0][:200],
            declared=declared.version,
        )
    for hardware_id in declared.hardware_ids:
        if not _fits(contents, hardware_id):
            return ContentsHardwareError(
                f"The file is for {', '.join(contents.hardware)!a:.200}; a vehicle's client with the hardware id "
                f"{hardware_id!a} would refuse it.",
                stated=[one[:200] for one in contents.hardware[:64]],
                declared=hardware_id,
            )
    return None


def _stated_versions(contents: Contents) -> list[str]:
    stated = [contents.version, contents.name] if contents.format == Format.MENDER else [contents.version]
    return [one for one in stated if one]


def _is_version(stated: str, declared: str, format_: Format) -> bool:
    if _is_alike(stated, declared):
        return True
    # Mender has names of artifacts in the place of versions: `gateway-1.1` is version 1.1.
    start, end = stated[: -len(declared)], stated[-len(declared) :]
    return format_ == Format.MENDER and bool(start) and not start[-1].isalnum() and _is_alike(end, declared)


def _is_alike(stated: str, declared: str) -> bool:
    """Return whether these are one version, where what cannot be declared may be any of `.`, `_` and `-`."""
    return len(stated) == len(declared) and all(
        one == other or (not _DECLARABLE.match(one) and other in "._-")
        for one, other in zip(stated, declared, strict=True)
    )


def _fits(contents: Contents, hardware_id: str) -> bool:
    if contents.format != Format.SWU:
        return hardware_id in contents.hardware
    boards: Mapping[str, Sequence[str]] = contents.details["boards"]
    board, _, revision = hardware_id.partition(":")
    if board not in boards and "" not in boards:
        return False
    return _fits_revisions(boards.get(board, boards.get("", [])), hardware_id, revision)


def _fits_revisions(revisions: Sequence[str], hardware_id: str, revision: str) -> bool:
    """Return whether SWUpdate's list of revisions has one for a hardware id `board` or `board:revision`.

    An id without a revision is any of its board's, which the list cannot be held against.
    """
    if not revisions or any(_matches(one, hardware_id) for one in revisions):
        return True
    if revision:
        return any(_matches(one, revision) for one in revisions)
    return _are_numbers(revisions)


def _are_numbers(revisions: Iterable[str]) -> bool:
    return all(_REVISION.match(one.removeprefix(_REGEX)) for one in revisions)


def _matches(entry: str, value: str) -> bool:
    if not entry.startswith(_REGEX):
        return entry == value
    pattern = entry.removeprefix(_REGEX)
    if not _is_harmless(pattern):
        return True  # the vehicle judges it; nothing is refused here on a guess
    try:
        return re.search(pattern, value, re.ASCII) is not None
    except re.error:
        return True


def _is_harmless(pattern: str) -> bool:
    quantifiers = sum(pattern.count(one) for one in "*+?")
    is_short = len(pattern) <= _MAX_REGEX and quantifiers <= _MAX_QUANTIFIERS
    return is_short and bool(_SAFE_REGEX.match(pattern)) and not re.search(r"\)[*+?]|\(\?|\\[0-9]", pattern)
