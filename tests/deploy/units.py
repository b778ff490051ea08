"""systemd's units, read as systemd reads them, as far as those in `deploy/` go: what is not known here is an error."""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field

# What a unit may say. What this host cannot do (`User`, `ProtectSystem` and the like) is at least spelled right.
KNOWN = {
    "Unit": {"Description", "After", "Wants", "Requires", "PartOf", "StartLimitIntervalSec", "StartLimitBurst"},
    "Service": {
        *("Type", "RemainAfterExit", "User", "Group", "WorkingDirectory", "EnvironmentFile", "UMask"),
        *("NoNewPrivileges", "PrivateTmp", "ProtectSystem", "ProtectHome", "ReadWritePaths", "AmbientCapabilities"),
        *("LimitNOFILE", "ExecStartPre", "ExecStart", "ExecReload", "Restart", "RestartSec"),
        *("KillMode", "KillSignal", "TimeoutStopSec"),
    },
    "Timer": {"OnCalendar", "RandomizedDelaySec", "Persistent"},
    "Install": {"WantedBy"},
}


class UnitError(ValueError):
    """systemd would not take it, or this reader does not know it."""


@dataclass(frozen=True)
class Unit:
    name: str
    settings: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    def all(self, name: str, *, section: str = "Service") -> list[str]:
        return self.settings.get((section, name), [])

    def one(self, name: str, default: str = "", *, section: str = "Service") -> str:
        """Return the last value, which counts."""
        return (self.all(name, section=section) or [default])[-1]

    def names(self, name: str) -> list[str]:
        """Return the units that a line of the first section names."""
        return " ".join(self.all(name, section="Unit")).split()


def read_unit(name: str, text: str) -> Unit:
    """Read a unit; of a template (`ota-web@.service`) the instance that `name` says.

    Raises:
        UnitError: a section, a setting or a specifier that is not known.
    """
    instance = name.partition("@")[2].rpartition(".")[0]
    found: dict[tuple[str, str], list[str]] = {}
    section = ""
    for line in text.replace("\\\n", " ").splitlines():
        if not line.strip() or line.startswith(("#", ";")):
            continue
        if line.startswith("["):
            section = line.strip("[] ")
            continue
        key, _, value = line.partition("=")
        if key not in KNOWN.get(section, ()):
            raise UnitError(f"{name}: [{section}] {line}")
        found.setdefault((section, key), []).append(_specified(value.strip(), instance, name))
    return Unit(name, found)


def _specified(text: str, instance: str, name: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[1] == "%":
            return "%"
        if match[1] == "i" and instance:
            return instance
        raise UnitError(f"{name}: {match[0]!r} in {text!r}")

    return re.sub(r"%(.?)", replace, text)


def words(line: str, environment: Mapping[str, str]) -> list[str]:
    """Return the words of a command line, with variables in their places.

    Raises:
        UnitError: a variable that is not set, which would be an empty word.
    """

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in environment:
            raise UnitError(f"{match[0]} in {line!r} is not set")
        return environment[name]

    return [re.sub(r"\$\{(\w+)\}|^\$(\w+)$", value, word) for word in shlex.split(line)]


def read_environment(text: str) -> dict[str, str]:
    """Read a file of variables."""
    found = {}
    for line in text.splitlines():
        if line.strip() and not line.startswith(("#", ";")):
            name, equals, value = line.partition("=")
            if not equals or not re.fullmatch(r"\w+", name):
                raise UnitError(line)
            found[name] = value.strip().strip("\"'")
    return found
