"""The two refusals that aktualizr tells apart, by its own words in `code`."""

from otaserver.errors import ConflictError


class DeviceAlreadyRegisteredError(ConflictError):
    code = "device_already_registered"


class EcuAlreadyRegisteredError(ConflictError):
    code = "ecu_already_registered"
