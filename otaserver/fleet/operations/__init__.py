"""What can be done with vehicles, their credentials, attributes and groups."""

from otaserver.fleet.operations.attributes import declare_attribute, set_attributes, set_fleet_attributes
from otaserver.fleet.operations.authority import create_fleet_authority
from otaserver.fleet.operations.claims import create_claim_code, create_claim_codes, expire_claims
from otaserver.fleet.operations.configurations import refresh_configuration, refresh_configurations
from otaserver.fleet.operations.enrolment import enrol
from otaserver.fleet.operations.groups import (
    add_to_group,
    create_group,
    lift_block_list,
    make_block_list,
    remove_from_group,
)
from otaserver.fleet.operations.identity import (
    Enrolment,
    identify_certificate,
    identify_token,
    renew,
    revoke_credentials,
)
from otaserver.fleet.operations.imports import begin_import, due_imports, end_import, run_import
from otaserver.fleet.operations.inventory import record_inventory
from otaserver.fleet.operations.keyless import KeylessEcu, declare_vehicle
from otaserver.fleet.operations.shared_tokens import (
    check_gateway_token,
    create_gateway_token,
    give_token,
    identify_pre_shared,
    revoke_gateway_token,
)
from otaserver.fleet.operations.vehicles import (
    block_vehicle,
    create_vehicles,
    mark_test_bench,
    record_client,
    record_contact,
    set_time_zone,
    unblock_vehicle,
)
from otaserver.fleet.rules import EcuDeclaration, EnrolmentRequest
from otaserver.fleet.states import InventoryMode

__all__ = [
    "EcuDeclaration",
    "Enrolment",
    "EnrolmentRequest",
    "InventoryMode",
    "KeylessEcu",
    "add_to_group",
    "begin_import",
    "block_vehicle",
    "check_gateway_token",
    "create_claim_code",
    "create_claim_codes",
    "create_fleet_authority",
    "create_gateway_token",
    "create_group",
    "create_vehicles",
    "declare_attribute",
    "declare_vehicle",
    "due_imports",
    "end_import",
    "enrol",
    "expire_claims",
    "give_token",
    "identify_certificate",
    "identify_pre_shared",
    "identify_token",
    "lift_block_list",
    "make_block_list",
    "mark_test_bench",
    "record_client",
    "record_contact",
    "record_inventory",
    "refresh_configuration",
    "refresh_configurations",
    "remove_from_group",
    "renew",
    "revoke_credentials",
    "revoke_gateway_token",
    "run_import",
    "set_attributes",
    "set_fleet_attributes",
    "set_time_zone",
    "unblock_vehicle",
]
