"""Vehicles and what is known of them: ECUs, credentials, declared attributes, groups."""

from django.db import models
from django.db.models import Q

from otaserver.deferring import Deferring
from otaserver.fleet import (  # noqa: F401 - their models belong to this app too
    arrival_models,
    authentication_models,
    counting_models,
    lifecycle_models,
    naming,
    naming_models,
    protocol_models,
    provisioning_models,
    watch_models,
)
from otaserver.fleet.contact_hours import HourOf
from otaserver.fleet.states import AttributeType, CredentialKind, GroupKind, Protocol
from otaserver.tenants.models import Tenant
from otaserver.tenants.telling import Tells

# Printable ASCII without spaces: it stands in signed metadata, certificates and addresses.
VEHICLE_ID_MAX_LENGTH = 64


class Configuration(models.Model):
    """What a vehicle's ECUs are and run; vehicles that are alike share one row, and no row ever changes.

    `ecus` is the sorted list of [hardware id, target name, SHA-256] of all of them, the last two empty where nothing
    was proved yet; `sha256` is the digest of its canonical JSON.
    """

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="configurations", db_index=False)
    sha256 = models.CharField(max_length=64)
    ecus = models.JSONField()

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "sha256", name="configuration_once_per_tenant")]

    def __str__(self) -> str:
        return ", ".join(f"{hardware_id}: {target or '-'}" for hardware_id, target, _ in self.ecus)


class VehicleQuerySet(models.QuerySet["Vehicle"]):
    def of(self, tenant: Tenant) -> "VehicleQuerySet":
        return self.filter(tenant=tenant)


