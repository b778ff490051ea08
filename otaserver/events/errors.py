from otaserver.errors import ConflictError, NotFoundError, RefusedError


class EndpointRefusedError(RefusedError):
    """No webhook can be delivered to such an endpoint."""

    code = "webhook.refused"


class TooManyEndpointsError(ConflictError):
    code = "webhook.too_many"


class EndpointNotActiveError(ConflictError):
    code = "webhook.not_active"


class SpanRefusedError(RefusedError):
    """Deliveries of such a time span cannot be made again."""

    code = "webhook.span"


class MailSettingsRefusedError(RefusedError):
    code = "mail.settings"


class MemberNotFoundError(NotFoundError):
    code = "member.not_found"
