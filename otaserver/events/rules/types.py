"""Every type of event: its stable name, what it tells, and from which entries of the audit record it is made.

A type's data (docs/events.md) has a version: what is here may gain fields, and never loses or changes one.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from otaserver.events.states import MailKind

DATA_VERSION = 1
ENGINE = "engine"
ASSIGNMENTS_SETTLED = "assignment.settled"
TEST = "webhook.test"


@dataclass(frozen=True)
class EventType:
    """`details` are the fields of the audit entry that are handed on; `mail` is who is written to about it."""

    name: str
    sentence: str
    details: tuple[str, ...] = ()
    mail: MailKind | None = None
    # Types of which there may be thousands reach only endpoints that name them.
    only_when_named: bool = False
    from_action: str = field(default="")

    @property
    def action(self) -> str:
        """The audit entry's action."""
        return self.from_action or self.name


_CAMPAIGN = (
    EventType("campaign.created", "Campaign {name} was drafted."),
    EventType(
        "campaign.approval_wanted",
        "Campaign {name} waits for approval.",
        mail=MailKind.APPROVALS,
        from_action="campaign.submitted",
    ),
    EventType("campaign.approval_given", "Campaign {name} has one approval more, and needs others."),
    EventType("campaign.approved", "Campaign {name} is approved."),
    EventType("campaign.rejected", "Campaign {name} went back to its author."),
    EventType("campaign.changed", "Campaign {name} was changed."),
    EventType("campaign.scheduled", "Campaign {name} is scheduled."),
    EventType("campaign.unscheduled", "Campaign {name} does not start by itself any more."),
    EventType("campaign.started", "Campaign {name} has started."),
    EventType("campaign.not_started", "Campaign {name} could not start.", mail=MailKind.HALTS),
    EventType("campaign.paused", "Campaign {name} is paused."),
    EventType("campaign.resumed", "Campaign {name} goes on."),
    EventType("campaign.halted", "Campaign {name} was halted.", ("about",), MailKind.HALTS),
    EventType("campaign.rolling_back", "Campaign {name} is rolled back.", ("rollback",), MailKind.HALTS),
    EventType("campaign.not_rolled_back", "Campaign {name} could not be rolled back.", ("error",), MailKind.HALTS),
    EventType("campaign.completed", "Campaign {name} is completed.", ("counts",)),
    EventType("campaign.cancelled", "Campaign {name} was cancelled."),
)
_WAVE = (
    EventType("wave.opened", "A wave of campaign {name} is open."),
    EventType("wave.passed", "A wave of campaign {name} has passed."),
    EventType("wave.failed", "A wave of campaign {name} has failed."),
    EventType("wave.undecided", "A wave of campaign {name} waits for a person.", mail=MailKind.APPROVALS),
    EventType(
        ASSIGNMENTS_SETTLED, "Vehicles of campaign {name} are settled.", ("counts", "vehicles"), only_when_named=True
    ),
)
_SOFTWARE = (
    EventType("package.published", "Package {name} is published.", ("sha256",)),
    EventType("package.refused", "Package {name} was refused.", ("code",)),
    EventType("package.withdrawn", "Package {name} is withdrawn.", ("sha256",)),
    EventType("release.published", "Release {name} is there.", ("packages",)),
)
_TRUST = (
    EventType("root.published", "A root was published: {name}.", ("keys", "threshold")),
    EventType("targets.published", "Metadata was signed: {name}."),
    EventType("online_keys.rotated", "The online keys of {name} were replaced.", ("keys",)),
    EventType("metadata.expires_soon", "Signed metadata ends soon: {name}.", ("days", "expires"), MailKind.EXPIRIES),
    EventType("metadata.expired", "Signed metadata has ended: {name}.", ("days", "expires"), MailKind.EXPIRIES),
    EventType(
        "fleet_authority.expires_soon", "The CA of vehicles' certificates ends soon.", ("days", "expires"),
        MailKind.EXPIRIES,
    ),
    EventType(
        "vehicle_credentials.expire_soon", "Credentials of vehicles end soon.", ("days", "count"), MailKind.EXPIRIES
    ),
    EventType("service_token.expires_soon", "A token ends soon: {name}.", ("days", "expires"), MailKind.EXPIRIES),
)  # fmt: skip
_SERVER = (
    EventType("tenant.stopped", "Everything of tenant {name} is stopped.", ("reason", "campaigns"), MailKind.HALTS),
    EventType("tenant.resumed", "Tenant {name} goes on.", ("reason",)),
    EventType("webhook.paused", "Webhooks to {name} are paused.", ("reason",), MailKind.WEBHOOKS),
    EventType(TEST, "This is a test.", only_when_named=True),
)
TYPES: Mapping[str, EventType] = {each.name: each for each in (*_CAMPAIGN, *_WAVE, *_SOFTWARE, *_TRUST, *_SERVER)}
_BY_ACTION = {each.action: each for each in TYPES.values()}
_HALTED = TYPES["campaign.halted"]


def type_of(action: str, *, actor: str) -> EventType | None:
    """Return the type of event that an entry of the audit record is, or None: nobody is told.

    A halt by the engine is told by its notice, one by a person by the stop itself.
    """
    if action == "campaign.notify":
        return _HALTED
    if action == "campaign.stopped":
        return None if actor == ENGINE else _HALTED
    return None if action == _HALTED.name else _BY_ACTION.get(action)


def is_wanted(name: str, patterns: Collection[str]) -> bool:
    """Return whether an endpoint with these patterns (`campaign.halted`, `wave.*`) wants a type; none: the usual."""
    if not patterns:
        return not TYPES[name].only_when_named
    return name in patterns or f"{name.partition('.')[0]}.*" in patterns


def patterns_problem(patterns: Collection[str]) -> str | None:
    """Return why an endpoint cannot have these patterns, as a sentence, or None if it can."""
    known = {*TYPES, *(f"{name.partition('.')[0]}.*" for name in TYPES)}
    unknown = sorted(set(patterns) - known)
    return f"There is no type of event {unknown[0]!a:.100}." if unknown else None


def data_schema() -> dict[str, Any]:
    """Return the JSON Schema of every event's data, in this version."""
    text, number = {"type": "string"}, {"type": ["integer", "null"]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["tenant", "actor", "object", "sentence", "wave", "details"],
        "properties": {
            "tenant": text,
            "actor": text,
            "object": {
                "type": "object",
                "required": ["kind", "id", "name"],
                "properties": {"kind": text, "id": number, "name": text},
            },
            "sentence": text,
            "wave": number,
            "details": {"type": "object"},
        },
    }
