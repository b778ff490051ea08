"""Campaigns on a command line: what is typed of them, and what is shown."""

import json
from typing import Any

from rich.table import Table
from rich.text import Text

from clients.publisher.errors import InputError


def table_of(campaign: Any) -> Table:
    table = Table("wave", "size", "state", *campaign["counts"], title=Text(line_of(campaign)))
    for wave in campaign["waves"]:
        counts = [str(wave["counts"].get(state, 0)) for state in campaign["counts"]]
        table.add_row(str(wave["number"]), Text(size_of(wave)), wave["state"], *counts)
    return table


def size_of(wave: Any) -> str:
    if wave["percent"] is not None:
        return f"{wave['percent']} %"
    return f"group {wave['group']['name']}" if wave["group"] else f"{wave['count']} vehicles"


def line_of(campaign: Any) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in campaign["counts"].items())
    reason = f" ({campaign['reason']})" if campaign["reason"] else ""
    return f"{campaign['name']}: {campaign['state']}{reason}; {counts or 'no vehicles yet'}"


def read_wave(text: str) -> dict[str, Any]:
    size, colon, failures = text.rpartition(":") if ":" in text else (text, "", "")
    if colon and not failures.isdecimal():
        raise InputError(f"--wave takes percent or percent:failures; {text!r} is neither.", code="input.wave")
    kind, separator, value = size.partition("=")
    if separator and (kind not in ("count", "group") or not value or (kind == "count" and not value.isdecimal())):
        raise InputError(f"--wave takes a percent, count=N or group=NAME; {size!r} is none.", code="input.wave")
    sized: dict[str, Any] = {"percent": size}
    if separator:
        sized = {kind: int(value) if kind == "count" else value}
    return {**sized, **({"max_failed": int(failures)} if colon else {})}


def read_setting(text: str) -> tuple[str, Any]:
    name, separator, value = text.partition("=")
    try:
        if not separator:
            raise ValueError(text)
        return name, json.loads(value)
    except ValueError as error:
        raise InputError(f"--set takes field=JSON; {text!r} is not.", code="input.setting") from error
