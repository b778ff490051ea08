from django.db.models import TextChoices


class CredentialKind(TextChoices):
    TOKEN = "token"  # a bearer token, stored as its SHA-256
    CERTIFICATE = "certificate"  # a client certificate of the tenant's fleet CA, known by its serial number


class AttributeType(TextChoices):
    TEXT = "text"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"


class GroupKind(TextChoices):
    STATIC = "static"  # vehicles chosen by hand
    DYNAMIC = "dynamic"  # vehicles that match a filter, at the moment of asking
