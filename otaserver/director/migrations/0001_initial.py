import django.db.models.deletion
from django.db import migrations, models

import otaserver.tenants.telling


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("fleet", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Manifest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="manifests",
                        to="fleet.vehicle",
                    ),
                ),
                ("received_at", models.DateTimeField()),
                ("sha256", models.CharField(max_length=64)),
                ("body", models.BinaryField()),
                ("is_accepted", models.BooleanField()),
                ("refused_code", models.CharField(blank=True, max_length=80)),
                ("findings", models.JSONField(default=list)),
                ("said_sha256", models.CharField(blank=True, max_length=64)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("vehicle"),
                        models.OrderBy(models.F("received_at"), descending=True),
                        name="manifest_recent",
                    ),
                    models.Index(models.F("vehicle"), models.F("sha256"), name="manifest_resend"),
                ],
            },
        ),
        migrations.CreateModel(
            name="InstalledImage",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="installed_images",
                        to="fleet.vehicle",
                    ),
                ),
                ("ecu_serial", models.CharField(max_length=64)),
                (
                    "manifest",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.RESTRICT,
                        related_name="installed_images",
                        to="director.manifest",
                    ),
                ),
                ("target_name", models.CharField(max_length=255)),
                ("sha256", models.CharField(max_length=64)),
                ("length", models.BigIntegerField()),
                ("since", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("vehicle"), models.F("ecu_serial"), models.F("since"), name="installed_image_by_time"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="VehicleMetadata",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="director_metadata",
                        to="fleet.vehicle",
                    ),
                ),
                ("profile", models.CharField(choices=[("tuf-1.0", "Tuf"), ("aktualizr", "Aktualizr")], max_length=12)),
                ("revision", models.PositiveBigIntegerField()),
                ("attempt_id", models.UUIDField(blank=True, null=True)),
                ("root_version", models.PositiveIntegerField()),
                ("targets_version", models.PositiveBigIntegerField()),
                ("snapshot_version", models.PositiveBigIntegerField()),
                ("timestamp_version", models.PositiveBigIntegerField()),
                ("targets", models.BinaryField()),
                ("snapshot", models.BinaryField()),
                ("timestamp", models.BinaryField()),
                ("targets_expires_at", models.DateTimeField()),
                ("timestamp_expires_at", models.DateTimeField()),
                ("signed_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "vehicle metadata",
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"), models.F("profile"), name="vehicle_metadata_once_per_profile"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=False,
                        name="vehicle_metadata_tells",
                        tenant="NULL",
                        updates=("revision", "attempt_id", "root_version", "targets", "timestamp"),
                        vehicle="{row}.vehicle_id",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Direction",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="direction", to="fleet.vehicle"
                    ),
                ),
                ("attempt_id", models.UUIDField(blank=True, null=True)),
                ("content", models.JSONField(blank=True, null=True)),
                ("previous_content", models.JSONField(blank=True, null=True)),
                ("revision", models.PositiveBigIntegerField(default=0)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=True,
                        name="direction_tells",
                        tenant="NULL",
                        updates=("attempt_id", "revision"),
                        vehicle="{row}.vehicle_id",
                        where="",
                    )
                ],
            },
        ),
    ]
