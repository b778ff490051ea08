from otaserver.campaigns.queries.vehicle_orders import VehicleOrder
from otaserver.campaigns.rules import artifacts


def artifact_of(order: VehicleOrder) -> str:
    """Return what the artifact that an order brings is called, to a client that takes one at a time."""
    package = order.packages[0]
    return artifacts.artifact_name(package.name, package.version)
