"""What is done with events: made from the audit record, delivered as webhooks, written about by mail."""

from otaserver.events.operations.deliveries import (
    Answer,
    Parcel,
    document_of,
    endpoints_due,
    keep,
    lease,
    next_parcel,
    record_answer,
    release,
)
from otaserver.events.operations.endpoints import (
    change_endpoint,
    create_endpoint,
    pause_endpoint,
    remove_endpoint,
    resume_endpoint,
    rotate_secret,
)
from otaserver.events.operations.expiries import warn_of_expiry
from otaserver.events.operations.feed import publish, tenants_with_news
from otaserver.events.operations.letters import (
    change_mail_settings,
    choose_mail,
    record_not_sent,
    record_sent,
    record_unwanted,
)
from otaserver.events.operations.outcomes import tell, tenants_that_ask
from otaserver.events.operations.replays import replay_delivery, replay_span, send_test
from otaserver.events.operations.retention import forget

__all__ = [
    "Answer",
    "Parcel",
    "change_endpoint",
    "change_mail_settings",
    "choose_mail",
    "create_endpoint",
    "document_of",
    "endpoints_due",
    "forget",
    "keep",
    "lease",
    "next_parcel",
    "pause_endpoint",
    "publish",
    "record_answer",
    "record_not_sent",
    "record_sent",
    "record_unwanted",
    "release",
    "remove_endpoint",
    "replay_delivery",
    "replay_span",
    "resume_endpoint",
    "rotate_secret",
    "send_test",
    "tell",
    "tenants_that_ask",
    "tenants_with_news",
    "warn_of_expiry",
]
