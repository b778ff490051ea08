from otaserver.privacy.operations.pseudonyms import Pseudonym, pseudonymise_vehicle
from otaserver.privacy.operations.retention import prune_records, set_retention

__all__ = ["Pseudonym", "prune_records", "pseudonymise_vehicle", "set_retention"]