class Vehicle(Deferring):
    """One car (or other machine), known to its tenant by `vehicle_id` (VIN or any device id)."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="vehicles", db_index=False)
    vehicle_id = models.CharField(max_length=VEHICLE_ID_MAX_LENGTH)
    created_at = models.DateTimeField()
    enrolled_at = models.DateTimeField(null=True, blank=True)
    last_contact_at = models.DateTimeField(null=True, blank=True)
    # Conditions on the time: `contact_hours.last_contact`.
    last_contact_hour = models.GeneratedField(
        expression=HourOf("last_contact_at"), output_field=models.DateTimeField(null=True), db_persist=True
    )
    # When the vehicle last proved what it runs (a verified manifest).
    confirmed_at = models.DateTimeField(null=True, blank=True)
    # A blocked vehicle is answered but offered nothing.
    blocked_at = models.DateTimeField(null=True, blank=True)
    blocked_reason = models.TextField(blank=True)
    # It is scrapped, or out of this server's hands: it is nobody's until somebody takes it back.
    decommissioned_at = models.DateTimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")
    protocol = models.CharField(max_length=10, choices=Protocol.choices, default=Protocol.UPTANE)
    # What its client calls itself (User-Agent), as it last said: some clients of a protocol can do more than others.
    client = models.CharField(max_length=100, blank=True)
    # What its ECUs are and run, written with every change of theirs; null before it enrols.
    configuration = models.ForeignKey(
        Configuration, models.PROTECT, related_name="vehicles", null=True, blank=True, editable=False
    )
    # On a test bench: a release may be ordered for it alone, without a campaign's gate, waves and approval.
    is_test_bench = models.BooleanField(default=False)
    # Until then its requests are kept, for somebody who looks why it does not get through.
    watched_until = models.DateTimeField(null=True, blank=True)
    # The server asks this vehicle to send a manifest at its next contact.
    is_manifest_wanted = models.BooleanField(default=False)
    # A hint, so that a poll that has nothing to ask for looks nowhere else.
    is_health_wanted = models.BooleanField(default=False)
    # Attempts are numbered per vehicle (DDI's action id, a positive int32).
    last_attempt_number = models.PositiveIntegerField(default=0)

    objects = VehicleQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "vehicle_id", name="vehicle_id_once_per_tenant"),
            models.CheckConstraint(name="vehicle_id_not_empty", condition=~Q(vehicle_id="")),
            models.CheckConstraint(
                name="vehicle_decommissioned_not_enrolled", condition=Q(decommissioned_at=None) | Q(enrolled_at=None)
            ),
            # One that has never called was never answered: fleets come in by the million.
            Tells(
                name="vehicle_tells",
                vehicle="{row}.id",
                updates=[
                    *("tenant", "vehicle_id", "enrolled_at", "blocked_at", "decommissioned_at", "protocol", "client"),
                    *("configuration", "watched_until", "is_manifest_wanted", "is_health_wanted"),
                ],
                deletes=True,
                identity=[
                    *("tenant", "vehicle_id", "enrolled_at", "blocked_at", "decommissioned_at", "protocol", "client"),
                    "watched_until",
                ],
                where="OLD.last_contact_at IS NOT NULL",
            ),
            naming.Spells(name="vehicle_spelling"),
        ]
        indexes = [
            models.Index("tenant", "last_contact_hour", name="vehicle_last_contact"),
            models.Index("tenant", "enrolled_at", name="vehicle_enrolled"),
            models.Index("tenant", "confirmed_at", name="vehicle_confirmed"),
            models.Index("tenant", "time_zone", name="vehicle_time_zone"),
            models.Index("tenant", name="vehicle_blocked", condition=Q(blocked_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.vehicle_id


class Ecu(models.Model):
    """One computer in a vehicle, with the key it signs its reports with and the software it last proved to run.

    One of a protocol without signed reports has no key, and what it runs is asserted: its vehicle's word alone.
    """

    # The constraints below begin with it, so that it needs no index of its own.
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="ecus", db_index=False)
    serial = naming.ByteOrderedField(max_length=64)
    hardware_id = models.CharField(max_length=64)
    is_primary = models.BooleanField(default=False)
    # The TUF key id (SHA-256 over the canonical key object) and the key object itself; empty: it has none.
    keyid = models.CharField(max_length=64, blank=True)
    public_key = models.JSONField(default=dict, blank=True)
    # The highest counter seen in a report of this ECU; a report with it or a lower one is a replay.
    report_counter = models.BigIntegerField(default=0)
    # What runs, by its last accepted report: target name, digest, length; empty before the first one.
    installed_target = models.CharField(max_length=255, blank=True)
    installed_sha256 = models.CharField(max_length=64, blank=True)
    installed_length = models.BigIntegerField(null=True, blank=True)
    installed_at = models.DateTimeField(null=True, blank=True)
    is_asserted = models.BooleanField(default=False)
    # Name and version of that software, where it is a package of the tenant; a target name alone does not tell them.
    installed_name = models.CharField(max_length=80, blank=True)
    installed_version = models.CharField(max_length=60, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", "serial", name="ecu_serial_once_per_vehicle"),
            models.UniqueConstraint("vehicle", name="ecu_one_primary_per_vehicle", condition=Q(is_primary=True)),
            # One key for two ECUs would let one of them report for the other.
            models.UniqueConstraint("vehicle", "keyid", name="ecu_key_once_per_vehicle", condition=~Q(keyid="")),
            # Of those that come, the vehicle's configuration tells.
            Tells(
                name="ecu_tells",
                vehicle="{row}.vehicle_id",
                updates=["hardware_id", "serial", "installed_target", "installed_sha256", "installed_name"],
                deletes=True,
            ),
        ]
        indexes = [
            models.Index("serial", "vehicle", name="ecu_serial"),
            models.Index("hardware_id", "vehicle", name="ecu_hardware"),
            models.Index("installed_target", "vehicle", name="ecu_installed_target"),
            models.Index("installed_sha256", "vehicle", name="ecu_installed"),
            models.Index("installed_name", "installed_version", "vehicle", name="ecu_installed_software"),
            models.Index("installed_version", "vehicle", name="ecu_installed_version"),
        ]

    def __str__(self) -> str:
        return f"{self.serial} ({self.hardware_id})"


class Credential(models.Model):
    """One way in which a vehicle proves who it is, with an expiry and an end."""

    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="credentials")
    kind = models.CharField(max_length=12, choices=CredentialKind.choices)
    # SHA-256 of a token, or the serial number of a certificate in hex: never the secret itself.
    fingerprint = models.CharField(max_length=64)
    # Counts the answers in which the vehicle was given credentials; those of one answer share it.
    generation = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    # When the vehicle first showed one of this generation, and with that ended the ones before it.
    used_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint("kind", "fingerprint", name="credential_fingerprint_once"),
            Tells(
                name="credential_tells",
                vehicle="{row}.vehicle_id",
                updates=["vehicle", "kind", "fingerprint", "expires_at", "revoked_at"],
                deletes=True,
                identity=["vehicle", "kind", "fingerprint", "expires_at", "revoked_at"],
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.vehicle}"


class ClaimCode(models.Model):
    """The right to enrol one vehicle once. Stored as a hash; whoever holds it becomes that vehicle."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="claim_codes")
    vehicle_id = models.CharField(max_length=VEHICLE_ID_MAX_LENGTH)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField()
    used_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"claim code for {self.vehicle_id}"


