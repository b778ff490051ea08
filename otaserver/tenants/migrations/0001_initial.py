import django.contrib.auth.models
import django.contrib.auth.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import otaserver.tenants.telling


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        help_text="Designates that this user has all permissions without explicitly assigning them.",
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        help_text="Required. 150 characters or fewer. Letters, digits and @/./+/-/_ only.",
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        help_text="Designates whether the user can log into this admin site.",
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        help_text="Designates whether this user should be treated as active. Unselect this instead of deleting accounts.",
                        verbose_name="active",
                    ),
                ),
                ("date_joined", models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined")),
                ("session_epoch", models.PositiveIntegerField(default=0)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        help_text="The groups this user belongs to. A user will get all permissions granted to each of their groups.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        help_text="Specific permissions for this user.",
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        django.db.models.functions.text.Lower("username"), name="user_name_once_without_case"
                    )
                ],
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="Change",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("tenant", models.BigIntegerField(null=True)),
                ("vehicle", models.BigIntegerField(null=True)),
                ("is_identity", models.BooleanField(default=False)),
                ("written_in", models.BigIntegerField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(models.F("written_in"), name="change_by_transaction")],
            },
        ),
        migrations.CreateModel(
            name="Tenant",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("name", models.SlugField(max_length=63, unique=True)),
                ("title", models.CharField(blank=True, max_length=200)),
                ("created_at", models.DateTimeField()),
                ("polling_seconds", models.PositiveIntegerField(default=300)),
                ("has_public_targets", models.BooleanField(default=False)),
                (
                    "foreign_software",
                    models.CharField(
                        choices=[("adopt", "Adopt"), ("flag", "Flag"), ("redrive", "Redrive")],
                        default="flag",
                        max_length=20,
                    ),
                ),
                ("stopped_at", models.DateTimeField(blank=True, null=True)),
                ("stopped_reason", models.TextField(blank=True)),
                ("required_approvals", models.PositiveSmallIntegerField(default=1)),
                ("rollbacks_need_approval", models.BooleanField(default=False)),
                ("late_renewal_days", models.PositiveIntegerField(default=1095)),
                ("second_factor_required", models.BooleanField(default=False)),
                ("storage_quota_bytes", models.PositiveBigIntegerField(blank=True, null=True)),
                ("version_floor", models.PositiveIntegerField(default=0)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("late_renewal_days__lte", 3650)), name="tenant_late_renewal_in_range"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("required_approvals__lte", 10)), name="tenant_required_approvals_in_range"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("name", django.db.models.functions.text.Lower("name"))),
                        name="tenant_name_lower_case",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("polling_seconds__range", (1, 86400))), name="tenant_polling_in_range"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=False,
                        name="tenant_tells",
                        tenant="{row}.id",
                        updates=("name", "polling_seconds", "stopped_at", "version_floor"),
                        vehicle="NULL",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ServiceToken",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="service_tokens", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
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
                ("permissions", models.JSONField(blank=True, null=True)),
                ("sha256", models.CharField(max_length=64, unique=True)),
                ("created_by", models.CharField(max_length=150)),
                ("created_at", models.DateTimeField()),
                ("expires_at", models.DateTimeField(blank=True, null=True)),
                ("revoked_at", models.DateTimeField(blank=True, null=True)),
                ("last_used_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("name"), name="service_token_name_once_per_tenant"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="RetentionRule",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="retention_rules",
                        to="tenants.tenant",
                    ),
                ),
                ("kind", models.CharField(max_length=40)),
                ("days", models.PositiveIntegerField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("kind"), name="retention_rule_once_per_kind"),
                    models.CheckConstraint(
                        condition=models.Q(("days__range", (1, 36500))), name="retention_rule_days_in_range"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Member",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="members", to="tenants.tenant"
                    ),
                ),
                (
                    "user",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="memberships",
                        to=settings.AUTH_USER_MODEL,
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
                ("is_from_single_sign_on", models.BooleanField(default=False)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("user"), name="member_once_per_tenant")
                ],
            },
        ),
        migrations.CreateModel(
            name="KeptAnswer",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="kept_answers",
                        to="tenants.tenant",
                    ),
                ),
                ("caller", models.CharField(max_length=200)),
                ("key", models.CharField(max_length=200)),
                ("request_sha256", models.CharField(blank=True, max_length=64)),
                ("began_at", models.DateTimeField()),
                ("status", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("content_type", models.CharField(blank=True, max_length=100)),
                ("headers", models.JSONField(default=dict)),
                ("body", models.BinaryField(default=b"")),
                ("was_secret", models.BooleanField(default=False)),
            ],
            options={
                "indexes": [models.Index(models.F("began_at"), name="kept_answer_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"), models.F("caller"), models.F("key"), name="kept_answer_key_once_per_caller"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("status", None), models.Q(("request_sha256", ""), _negated=True), _connector="OR"
                        ),
                        name="kept_answer_of_a_known_request",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("was_secret", False), ("body", b""), _connector="OR"),
                        name="kept_answer_keeps_no_secret",
                    ),
                ],
            },
        ),
    ]
