import django.db.models.deletion
from django.db import migrations, models

import otaserver.fleet.contact_hours
import otaserver.fleet.naming
import otaserver.tenants.telling


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Group",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="groups", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("kind", models.CharField(choices=[("static", "Static"), ("dynamic", "Dynamic")], max_length=10)),
                ("filter", models.TextField(blank=True)),
                ("blocks_updates_reason", models.TextField(blank=True)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("name"), name="group_name_once_per_tenant"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("filter", ""), ("kind", "static")),
                            models.Q(("kind", "dynamic"), models.Q(("filter", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="group_filter_only_if_dynamic",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attribute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="attributes", to="tenants.tenant"
                    ),
                ),
                ("name", models.SlugField(max_length=63)),
                (
                    "type",
                    models.CharField(
                        choices=[("text", "Text"), ("number", "Number"), ("boolean", "Boolean"), ("time", "Time")],
                        max_length=10,
                    ),
                ),
                ("description", models.CharField(blank=True, max_length=200)),
                ("is_personal", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("name"), name="attribute_name_once_per_tenant")
                ],
            },
        ),
        migrations.CreateModel(
            name="ClaimCode",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="claim_codes", to="tenants.tenant"
                    ),
                ),
                ("vehicle_id", models.CharField(max_length=64)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ClaimFailure",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="claim_failures", to="tenants.tenant"
                    ),
                ),
                ("address", models.CharField(max_length=45)),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(models.F("tenant"), models.F("address"), models.F("at"), name="claim_failure_recent")
                ],
            },
        ),
        migrations.CreateModel(
            name="Configuration",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="configurations",
                        to="tenants.tenant",
                    ),
                ),
                ("sha256", models.CharField(max_length=64)),
                ("ecus", models.JSONField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("sha256"), name="configuration_once_per_tenant"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Vehicle",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="vehicles",
                        to="tenants.tenant",
                    ),
                ),
                ("vehicle_id", models.CharField(max_length=64)),
                ("created_at", models.DateTimeField()),
                ("enrolled_at", models.DateTimeField(blank=True, null=True)),
                ("last_contact_at", models.DateTimeField(blank=True, null=True)),
                (
                    "last_contact_hour",
                    models.GeneratedField(
                        db_persist=True,
                        expression=otaserver.fleet.contact_hours.HourOf("last_contact_at"),
                        output_field=models.DateTimeField(null=True),
                    ),
                ),
                ("confirmed_at", models.DateTimeField(blank=True, null=True)),
                ("blocked_at", models.DateTimeField(blank=True, null=True)),
                ("blocked_reason", models.TextField(blank=True)),
                ("decommissioned_at", models.DateTimeField(blank=True, null=True)),
                ("time_zone", models.CharField(default="UTC", max_length=64)),
                (
                    "protocol",
                    models.CharField(
                        choices=[
                            ("uptane", "Uptane"),
                            ("aktualizr", "Aktualizr"),
                            ("ddi", "DDI"),
                            ("mender", "Mender"),
                        ],
                        default="uptane",
                        max_length=10,
                    ),
                ),
                ("client", models.CharField(blank=True, max_length=100)),
                (
                    "configuration",
                    models.ForeignKey(
                        blank=True,
                        editable=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="vehicles",
                        to="fleet.configuration",
                    ),
                ),
                ("is_test_bench", models.BooleanField(default=False)),
                ("watched_until", models.DateTimeField(blank=True, null=True)),
                ("is_manifest_wanted", models.BooleanField(default=False)),
                ("is_health_wanted", models.BooleanField(default=False)),
                ("last_attempt_number", models.PositiveIntegerField(default=0)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("tenant"), models.F("last_contact_hour"), name="vehicle_last_contact"),
                    models.Index(models.F("tenant"), models.F("enrolled_at"), name="vehicle_enrolled"),
                    models.Index(models.F("tenant"), models.F("confirmed_at"), name="vehicle_confirmed"),
                    models.Index(models.F("tenant"), models.F("time_zone"), name="vehicle_time_zone"),
                    models.Index(
                        models.F("tenant"), condition=models.Q(("blocked_at__isnull", False)), name="vehicle_blocked"
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("vehicle_id"), name="vehicle_id_once_per_tenant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("vehicle_id", ""), _negated=True), name="vehicle_id_not_empty"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("decommissioned_at", None), ("enrolled_at", None), _connector="OR"),
                        name="vehicle_decommissioned_not_enrolled",
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        identity=(
                            "tenant",
                            "vehicle_id",
                            "enrolled_at",
                            "blocked_at",
                            "decommissioned_at",
                            "protocol",
                            "client",
                            "watched_until",
                        ),
                        inserts=False,
                        name="vehicle_tells",
                        tenant="NULL",
                        updates=(
                            "tenant",
                            "vehicle_id",
                            "enrolled_at",
                            "blocked_at",
                            "decommissioned_at",
                            "protocol",
                            "client",
                            "configuration",
                            "watched_until",
                            "is_manifest_wanted",
                            "is_health_wanted",
                        ),
                        vehicle="{row}.id",
                        where="OLD.last_contact_at IS NOT NULL",
                    ),
                    otaserver.fleet.naming.Spells(name="vehicle_spelling"),
                ],
            },
        ),
        migrations.CreateModel(
            name="DdiSettings",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="ddi_settings", to="tenants.tenant"
                    ),
                ),
                ("default_hardware_id", models.CharField(default="unknown", max_length=64)),
                ("hardware_attribute", models.CharField(blank=True, max_length=128)),
                ("version_attribute", models.CharField(blank=True, max_length=128)),
                ("chunk_parts", models.JSONField(blank=True, default=dict)),
                ("authorities", models.JSONField(blank=True, default=list)),
            ],
            options={
                "verbose_name_plural": "DDI settings",
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("default_hardware_id", ""), _negated=True),
                        name="ddi_settings_have_default_hardware",
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=True,
                        name="ddi_settings_tell",
                        tenant="{row}.tenant_id",
                        updates=("authorities",),
                        vehicle="NULL",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="FleetAuthority",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="fleet_authority", to="tenants.tenant"
                    ),
                ),
                ("certificate_pem", models.TextField()),
                ("key_name", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "fleet authorities",
            },
        ),
        migrations.CreateModel(
            name="FleetImport",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="fleet_imports", to="tenants.tenant"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("running", "Running"),
                            ("finished", "Finished"),
                            ("failed", "Failed"),
                        ],
                        default="waiting",
                        max_length=10,
                    ),
                ),
                ("kind", models.CharField(choices=[("csv", "Csv"), ("jsonl", "Json Lines")], max_length=10)),
                ("is_dry_run", models.BooleanField(default=False)),
                ("filename", models.CharField(max_length=255)),
                ("stored_as", models.CharField(max_length=100)),
                ("sha256", models.CharField(max_length=64)),
                ("length", models.PositiveBigIntegerField()),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("seen_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("failed_reason", models.TextField(blank=True)),
                ("done_bytes", models.PositiveBigIntegerField(default=0)),
                ("counts", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("state"),
                        condition=models.Q(("state__in", ["waiting", "running"])),
                        name="fleet_import_open",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("kind__in", ["csv", "jsonl"])), name="fleet_import_kind_known"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="FleetImportProblem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "fleet_import",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="problems",
                        to="fleet.fleetimport",
                    ),
                ),
                ("line", models.PositiveIntegerField()),
                ("code", models.CharField(max_length=80)),
                ("value", models.CharField(blank=True, max_length=200)),
                ("rule", models.TextField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("fleet_import"), models.F("line"), name="fleet_import_problem_once_per_line"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GatewayToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="gateway_tokens", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("sha256", models.CharField(max_length=64)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("name"), name="gateway_token_name_once_per_tenant"
                    ),
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("sha256"), name="gateway_token_once_per_tenant"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=False,
                        name="gateway_token_tells",
                        tenant="{row}.tenant_id",
                        updates=("tenant", "sha256", "revoked_at"),
                        vehicle="NULL",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupSize",
            fields=[
                (
                    "group",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="size",
                        serialize=False,
                        to="fleet.group",
                    ),
                ),
                ("filter", models.TextField(blank=True)),
                ("vehicles", models.PositiveIntegerField(blank=True, null=True)),
                ("asked_at", models.DateTimeField()),
                ("begun_at", models.DateTimeField(blank=True, null=True)),
                ("counted_at", models.DateTimeField(blank=True, null=True)),
            ],
        ),
        migrations.CreateModel(
            name="ProvisioningCredential",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="provisioning_credentials",
                        to="tenants.tenant",
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                ("fingerprint", models.CharField(max_length=64, unique=True)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("name"), name="provisioning_credential_name_once_per_tenant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name__regex", "^[a-z0-9-]{1,40}$")),
                        name="provisioning_credential_name_in_form",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="provisioning_credential_ends_later",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RetiredAuthority",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retired_authorities",
                        to="tenants.tenant",
                    ),
                ),
                ("certificate_pem", models.TextField()),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "verbose_name_plural": "retired authorities",
            },
        ),
        migrations.CreateModel(
            name="Spelling",
            fields=[
                (
                    "vehicle",
                    models.OneToOneField(
                        editable=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="spelling",
                        serialize=False,
                        to="fleet.vehicle",
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
                ("forwards", otaserver.fleet.naming.ByteOrderedField(max_length=64)),
                ("backwards", otaserver.fleet.naming.ByteOrderedField(max_length=20)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("tenant"), models.F("forwards"), name="spelling_forwards"),
                    models.Index(models.F("tenant"), models.F("backwards"), name="spelling_backwards"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SeenRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="seen_requests",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "vehicle",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="seen_requests",
                        to="fleet.vehicle",
                    ),
                ),
                ("address", models.CharField(max_length=45)),
                ("at", models.DateTimeField()),
                ("method", models.CharField(max_length=10)),
                ("path", models.CharField(max_length=500)),
                ("client", models.CharField(blank=True, max_length=100)),
                ("identity", models.CharField(max_length=300)),
                ("status", models.PositiveSmallIntegerField()),
                ("code", models.CharField(blank=True, max_length=80)),
                ("reason", models.CharField(blank=True, max_length=500)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("vehicle"), models.F("id"), name="seen_request_of_vehicle"),
                    models.Index(
                        models.F("tenant"), models.F("address"), models.F("id"), name="seen_request_from_address"
                    ),
                    models.Index(models.F("at"), name="seen_request_by_time"),
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("vehicle__isnull", False), ("status__gte", 400), _connector="OR"),
                        name="seen_request_of_a_vehicle_or_refused",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReportedAttribute",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reported_attributes",
                        to="fleet.vehicle",
                    ),
                ),
                ("name", models.CharField(max_length=128)),
                ("text", models.TextField(blank=True)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"), models.F("name"), name="reported_attribute_once_per_vehicle"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ProvisioningPermit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="provisioning_permit",
                        to="fleet.vehicle",
                    ),
                ),
                ("reason", models.TextField()),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("provisioned_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("reason", ""), _negated=True), name="provisioning_permit_has_reason"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="provisioning_permit_ends_later",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Membership",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "group",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to="fleet.group",
                    ),
                ),
                (
                    "vehicle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="memberships", to="fleet.vehicle"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("group"), models.F("vehicle"), name="membership_once_per_group")
                ],
            },
        ),
        migrations.CreateModel(
            name="EcuSwap",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="ecu_swaps", to="fleet.vehicle"
                    ),
                ),
                ("old_serial", models.CharField(max_length=64)),
                ("new_serial", models.CharField(blank=True, max_length=64)),
                ("hardware_id", models.CharField(max_length=64)),
                ("reason", models.TextField()),
                ("announced_by", models.CharField(max_length=200)),
                ("announced_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("done_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        models.F("old_serial"),
                        condition=models.Q(("done_at", None)),
                        name="ecu_swap_one_open_per_ecu",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Ecu",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="ecus",
                        to="fleet.vehicle",
                    ),
                ),
                ("serial", otaserver.fleet.naming.ByteOrderedField(max_length=64)),
                ("hardware_id", models.CharField(max_length=64)),
                ("is_primary", models.BooleanField(default=False)),
                ("keyid", models.CharField(blank=True, max_length=64)),
                ("public_key", models.JSONField(blank=True, default=dict)),
                ("report_counter", models.BigIntegerField(default=0)),
                ("installed_target", models.CharField(blank=True, max_length=255)),
                ("installed_sha256", models.CharField(blank=True, max_length=64)),
                ("installed_length", models.BigIntegerField(blank=True, null=True)),
                ("installed_at", models.DateTimeField(blank=True, null=True)),
                ("is_asserted", models.BooleanField(default=False)),
                ("installed_name", models.CharField(blank=True, max_length=80)),
                ("installed_version", models.CharField(blank=True, max_length=60)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("serial"), models.F("vehicle"), name="ecu_serial"),
                    models.Index(models.F("hardware_id"), models.F("vehicle"), name="ecu_hardware"),
                    models.Index(models.F("installed_target"), models.F("vehicle"), name="ecu_installed_target"),
                    models.Index(models.F("installed_sha256"), models.F("vehicle"), name="ecu_installed"),
                    models.Index(
                        models.F("installed_name"),
                        models.F("installed_version"),
                        models.F("vehicle"),
                        name="ecu_installed_software",
                    ),
                    models.Index(models.F("installed_version"), models.F("vehicle"), name="ecu_installed_version"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"), models.F("serial"), name="ecu_serial_once_per_vehicle"
                    ),
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        condition=models.Q(("is_primary", True)),
                        name="ecu_one_primary_per_vehicle",
                    ),
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        models.F("keyid"),
                        condition=models.Q(("keyid", ""), _negated=True),
                        name="ecu_key_once_per_vehicle",
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=False,
                        name="ecu_tells",
                        tenant="NULL",
                        updates=("hardware_id", "serial", "installed_target", "installed_sha256", "installed_name"),
                        vehicle="{row}.vehicle_id",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Credential",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="credentials", to="fleet.vehicle"
                    ),
                ),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("token", "Token"),
                            ("pre_shared", "Pre Shared"),
                            ("certificate", "Certificate"),
                            ("session", "Session"),
                        ],
                        max_length=12,
                    ),
                ),
                ("fingerprint", models.CharField(max_length=64)),
                ("generation", models.PositiveIntegerField(default=1)),
                ("created_at", models.DateTimeField()),
                ("used_at", models.DateTimeField(blank=True, null=True)),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("kind"), models.F("fingerprint"), name="credential_fingerprint_once"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        identity=("vehicle", "kind", "fingerprint", "expires_at", "revoked_at"),
                        inserts=False,
                        name="credential_tells",
                        tenant="NULL",
                        updates=("vehicle", "kind", "fingerprint", "expires_at", "revoked_at"),
                        vehicle="{row}.vehicle_id",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AuthenticationSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authentication_sets",
                        to="tenants.tenant",
                    ),
                ),
                ("identity", models.JSONField()),
                ("identity_sha256", models.CharField(max_length=64)),
                ("public_key", models.TextField()),
                ("key_sha256", models.CharField(max_length=64)),
                ("claimed_vehicle_id", models.CharField(blank=True, max_length=64)),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("pending", "Pending"),
                            ("preauthorised", "Preauthorised"),
                            ("accepted", "Accepted"),
                            ("rejected", "Rejected"),
                        ],
                        db_index=True,
                        default="pending",
                        max_length=20,
                    ),
                ),
                (
                    "vehicle",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authentication_sets",
                        to="fleet.vehicle",
                    ),
                ),
                ("created_at", models.DateTimeField()),
                ("address", models.CharField(blank=True, max_length=45)),
                ("requested_at", models.DateTimeField(blank=True, null=True)),
                ("decided_by", models.CharField(blank=True, max_length=200)),
                ("decided_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("tenant"), models.F("state"), models.F("address"), name="authentication_set_waiting"
                    ),
                    models.Index(models.F("tenant"), models.F("claimed_vehicle_id"), name="authentication_set_claimed"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("identity_sha256"),
                        models.F("key_sha256"),
                        name="authentication_set_once",
                    ),
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        condition=models.Q(("state", "accepted")),
                        name="authentication_set_one_accepted_per_vehicle",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "accepted"), _negated=True), ("vehicle__isnull", False), _connector="OR"
                        ),
                        name="authentication_set_accepted_has_vehicle",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="AttributeValue",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attribute_values",
                        to="fleet.vehicle",
                    ),
                ),
                (
                    "attribute",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="values",
                        to="fleet.attribute",
                    ),
                ),
                ("text", models.CharField(blank=True, max_length=255, null=True)),
                ("number", models.FloatField(blank=True, null=True)),
                ("boolean", models.BooleanField(blank=True, null=True)),
                ("time", models.DateTimeField(blank=True, null=True)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("attribute"), models.F("text"), models.F("vehicle"), name="attribute_value_text"
                    ),
                    models.Index(
                        models.F("attribute"),
                        models.F("number"),
                        models.F("vehicle"),
                        condition=models.Q(("number__isnull", False)),
                        name="attribute_value_number",
                    ),
                    models.Index(
                        models.F("attribute"),
                        models.F("boolean"),
                        models.F("vehicle"),
                        condition=models.Q(("boolean__isnull", False)),
                        name="attribute_value_boolean",
                    ),
                    models.Index(
                        models.F("attribute"),
                        models.F("time"),
                        models.F("vehicle"),
                        condition=models.Q(("time__isnull", False)),
                        name="attribute_value_time",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"), models.F("attribute"), name="attribute_value_once_per_vehicle"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("boolean", None), ("number", None), ("text__isnull", False), ("time", None)),
                            models.Q(("boolean", None), ("number__isnull", False), ("text", None), ("time", None)),
                            models.Q(("boolean__isnull", False), ("number", None), ("text", None), ("time", None)),
                            models.Q(("boolean", None), ("number", None), ("text", None), ("time__isnull", False)),
                            _connector="OR",
                        ),
                        name="attribute_value_exactly_one_type",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="TenantToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="device_tokens", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("name"), name="tenant_token_name_once_per_tenant"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="AddressWatch",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="address_watches", to="tenants.tenant"
                    ),
                ),
                ("address", models.CharField(max_length=45)),
                ("until", models.DateTimeField()),
                ("by", models.CharField(max_length=200)),
            ],
            options={
                "verbose_name_plural": "address watches",
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("address"), name="address_watch_once_per_tenant"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=False,
                        inserts=True,
                        name="address_watch_tells",
                        tenant="NULL",
                        updates=("until",),
                        vehicle="-{row}.tenant_id",
                        where="",
                    ),
                ],
            },
        ),
    ]
