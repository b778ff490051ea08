"""The one reading of `Authorization: Bearer …` (RFC 6750, 2.1). A leaf."""

import re

# The scheme in any case (RFC 9110, 11.1); of a token whatever can stand in a header without a space.
_BEARER = re.compile(r"\s*bearer\s+([!-~]{1,200})\s*\Z", re.IGNORECASE)


def bearer_token(header: str) -> str | None:
    """Return the token that an Authorization header shows, or None: it shows none that could be one."""
    found = _BEARER.match(header)
    return found[1] if found else None