class ClaimFailure(models.Model):
    """One wrong claim code, kept for as long as it counts against its sender."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="claim_failures")
    address = models.CharField(max_length=45)
    at = models.DateTimeField()

    class Meta:
        indexes = [models.Index("tenant", "address", "at", name="claim_failure_recent")]

    def __str__(self) -> str:
        return f"claim failure from {self.address}"


class FleetAuthority(models.Model):
    """The certificate authority that issues client certificates to one tenant's vehicles; its key is an online key."""

    tenant = models.OneToOneField(Tenant, models.CASCADE, related_name="fleet_authority")
    certificate_pem = models.TextField()
    key_name = models.CharField(max_length=200)
    created_at = models.DateTimeField()

    class Meta:
        verbose_name_plural = "fleet authorities"

    def __str__(self) -> str:
        return f"fleet CA of {self.tenant}"


class Attribute(models.Model):
    """A fact that a tenant has declared it keeps of its vehicles, with a type."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="attributes")
    name = models.SlugField(max_length=63)
    type = models.CharField(max_length=10, choices=AttributeType.choices)
    description = models.CharField(max_length=200, blank=True)
    # It tells of the vehicle's owner, and goes with them.
    is_personal = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint("tenant", "name", name="attribute_name_once_per_tenant")]

    def __str__(self) -> str:
        return self.name


class AttributeValue(models.Model):
    """One vehicle's value of one attribute, in the column of its type."""

    # A constraint below begins with it, so that it needs no index of its own.
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="attribute_values", db_index=False)
    # Nor this one: the indexes below begin with it.
    attribute = models.ForeignKey(Attribute, models.CASCADE, related_name="values", db_index=False)
    text = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001 - null means "not of this type"
    number = models.FloatField(null=True, blank=True)
    boolean = models.BooleanField(null=True, blank=True)
    time = models.DateTimeField(null=True, blank=True)
    changed_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("vehicle", "attribute", name="attribute_value_once_per_vehicle"),
            models.CheckConstraint(
                name="attribute_value_exactly_one_type",
                condition=(
                    Q(text__isnull=False, number=None, boolean=None, time=None)
                    | Q(text=None, number__isnull=False, boolean=None, time=None)
                    | Q(text=None, number=None, boolean__isnull=False, time=None)
                    | Q(text=None, number=None, boolean=None, time__isnull=False)
                ),
            ),
        ]
        indexes = [
            models.Index("attribute", "text", "vehicle", name="attribute_value_text"),
            # Each value is of one type: only the first holds all of them.
            models.Index(
                "attribute", "number", "vehicle", name="attribute_value_number", condition=Q(number__isnull=False)
            ),
            models.Index(
                "attribute", "boolean", "vehicle", name="attribute_value_boolean", condition=Q(boolean__isnull=False)
            ),
            models.Index("attribute", "time", "vehicle", name="attribute_value_time", condition=Q(time__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{self.attribute} of {self.vehicle}"


class Group(models.Model):
    """Vehicles chosen by hand (static) or by a filter (dynamic)."""

    tenant = models.ForeignKey(Tenant, models.CASCADE, related_name="groups")
    name = models.CharField(max_length=100)
    kind = models.CharField(max_length=10, choices=GroupKind.choices)
    filter = models.TextField(blank=True)
    # A block list (press, police, litigation): whatever is in it is updated by no campaign. Empty: it is none.
    blocks_updates_reason = models.TextField(blank=True)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("tenant", "name", name="group_name_once_per_tenant"),
            models.CheckConstraint(
                name="group_filter_only_if_dynamic",
                condition=Q(kind=GroupKind.STATIC, filter="") | (Q(kind=GroupKind.DYNAMIC) & ~Q(filter="")),
            ),
        ]

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """One vehicle in one static group."""

    # The constraint below begins with it, so that it needs no index of its own.
    group = models.ForeignKey(Group, models.CASCADE, related_name="memberships", db_index=False)
    vehicle = models.ForeignKey(Vehicle, models.CASCADE, related_name="memberships")

    class Meta:
        constraints = [models.UniqueConstraint("group", "vehicle", name="membership_once_per_group")]

    def __str__(self) -> str:
        return f"{self.vehicle} in {self.group}"
