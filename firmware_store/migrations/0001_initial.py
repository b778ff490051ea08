import django.db.models.deletion
from django.db import migrations, models

import otaserver.tenants.telling


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Package",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="packages", to="tenants.tenant"
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("uploading", "Uploading"),
                            ("verifying", "Verifying"),
                            ("published", "Published"),
                            ("refused", "Refused"),
                            ("withdrawn", "Withdrawn"),
                        ],
                        default="uploading",
                        max_length=20,
                    ),
                ),
                ("role", models.CharField(max_length=40)),
                ("name", models.CharField(max_length=80)),
                ("version", models.CharField(max_length=60)),
                ("target_name", models.CharField(max_length=200)),
                ("hardware_ids", models.JSONField()),
                ("release_counter", models.PositiveIntegerField(default=0)),
                ("filename", models.CharField(max_length=255)),
                ("length", models.PositiveBigIntegerField()),
                ("sha256", models.CharField(max_length=64)),
                ("sha512", models.CharField(blank=True, max_length=128)),
                ("sha1", models.CharField(blank=True, max_length=40)),
                ("md5", models.CharField(blank=True, max_length=32)),
                ("contents", models.JSONField(blank=True, default=dict)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                ("refused_code", models.CharField(blank=True, max_length=80)),
                ("refused_reason", models.TextField(blank=True)),
            ],
            options={
                "indexes": [models.Index(models.F("tenant"), models.F("sha256"), name="package_sha256")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("target_name"),
                        condition=models.Q(("state", "refused"), _negated=True),
                        name="package_target_name_once",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="DirectUpload",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "package",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="direct_upload",
                        to="firmware_store.package",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[("open", "Open"), ("verifying", "Verifying")], default="open", max_length=10
                    ),
                ),
                ("name", models.CharField(max_length=200, unique=True)),
                ("upload_id", models.TextField()),
                ("part_bytes", models.PositiveBigIntegerField()),
                ("etag", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField()),
                ("leased_until", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("state", "open"), models.Q(("etag", ""), _negated=True), _connector="OR"),
                        name="direct_upload_verified_object_is_known",
                    ),
                    models.CheckConstraint(condition=models.Q(("part_bytes__gt", 0)), name="direct_upload_has_parts"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Release",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="releases", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                ("version", models.CharField(max_length=60)),
                ("notes", models.JSONField(default=dict)),
                ("halt_codes", models.JSONField(default=list)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("published_at", models.DateTimeField(blank=True, null=True)),
                (
                    "stepping_stone",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="next_releases",
                        to="firmware_store.release",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("name"),
                        models.F("version"),
                        name="release_version_once_per_tenant",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("stepping_stone", None), ("stepping_stone__lt", models.F("id")), _connector="OR"
                        ),
                        name="release_stepping_stone_is_earlier",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ReleaseCondition",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="conditions",
                        to="firmware_store.release",
                    ),
                ),
                (
                    "kind",
                    models.CharField(choices=[("requires", "Requires"), ("conflicts", "Conflicts")], max_length=10),
                ),
                ("package_name", models.CharField(max_length=80)),
                ("versions", models.JSONField(default=list)),
            ],
        ),
        migrations.CreateModel(
            name="ReleaseItem",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="items", to="firmware_store.release"
                    ),
                ),
                (
                    "package",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="release_items",
                        to="firmware_store.package",
                    ),
                ),
                ("position", models.PositiveSmallIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("release"), models.F("package"), name="release_item_once_per_release"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="ReleaseSignal",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="signals", to="firmware_store.release"
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                ("limit", models.FloatField()),
                ("acceptable_rate", models.FloatField()),
                ("unacceptable_rate", models.FloatField()),
            ],
            options={
                "ordering": ["name"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("release"), models.F("name"), name="release_signal_once_per_release"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name__regex", "^[a-z0-9_-]{1,40}$")), name="release_signal_name_in_form"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("acceptable_rate__gt", 0),
                            ("acceptable_rate__lt", models.F("unacceptable_rate")),
                            ("unacceptable_rate__lt", 1),
                        ),
                        name="release_signal_rates_ordered",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="RoleMetadata",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="role_metadata", to="tenants.tenant"
                    ),
                ),
                ("repository", models.CharField(choices=[("image", "Image"), ("director", "Director")], max_length=10)),
                ("role", models.CharField(max_length=40)),
                ("profile", models.CharField(choices=[("tuf-1.0", "Tuf"), ("aktualizr", "Aktualizr")], max_length=12)),
                ("version", models.PositiveBigIntegerField()),
                ("body", models.BinaryField()),
                ("sha256", models.CharField(max_length=64)),
                ("expires_at", models.DateTimeField()),
                ("created_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "role metadata",
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("repository"),
                        models.F("role"),
                        models.F("profile"),
                        models.F("version"),
                        name="role_metadata_version_once",
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=False,
                        inserts=True,
                        name="role_metadata_tells",
                        tenant="{row}.tenant_id",
                        updates=(),
                        vehicle="NULL",
                        where="{row}.role = 'root'",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ExpiryWarning",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "metadata",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="warnings",
                        to="firmware_store.rolemetadata",
                    ),
                ),
                ("days", models.PositiveSmallIntegerField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("metadata"), models.F("days"), name="expiry_warning_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="VerificationKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="verification_keys",
                        to="tenants.tenant",
                    ),
                ),
                ("name", models.CharField(max_length=80)),
                (
                    "format",
                    models.CharField(choices=[("swu", "Swu"), ("raucb", "Raucb"), ("mender", "Mender")], max_length=10),
                ),
                ("hardware_id", models.CharField(blank=True, max_length=64)),
                ("pem", models.TextField()),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("name"), name="verification_key_name_once_per_tenant"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("format__in", ["swu", "raucb", "mender"])),
                        name="verification_key_format_known",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="OnlineKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="online_keys", to="tenants.tenant"
                    ),
                ),
                ("repository", models.CharField(choices=[("image", "Image"), ("director", "Director")], max_length=10)),
                ("role", models.CharField(max_length=40)),
                ("keyid", models.CharField(max_length=64)),
                ("public_key", models.JSONField()),
                ("uri", models.CharField(max_length=500)),
                ("created_at", models.DateTimeField()),
                ("activated_at", models.DateTimeField(blank=True, null=True)),
                ("retired_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("keyid"), name="online_key_one_role"),
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("repository"),
                        models.F("role"),
                        condition=models.Q(("activated_at__isnull", False), ("retired_at", None)),
                        name="online_key_one_active_per_role",
                    ),
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("repository"),
                        models.F("role"),
                        condition=models.Q(("activated_at", None)),
                        name="online_key_one_waiting_per_role",
                    ),
                ],
            },
        ),
    ]
