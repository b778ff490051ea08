"""Where a vehicle's names stand, in sentences and in JSON values: as whole words only, by what an id may hold: pure.

A vehicle may call its computers whatever it likes, also `1` or `campaign`. So serials are replaced only in what is
about their vehicle, and of JSON only values: never a key, never a number, never a word of the server's own.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

Replaced = Callable[[str], str]
# What an id may hold (`fleet.rules`); the full stop and the colon also end a word in a sentence.
_IN_IDS = r"0-9A-Za-z._:@+~=\-"
_WHOLE = (rf"(?<![{_IN_IDS}])", r"(?![.:]*[0-9A-Za-z_@+~=\-])")
# In what is about the vehicle its id also stands in other words: `vin=VIN1`, `VIN1.local`.
_LOOSE = ("(?<![0-9A-Za-z])", "(?![0-9A-Za-z])")
_PART = (r"(?<![0-9A-Za-z._@+~\-])", r"(?!\.*[0-9A-Za-z_@+~\-])")
# Under these keys stand the server's own words, which a serial may happen to be.
_OWN_WORDS = frozenset({"actor", "code", "decision", "hardware_id", "kind", "language", "phase", "state", "tenant"})


def replacer(known: Mapping[str, str], *, others: Collection[str] = ()) -> Replaced:
    """Return a function that replaces each of these names where it stands as a whole word; `others` stay as they are.

    A word is all that an id may hold: `VIN1` does not stand in `VIN1-b`, `a.VIN1` or `VIN12`. A full stop or colon at
    its end belongs to the sentence, unless that makes it one of `others`, the ids of other vehicles.
    """
    return _replacer(dict.fromkeys({*others, *known}, _WHOLE), known)


def replacer_within(vehicle_id: str, known: Mapping[str, str], *, others: Collection[str] = ()) -> Replaced:
    """Return a function that replaces the vehicle's id and its serials in what is about this vehicle.

    There the id is replaced also inside other words, but for the ids of `others`; serials as whole words or after and
    before a colon or an equals sign.
    """
    edges = dict.fromkeys({*others, vehicle_id}, _LOOSE)
    return _replacer(dict.fromkeys(known, _PART) | edges, known)


def rewritten(value: Any, replaced: Replaced) -> Any:
    """Return a JSON value with `replaced` done to every string in it, but to no key and to none of our own words."""
    if isinstance(value, str):
        return replaced(value)
    if isinstance(value, Mapping):
        return {key: item if key in _OWN_WORDS else rewritten(item, replaced) for key, item in value.items()}
    return [rewritten(item, replaced) for item in value] if isinstance(value, list | tuple) else value


def stands_in(vehicle_id: str, value: Any, *, others: Collection[str] = ()) -> bool:
    """Return whether the id stands in a JSON value as `replacer` would find it."""
    found: list[str] = []
    replaced = replacer({vehicle_id: ""}, others=others)

    def seen(text: str) -> str:
        if replaced(text) != text:
            found.append(text)
        return text

    rewritten(value, seen)
    return bool(found)


def _replacer(edges: Mapping[str, tuple[str, str]], known: Mapping[str, str]) -> Replaced:
    # The longest first: a serial may begin with the vehicle's id, and another's id may go on where this one ends.
    names = sorted(edges, key=len, reverse=True)
    pattern = re.compile("|".join(f"{edges[name][0]}{re.escape(name)}{edges[name][1]}" for name in names))

    def replaced(text: str) -> str:
        # A whole value first, whatever stands at its edges.
        return known[text] if text in known else pattern.sub(lambda found: known.get(found[0], found[0]), text)

    return replaced
