from otaserver.recovery.operations.backups import Description, back_up, describe, restore
from otaserver.recovery.operations.raising import Recovered, recover, unknown_tenants

__all__ = ["Description", "Recovered", "back_up", "describe", "recover", "restore", "unknown_tenants"]
