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
from otaserver.fleet.operations.authority_rotation import end_retired_authority, rotate_fleet_authority
from otaserver.fleet.operations.claims import create_claim_code, create_claim_codes, expire_claims
from otaserver.fleet.operations.configurations import configuration_of, refresh_configuration, refresh_configurations
from otaserver.fleet.operations.ddi import change_ddi_settings, record_config_data, register_controller
from otaserver.fleet.operations.ecu_swaps import announce_ecu_swap, declare_ecus
from otaserver.fleet.operations.endings import (
    Ended,
    end_ownership,
    mark_decommissioned,
    mark_personal,
    recommission_vehicle,
)
from otaserver.fleet.operations.enrolment import enrol
from otaserver.fleet.operations.group_changes import change_group, delete_group
from otaserver.fleet.operations.group_sizes import Size, ask_sizes, count_group, sizes_due
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
    identify_to_renew,
    identify_token,
    renew,
    revoke_credentials,
)
from otaserver.fleet.operations.imports import begin_import, due_imports, end_import, remove_left_files, run_import
from otaserver.fleet.operations.inventory import record_inventory
from otaserver.fleet.operations.keyless import KeylessEcu, declare_vehicle
from otaserver.fleet.operations.provisioning import (
    IssuedProvisioning,
    ProvisionedVehicle,
    identify_provisioner,
    issue_provisioning_credential,
    permit_provisioning,
    provision,
    revoke_provisioning_credential,
)
from otaserver.fleet.operations.registration import Registration, register_ecus
from otaserver.fleet.operations.sessions import identify_session
from otaserver.fleet.operations.shared_tokens import (
    NEVER,
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
    refuse_decommissioned,
    set_time_zone,
    unblock_vehicle,
)
from otaserver.fleet.operations.watches import (
    RequestFacts,
    Watching,
    expire_watches,
    note_refusal,
    note_request,
    watch_address,
    watch_vehicle,
    watching,
)
from otaserver.fleet.rules import EcuDeclaration, EnrolmentRequest
from otaserver.fleet.states import InventoryMode

__all__ = [
    "NEVER",
    "AuthenticationRequest",
    "EcuDeclaration",
    "Ended",
    "Enrolment",
    "EnrolmentRequest",
    "ExpectedDevice",
    "InventoryMode",
    "IssuedProvisioning",
    "KeylessEcu",
    "ProvisionedVehicle",
    "Registration",
    "RequestFacts",
    "Size",
    "Watching",
    "accept_authentication",
    "add_to_group",
    "announce_ecu_swap",
    "ask_sizes",
    "authenticate",
    "begin_import",
    "block_vehicle",
    "change_ddi_settings",
    "change_group",
    "check_gateway_token",
    "configuration_of",
    "count_group",
    "create_claim_code",
    "create_claim_codes",
    "create_fleet_authority",
    "create_gateway_token",
    "create_group",
    "create_vehicles",
    "declare_attribute",
    "declare_ecus",
    "declare_hardware",
    "declare_vehicle",
    "delete_group",
    "due_imports",
    "end_import",
    "end_ownership",
    "end_retired_authority",
    "enrol",
    "expire_claims",
    "expire_watches",
    "forget_wishes",
    "give_token",
    "identify_certificate",
    "identify_pre_shared",
    "identify_provisioner",
    "identify_session",
    "identify_to_renew",
    "identify_token",
    "issue_provisioning_credential",
    "issue_tenant_token",
    "lift_block_list",
    "make_block_list",
    "mark_decommissioned",
    "mark_personal",
    "mark_test_bench",
    "note_refusal",
    "note_request",
    "permit_provisioning",
    "preauthorise",
    "provision",
    "recommission_vehicle",
    "record_client",
    "record_config_data",
    "record_contact",
    "record_inventory",
    "refresh_configuration",
    "refresh_configurations",
    "refuse_decommissioned",
    "register_controller",
    "register_ecus",
    "reject_authentication",
    "remove_from_group",
    "remove_left_files",
    "renew",
    "revoke_credentials",
    "revoke_gateway_token",
    "revoke_provisioning_credential",
    "revoke_tenant_token",
    "rotate_fleet_authority",
    "run_import",
    "set_attributes",
    "set_fleet_attributes",
    "set_time_zone",
    "sizes_due",
    "tenant_of_token",
    "unblock_vehicle",
    "watch_address",
    "watch_vehicle",
    "watching",
]
