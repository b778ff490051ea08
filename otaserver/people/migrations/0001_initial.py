import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("tenants", "0001_initial"),
        ("tenants", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="SignIn",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("account_sha256", models.CharField(max_length=64)),
                ("address", models.GenericIPAddressField()),
                (
                    "step",
                    models.CharField(
                        choices=[
                            ("password", "Password"),
                            ("second_factor", "Second Factor"),
                            ("single_sign_on", "Single Sign On"),
                        ],
                        max_length=20,
                    ),
                ),
                ("at", models.DateTimeField()),
                ("has_succeeded", models.BooleanField(default=False)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("account_sha256"), models.F("at"), name="sign_in_by_account"),
                    models.Index(models.F("address"), models.F("at"), name="sign_in_by_address"),
                    models.Index(models.F("at"), name="sign_in_by_age"),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignOut",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("issuer", models.CharField(max_length=200)),
                ("notice", models.CharField(max_length=255)),
                ("session_id", models.CharField(blank=True, max_length=255)),
                ("at", models.DateTimeField()),
                ("forget_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(models.F("issuer"), models.F("session_id"), name="sign_out_by_session"),
                    models.Index(models.F("forget_at"), name="sign_out_by_end"),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("issuer"), models.F("notice"), name="sign_out_notice_once_per_issuer"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Authenticator",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="authenticators",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("sealed_secret", models.TextField()),
                ("is_confirmed", models.BooleanField(default=False)),
                ("drift_steps", models.SmallIntegerField(default=0)),
                ("last_step", models.BigIntegerField(default=-1)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("user"), models.F("is_confirmed"), name="authenticator_one_in_use_and_one_being_set_up"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Invitation",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="invitations", to="tenants.tenant"
                    ),
                ),
                (
                    "role",
                    models.CharField(
                        choices=[
                            ("viewer", "Viewer"),
                            ("release_engineer", "Release Engineer"),
                            ("campaign_manager", "Campaign Manager"),
                            ("approver", "Approver"),
                            ("fleet_manager", "Fleet Manager"),
                            ("auditor", "Auditor"),
                            ("administrator", "Administrator"),
                        ],
                        max_length=20,
                    ),
                ),
                ("email", models.EmailField(blank=True, max_length=254)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_by", models.CharField(max_length=150)),
                ("made_with", models.CharField(blank=True, max_length=100)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("accepted_at", models.DateTimeField(blank=True, null=True)),
                ("accepted_by", models.CharField(blank=True, max_length=150)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            ("accepted_at__isnull", True), ("revoked_at__isnull", True), _connector="OR"
                        ),
                        name="invitation_accepted_or_revoked_not_both",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="PersonalToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "member",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="tokens", to="tenants.member"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("permissions", models.JSONField(blank=True, null=True)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField()),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("member"), models.F("name"), name="personal_token_name_once_per_member"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("expires_at__gt", models.F("created_at"))),
                        name="personal_token_expires_after_it_is_made",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="SignOnIdentity",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "user",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="sign_on_identity",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("issuer", models.CharField(max_length=200)),
                ("subject", models.CharField(max_length=255)),
                ("signed_on_at", models.DateTimeField()),
            ],
            options={
                "verbose_name_plural": "sign-on identities",
                "constraints": [
                    models.UniqueConstraint(
                        models.F("issuer"), models.F("subject"), name="sign_on_identity_once_per_issuer"
                    )
                ],
            },
        ),
    ]
