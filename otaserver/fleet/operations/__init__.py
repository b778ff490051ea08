"""What can be done with vehicles, their credentials, attributes and groups."""

from otaserver.fleet.operations.admissions import (
    ExpectedDevice,
    accept_authentication,
    preauthorise,
    reject_authentication,
)
from otaserver.fleet.operations.attributes import declare_attribute, set_attributes, set_fleet_attributes
from otaserver.fleet.operations.authentication import AuthenticationRequest, authenticate, forget_wishes
from otaserver.fleet.operations.authority import create_fleet_authority
from otaserver.fleet.operations.claims import create_claim_code, create_claim_codes, expire_claims
from otaserver.fleet.operations.configurations import refresh_configuration, refresh_configurations
from otaserver.fleet.operations.ddi import change_ddi_settings, record_config_data, register_controller
from otaserver.fleet.operations.enrolment import enrol
from otaserver.fleet.operations.groups import (
    add_to_group,
    create_group,
    lift_block_list,
    make_block_list,
    remove_from_group,
)
from otaserver.fleet.operations.hardware import declare_hardware
from otaserver.fleet.operations.identity import (
    Enrolment,
    identify_certificate,
    identify_token,
    renew,
    revoke_credentials,
)
from otaserver.fleet.operations.inventory import record_inventory
from otaserver.fleet.operations.keyless import KeylessEcu, declare_vehicle
from otaserver.fleet.operations.sessions import identify_session
from otaserver.fleet.operations.shared_tokens import (
    check_gateway_token,
    create_gateway_token,
    give_token,
    identify_pre_shared,
    revoke_gateway_token,
)
from otaserver.fleet.operations.tenant_tokens import issue_tenant_token, revoke_tenant_token, tenant_of_token
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
    "AuthenticationRequest",
    "EcuDeclaration",
    "Enrolment",
    "EnrolmentRequest",
    "ExpectedDevice",
    "InventoryMode",
    "KeylessEcu",
    "accept_authentication",
    "add_to_group",
    "authenticate",
    "block_vehicle",
    "change_ddi_settings",
    "check_gateway_token",
    "create_claim_code",
    "create_claim_codes",
    "create_fleet_authority",
    "create_gateway_token",
    "create_group",
    "create_vehicles",
    "declare_attribute",
    "declare_hardware",
    "declare_vehicle",
    "enrol",
    "expire_claims",
    "forget_wishes",
    "give_token",
    "identify_certificate",
    "identify_pre_shared",
    "identify_session",
    "identify_token",
    "issue_tenant_token",
    "lift_block_list",
    "make_block_list",
    "mark_test_bench",
    "preauthorise",
    "record_client",
    "record_config_data",
    "record_contact",
    "record_inventory",
    "refresh_configuration",
    "refresh_configurations",
    "register_controller",
    "reject_authentication",
    "remove_from_group",
    "renew",
    "revoke_credentials",
    "revoke_gateway_token",
    "revoke_tenant_token",
    "set_attributes",
    "set_fleet_attributes",
    "set_time_zone",
    "tenant_of_token",
    "unblock_vehicle",
]
