from otaserver.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    RefusedError,
    UnauthenticatedError,
)


class ClaimInvalidError(ForbiddenError):
    code = "claim.invalid"


class ClaimUsedError(ConflictError):
    code = "claim.used"


class ClaimRateLimitedError(RateLimitedError):
    code = "claim.rate_limited"


class VehicleIdRefusedError(RefusedError):
    code = "vehicle.id_refused"


class TimeZoneUnknownError(RefusedError):
    code = "vehicle.time_zone_unknown"


class VehicleNotFoundError(NotFoundError):
    code = "vehicle.not_found"


class VehicleBlockedError(ConflictError):
    code = "vehicle.blocked"


class VehicleNotBlockedError(ConflictError):
    code = "vehicle.not_blocked"


class ReasonMissingError(RefusedError):
    code = "vehicle.reason_missing"


class EcusRefusedError(RefusedError):
    code = "ecu.refused"


class EcuKeyRefusedError(RefusedError):
    code = "ecu.key_refused"


class EcuSerialTakenError(ConflictError):
    code = "ecu.serial_taken"


class CertificateRequestRefusedError(RefusedError):
    code = "certificate_request.refused"


class CredentialInvalidError(UnauthenticatedError):
    code = "credential.invalid"


class ProvisioningNameRefusedError(RefusedError):
    code = "provisioning.name_refused"


class ProvisioningNameTakenError(ConflictError):
    code = "provisioning.name_taken"


class ProvisioningLifetimeRefusedError(RefusedError):
    code = "provisioning.lifetime_refused"


class ProvisioningUnavailableError(ConflictError):
    """The tenant has no fleet CA, or nobody has told the server which CA its own certificate is of."""

    code = "provisioning.unavailable"


class ProvisioningRefusedError(ConflictError):
    """The vehicle is known already: whoever holds a shared credential may not take it over."""

    code = "provisioning.refused"


class TenantTokenUnknownError(UnauthenticatedError):
    code = "tenant_token.unknown"


class TenantTokenRefusedError(RefusedError):
    code = "tenant_token.refused"


class TenantTokenExistsError(ConflictError):
    code = "tenant_token.exists"


class AuthenticationSignatureError(UnauthenticatedError):
    code = "authentication.signature_invalid"


class AuthenticationRefusedError(RefusedError):
    """An identity or a key that cannot be one."""

    code = "authentication.refused"


class AuthenticationVehicleTakenError(ConflictError):
    """The vehicle lives by other credentials; end those first."""

    code = "authentication.vehicle_taken"


class AuthenticationExistsError(ConflictError):
    code = "authentication.exists"


class TooManyAuthenticationsError(RateLimitedError):
    code = "authentication.too_many"


class AttributeNameRefusedError(RefusedError):
    code = "attribute.name_refused"


class AttributeTypeRefusedError(RefusedError):
    code = "attribute.type_refused"


class AttributeExistsError(ConflictError):
    code = "attribute.exists"


class AttributeUnknownError(RefusedError):
    code = "attribute.unknown"


class AttributeValueRefusedError(RefusedError):
    code = "attribute.value_refused"


class GroupNameRefusedError(RefusedError):
    code = "group.name_refused"


class GroupInUseError(ConflictError):
    code = "group.in_use"


class GroupExistsError(ConflictError):
    code = "group.exists"


class GroupNotBlockListError(ConflictError):
    code = "group.not_block_list"


class GroupDynamicError(RefusedError):
    """Vehicles are put by hand into static groups only."""

    code = "group.dynamic"


class FilterRefusedError(RefusedError):
    """A filter that cannot be answered; the details say where: line and column (from 1), token and rule."""

    code = "filter.refused"

    def __init__(self, message: str, *, line: int, column: int, token: str, rule: str, **details: object) -> None:
        super().__init__(
            f"Line {line}, column {column}: {message}", line=line, column=column, token=token, rule=rule, **details
        )


class FilterSyntaxError(FilterRefusedError):
    code = "filter.syntax"


class FilterTooComplexError(FilterRefusedError):
    code = "filter.too_complex"


class FilterUnknownFieldError(FilterRefusedError):
    code = "filter.unknown_field"


class FilterWrongTypeError(FilterRefusedError):
    code = "filter.wrong_type"


class FilterUnknownGroupError(FilterRefusedError):
    code = "filter.unknown_group"


class InventoryRefusedError(RefusedError):
    code = "inventory.refused"


class InventoryTooLargeError(RefusedError):
    """More attributes of one vehicle than are kept."""

    code = "inventory.too_large"


class VehicleOtherProtocolError(ConflictError):
    """A vehicle is known by another protocol, and its ECUs' keys would be lost."""

    code = "vehicle.other_protocol"


class TokenRefusedError(RefusedError):
    code = "shared_token.refused"


class TokenExistsError(ConflictError):
    code = "shared_token.exists"


class GatewayTokenNotFoundError(NotFoundError):
    code = "gateway_token.not_found"


class VehicleDecommissionedError(ConflictError):
    code = "vehicle.decommissioned"


class VehicleNotDecommissionedError(ConflictError):
    code = "vehicle.not_decommissioned"


class EcuUnknownError(RefusedError):
    code = "ecu.unknown"


class EcuChangeRefusedError(ForbiddenError):
    """A vehicle declares ECUs of which nobody has said that it would get them."""

    code = "ecu.change_not_announced"


class AuthorityMissingError(ConflictError):
    code = "fleet_authority.missing"


class AuthorityInUseError(ConflictError):
    code = "fleet_authority.in_use"


class DdiSettingsRefusedError(RefusedError):
    code = "ddi_settings.refused"


class ImportRefusedError(RefusedError):
    code = "import.refused"


class WatchRefusedError(RefusedError):
    code = "watch.refused"


class AddressRefusedError(RefusedError):
    code = "watch.address_refused"
