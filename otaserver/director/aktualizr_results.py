"""What aktualizr says came of an update (its `installation_report`), in the codes of the failure catalogue. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otaserver.director import correlations
from otaserver.director.manifests import MAX_MESSAGE_LENGTH, ManifestReport

_SUCCESSES = frozenset({"OK", "ALREADY_PROCESSED"})
# Installed, and it needs a restart: how it ends, a later report says.
_UNFINISHED = "NEED_COMPLETION"
# Worst first: where ECUs differ, the worst counts. What is not here (UNKNOWN, CUSTOM_ERROR, an ECU's own codes) may
# have touched the ECU, and is taken for an installation that failed.
_FAILURES = (
    ("VERIFICATION_FAILED", "verification_failed"),
    ("INSTALL_FAILED", "install_failed"),
    ("INTERNAL_ERROR", "internal"),
    ("GENERAL_ERROR", "internal"),
    ("OPERATION_CANCELLED", "interrupted"),
    ("DOWNLOAD_FAILED", "download_failed"),
)


@dataclass(frozen=True)
class ReadReport:
    """The report in neutral words; None with a reason where it is none that can be believed."""

    report: ManifestReport | None
    problem: str = ""


def read_report(found: Any) -> ReadReport:
    """Read the `installation_report` of a manifest. One that cannot be read never costs the manifest its proof."""
    report = found.get("report") if isinstance(found, Mapping) else None
    if not isinstance(report, Mapping):
        return ReadReport(None, "no report in it")
    attempt = correlations.attempt_of(str(report.get("correlation_id", "")))
    result = report.get("result")
    if attempt is None or not isinstance(result, Mapping):
        return ReadReport(None, "of no order of this server")
    codes = _codes(str(result.get("code", "")))
    if result.get("success", set(codes) <= _SUCCESSES) is True:
        return ReadReport(ManifestReport(attempt, "success", "", _message(report, result)))
    if _UNFINISHED in codes and set(codes) <= _SUCCESSES | {_UNFINISHED}:
        return ReadReport(ManifestReport(attempt, "none", "", _message(report, result)))
    return ReadReport(ManifestReport(attempt, "failure", failure_code(codes), _message(report, result)))


def failure_code(codes: Sequence[str]) -> str:
    """Return the catalogue's code for the worst of these result codes, of which one at least is no success."""
    known = dict(_FAILURES)
    wrong = {code for code in codes if code not in _SUCCESSES and code != _UNFINISHED}
    if not wrong or wrong - known.keys():
        wrong.add("INSTALL_FAILED")
    return next(meaning for code, meaning in _FAILURES if code in wrong)


def _codes(text: str) -> list[str]:
    """Return the codes in `CODE`, or in `hwid1:CODE|hwid2:CODE` where ECUs differ."""
    return [part.rpartition(":")[2] for part in text.split("|")]


def _message(report: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    items = report.get("items")
    told = [_told(item) for item in items] if isinstance(items, list) else []
    parts = [f"{result.get('code', '')}: {result.get('description', '')}", *told, str(report.get("raw_report", ""))]
    return printable(" ".join(part for part in parts if part))[:MAX_MESSAGE_LENGTH]


def _told(item: Any) -> str:
    result = item.get("result") if isinstance(item, Mapping) else None
    return f"[{item.get('ecu', '')}: {result.get('code', '')}]" if isinstance(result, Mapping) else ""


def printable(text: str) -> str:
    """Return the text as every database keeps it: what is no character to be read becomes a space."""
    return "".join(character if character.isprintable() else " " for character in text)
