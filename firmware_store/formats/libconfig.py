"""The syntax of libconfig, in which sw-description is written: text in, plain values out.

Groups become dicts, arrays and lists become lists. `@include` is refused: SWUpdate does not take it either, and it
would read the server's files.
"""

import re
from typing import Any

from firmware_store.formats.errors import FormatMalformedError, FormatUnsupportedError

MAX_DEPTH = 32
MAX_VALUES = 20_000
_SKIPPED = re.compile(r"(?:\s+|\#[^\n]*|//[^\n]*|/\*(?:[^*]|\*(?!/))*+\*/)*+")
_TOKEN = re.compile(
    r"""(?P<string>"(?:[^"\\]|\\.)*+")
    | (?P<number>[-+]?(?:0[xX][0-9A-Fa-f]{1,16}L{0,2}|(?:\d{0,40}\.\d{0,40}|\d{1,40})(?:[eE][-+]?\d{1,4})?L{0,2}))
    | (?P<name>[A-Za-z*][-A-Za-z0-9_*]*)
    | (?P<mark>[{}()\[\],;=:])""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "v": "\v", "a": "\a", "b": "\b", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{2}|.)", re.DOTALL)


def parse(text: str) -> dict[str, Any]:
    """Return the settings of a configuration.

    Raises:
        FormatMalformedError: it is not libconfig; the sentence names the line.
        FormatUnsupportedError: it includes other files, or nests or counts more than any description does.
    """
    reader = _Reader(text)
    return reader.settings(end="", depth=0)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._values = text, 0, 0
        self._advance()

    def settings(self, *, end: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._token != end:
            name = self._token
            if self._kind != "name" or name in found:
                raise self._error("is no name of a new setting")
            self._advance()
            if self._token not in ("=", ":") or self._kind != "mark":
                raise self._error("stands where = or : must")
            self._advance()
            found[name] = self._value(depth)
            while self._kind == "mark" and self._token in (";", ","):
                self._advance()
        return found

    def _value(self, depth: int) -> Any:
        self._values += 1
        if depth >= MAX_DEPTH or self._values > MAX_VALUES:
            raise FormatUnsupportedError(f"The description nests deeper than {MAX_DEPTH}, or has too many values.")
        if self._kind == "mark" and self._token in "{([":
            return self._container(depth)
        if self._kind == "string":
            return self._strings()
        token, kind = self._token, self._kind
        if kind == "number":
            self._advance()
            return _number(token)
        if kind == "name" and token.lower() in ("true", "false"):
            self._advance()
            return token.lower() == "true"
        raise self._error("is no value")

    def _container(self, depth: int) -> Any:
        opening = self._token
        self._advance()
        if opening == "{":
            inner: Any = self.settings(end="}", depth=depth + 1)
        else:
            inner = self._items(end=")" if opening == "(" else "]", depth=depth + 1)
        self._advance()
        return inner

    def _items(self, *, end: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while self._token != end or self._kind != "mark":
            items.append(self._value(depth))
            if self._kind == "mark" and self._token == ",":
                self._advance()
            elif self._token != end:
                raise self._error(f"stands where a comma or {end} must")
        return items

    def _strings(self) -> str:
        parts = []
        while self._kind == "string":  # one after another they are one, as in C
            parts.append(_ESCAPE.sub(_unescaped, self._token[1:-1]))
            self._advance()
        return "".join(parts)

    def _advance(self) -> None:
        skipped = _SKIPPED.match(self._text, self._at)
        self._at = skipped.end() if skipped else self._at
        if self._at == len(self._text):
            self._kind, self._token = "end", ""
            return
        found = _TOKEN.match(self._text, self._at)
        if found is None:
            self._kind, self._token = "unknown", self._text[self._at : self._at + 20]
            if self._token.startswith("@"):
                raise FormatUnsupportedError("The description includes another file, which SWUpdate does not allow.")
            raise self._error("begins nothing known")
        self._kind, self._token, self._at = str(found.lastgroup), found.group(), found.end()

    def _error(self, what: str) -> FormatMalformedError:
        line = self._text.count("\n", 0, self._at) + 1
        shown = f"{self._token[:40]!a}" if self._token else "The end"
        return FormatMalformedError(f"sw-description, line {line}: {shown} {what}.", line=line)


def _number(token: str) -> int | float:
    digits = token.rstrip("L")
    if "x" in digits.lower():
        return int(digits, 16)
    try:
        return int(digits) if digits.lstrip("+-").isdigit() else float(digits)
    except ValueError as error:
        raise FormatMalformedError(f"sw-description: {token[:40]!a} is no number.") from error


def _unescaped(found: re.Match[str]) -> str:
    code = found.group(1)
    # An unknown escape stays as it stands, which regular expressions rely on.
    return chr(int(code[1:], 16)) if code[0] == "x" and len(code) == 3 else _ESCAPES.get(code, found.group())
