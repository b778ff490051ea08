"""Who is written to about what, where a member has not chosen."""

import re
from collections.abc import Mapping, Sequence

from otaserver.events.states import MailKind
from otaserver.tenants.states import Role

MAX_ADDRESSES = 20
# RFC 5322, 3.4.1, without what would have to be quoted: a comma would begin another address.
_ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+\Z")
# Those who can do something about it.
BY_ROLE: Mapping[str, frozenset[MailKind]] = {
    Role.VIEWER: frozenset(),
    Role.AUDITOR: frozenset(),
    Role.FLEET_MANAGER: frozenset({MailKind.HALTS, MailKind.EXPIRIES}),
    Role.RELEASE_ENGINEER: frozenset({MailKind.HALTS, MailKind.EXPIRIES}),
    Role.CAMPAIGN_MANAGER: frozenset({MailKind.HALTS}),
    Role.APPROVER: frozenset({MailKind.HALTS, MailKind.APPROVALS}),
    Role.ADMINISTRATOR: frozenset(MailKind),
}


def kinds_problem(kinds: Sequence[str]) -> str | None:
    """Return why these cannot be kinds of letters, as a sentence, or None."""
    unknown = sorted(set(kinds) - set(MailKind.values))
    return f"Kinds of mail are {', '.join(MailKind.values)}; {unknown[0]!a:.100} is not." if unknown else None


def addresses_problem(addresses: Sequence[str]) -> str | None:
    """Return why these cannot be written to, as a sentence, or None."""
    if len(addresses) > MAX_ADDRESSES:
        return f"A tenant has at most {MAX_ADDRESSES} further addresses, not {len(addresses)}."
    wrong = next((each for each in addresses if not _ADDRESS.match(each)), None)
    return None if wrong is None else f"{wrong!a:.100} is not an e-mail address."
