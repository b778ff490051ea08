from otaserver.recovery.operations.raising import Recovered, recover, unknown_tenants

__all__ = ["Recovered", "recover", "unknown_tenants"]
