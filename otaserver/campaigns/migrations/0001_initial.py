import uuid
from decimal import Decimal

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

import otaserver.tenants.telling


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("firmware_store", "0001_initial"),
        ("fleet", "0001_initial"),
        ("tenants", "0001_initial"),
        ("tenants", "__first__"),
    ]

    operations = [
        migrations.CreateModel(
            name="Blackout",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="blackouts", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                ("reason", models.TextField()),
                ("starts_at", models.DateTimeField()),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="blackouts",
                        to="fleet.group",
                    ),
                ),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("lifted_at", models.DateTimeField(blank=True, null=True)),
                ("lifted_by", models.CharField(blank=True, max_length=200)),
                ("lifted_reason", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("tenant"),
                        models.F("ends_at"),
                        condition=models.Q(("lifted_at", None)),
                        name="blackout_in_force",
                    )
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("tenant"),
                        models.F("name"),
                        condition=models.Q(("lifted_at", None)),
                        name="blackout_name_once_until_lifted",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("ends_at", None), ("ends_at__gt", models.F("starts_at")), _connector="OR"),
                        name="blackout_ends_after_it_starts",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("lifted_at", None), ("lifted_by", "")),
                            models.Q(("lifted_at__isnull", False), models.Q(("lifted_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="blackout_lifted_by_somebody",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Campaign",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="campaigns", to="tenants.tenant"
                    ),
                ),
                ("name", models.CharField(max_length=100)),
                (
                    "kind",
                    models.CharField(
                        choices=[("rollout", "Rollout"), ("rollback", "Rollback"), ("direct", "Direct")],
                        default="rollout",
                        max_length=10,
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("draft", "Draft"),
                            ("in_review", "In Review"),
                            ("approved", "Approved"),
                            ("scheduled", "Scheduled"),
                            ("running", "Running"),
                            ("paused", "Paused"),
                            ("halted", "Halted"),
                            ("completed", "Completed"),
                            ("cancelled", "Cancelled"),
                        ],
                        default="draft",
                        max_length=20,
                    ),
                ),
                (
                    "release",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to="firmware_store.release",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="campaigns",
                        to="fleet.group",
                    ),
                ),
                (
                    "rolls_back",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="rollbacks",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "fallback_release",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="fallback_campaigns",
                        to="firmware_store.release",
                    ),
                ),
                ("no_way_back_reason", models.TextField(blank=True)),
                ("created_by", models.CharField(max_length=200)),
                ("created_at", models.DateTimeField()),
                ("approved_by", models.CharField(blank=True, max_length=200)),
                ("approved_vehicles", models.PositiveIntegerField(blank=True, null=True)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("started_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
                ("reason", models.TextField(blank=True)),
                ("revision", models.PositiveIntegerField(default=1)),
                ("judged_from", models.DateTimeField(blank=True, null=True)),
                ("acceptable_rate", models.FloatField(default=0.005)),
                ("unacceptable_rate", models.FloatField(default=0.02)),
                ("alpha", models.FloatField(default=0.01)),
                ("beta", models.FloatField(default=0.05)),
                ("soak_seconds", models.PositiveIntegerField(default=28800)),
                ("max_failed", models.PositiveIntegerField(blank=True, null=True)),
                ("max_verification_failed", models.PositiveIntegerField(default=0)),
                ("max_in_flight", models.PositiveIntegerField(blank=True, null=True)),
                ("halt_codes", models.JSONField(default=list)),
                ("is_stratified", models.BooleanField(default=True)),
                (
                    "wave_rule",
                    models.CharField(
                        choices=[("proceed", "Proceed"), ("ask", "Ask")], default="proceed", max_length=10
                    ),
                ),
                ("failure_budget", models.PositiveIntegerField(blank=True, null=True)),
                ("control_percent", models.DecimalField(decimal_places=3, default=Decimal("0"), max_digits=5)),
                ("offer_timeout_seconds", models.PositiveIntegerField(default=1209600)),
                ("download_timeout_seconds", models.PositiveIntegerField(default=604800)),
                ("install_timeout_seconds", models.PositiveIntegerField(default=14400)),
                ("max_attempts", models.PositiveSmallIntegerField(default=3)),
                ("retry_seconds", models.PositiveIntegerField(default=3600)),
                ("unknown_timeout_seconds", models.PositiveIntegerField(default=7776000)),
                ("grace_hours", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "priority",
                    models.PositiveSmallIntegerField(
                        choices=[(0, "Safety Recall"), (1, "Security"), (2, "Quality"), (3, "Feature")], default=2
                    ),
                ),
                (
                    "halt_action",
                    models.CharField(
                        choices=[("withdraw", "Withdraw"), ("hold_offers", "Hold Offers"), ("roll_back", "Roll Back")],
                        default="withdraw",
                        max_length=20,
                    ),
                ),
                ("keeps_orders", models.BooleanField(default=False, editable=False)),
                (
                    "foreign_software",
                    models.CharField(
                        blank=True,
                        choices=[("adopt", "Adopt"), ("flag", "Flag"), ("redrive", "Redrive")],
                        max_length=20,
                    ),
                ),
                ("ends_at", models.DateTimeField(blank=True, null=True)),
                ("downloads_early", models.BooleanField(default=True)),
                ("offers_per_minute", models.PositiveIntegerField(blank=True, null=True)),
                ("bytes_per_hour", models.PositiveBigIntegerField(blank=True, null=True)),
                ("preconditions", models.JSONField(default=list)),
                (
                    "consent",
                    models.CharField(
                        choices=[("none", "None"), ("ask", "Ask"), ("ask_with_deadline", "Ask With Deadline")],
                        default="none",
                        max_length=20,
                    ),
                ),
                ("consent_postponements", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("consent_deadline_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("max_inventory_age_seconds", models.PositiveIntegerField(blank=True, null=True)),
                ("is_dynamic", models.BooleanField(default=False)),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("looked_at", models.DateTimeField(blank=True, null=True)),
                ("forecast_begun_at", models.DateTimeField(blank=True, editable=False, null=True)),
                ("advanced_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [models.Index(models.F("state"), name="campaign_state")],
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("name"), name="campaign_name_once_per_tenant"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("acceptable_rate__gt", 0),
                            ("acceptable_rate__lt", models.F("unacceptable_rate")),
                            ("unacceptable_rate__lt", 1),
                        ),
                        name="campaign_rates_ordered",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("alpha__gt", 0), ("alpha__lt", 0.5), ("beta__gt", 0), ("beta__lt", 0.5)),
                        name="campaign_error_rates_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("soak_seconds__gte", 1)), name="campaign_soak_at_least_a_second"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("control_percent__gte", 0), ("control_percent__lte", 50)),
                        name="campaign_control_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("group__isnull", False), ("kind", "rollout"), ("rolls_back", None)),
                            models.Q(("kind", "rollback"), ("rolls_back__isnull", False)),
                            models.Q(("group", None), ("kind", "direct"), ("rolls_back", None)),
                            _connector="OR",
                        ),
                        name="campaign_group_or_rollback",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("ends_at", None),
                            ("starts_at", None),
                            ("starts_at__lt", models.F("ends_at")),
                            _connector="OR",
                        ),
                        name="campaign_starts_before_end",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("offers_per_minute", None), ("offers_per_minute__gte", 1), _connector="OR"),
                            models.Q(("bytes_per_hour", None), ("bytes_per_hour__gte", 1), _connector="OR"),
                        ),
                        name="campaign_pace_lets_something_through",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                ("consent", "ask_with_deadline"),
                                models.Q(
                                    ("consent_postponements__isnull", False),
                                    ("consent_deadline_seconds__gte", 1),
                                    _connector="OR",
                                ),
                            ),
                            models.Q(
                                ("consent__in", ["none", "ask"]),
                                ("consent_deadline_seconds", None),
                                ("consent_postponements", None),
                            ),
                            _connector="OR",
                        ),
                        name="campaign_consent_deadline_only_where_asked",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("priority__in", [0, 1, 2, 3])), name="campaign_priority_is_a_class"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("halt_action", "roll_back"), _negated=True),
                            ("fallback_release__isnull", False),
                            _connector="OR",
                        ),
                        name="campaign_rolls_back_to_a_fallback",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Approval",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="approvals", to="campaigns.campaign"
                    ),
                ),
                ("revision", models.PositiveIntegerField()),
                ("by", models.CharField(max_length=200)),
                ("at", models.DateTimeField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"),
                        models.F("revision"),
                        models.F("by"),
                        name="approval_once_per_person_and_revision",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CampaignForecast",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="kept_forecast",
                        to="campaigns.campaign",
                    ),
                ),
                ("revision", models.PositiveIntegerField()),
                ("made_at", models.DateTimeField()),
                ("basis", models.CharField(choices=[("group", "Group"), ("list", "List")], max_length=10)),
                ("starts_at", models.DateTimeField(blank=True, null=True)),
                ("fitting", models.PositiveIntegerField(default=0)),
                ("places", models.JSONField(default=list)),
                ("never_heard_of", models.FloatField(default=0.0)),
                ("inputs", models.JSONField(default=dict)),
                ("outlooks", models.JSONField(default=list)),
                ("refusal", models.TextField(blank=True)),
            ],
            options={
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("refusal", ""), ("starts_at__isnull", False)),
                            models.Q(models.Q(("refusal", ""), _negated=True), ("starts_at", None)),
                            _connector="OR",
                        ),
                        name="campaign_forecast_says_what_or_why",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="CampaignRequirement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="requirements",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "required",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="campaigns.campaign"
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("required"), name="campaign_requirement_once"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("campaign__gt", models.F("required"))),
                        name="campaign_requirement_is_earlier",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="GateReading",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="gate_readings",
                        to="campaigns.campaign",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                ("at", models.DateTimeField()),
                ("strata", models.JSONField(default=list)),
                ("runs", models.JSONField(default=list)),
                ("signals", models.JSONField(default=list)),
                ("health", models.JSONField(default=list)),
                ("controls", models.JSONField(default=dict)),
                ("sha256", models.CharField(max_length=64)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("number"), name="gate_reading_number_once_per_campaign"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GateState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="gate_states", to="campaigns.campaign"
                    ),
                ),
                ("stratum", models.CharField(blank=True, max_length=64)),
                ("planned_results", models.PositiveIntegerField(default=1)),
                ("late_place", models.PositiveSmallIntegerField(default=0)),
                ("outcome_share", models.FloatField(default=1.0)),
                ("successes", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("statistic", models.FloatField(default=0.0)),
                ("has_passed", models.BooleanField(default=False)),
                ("guard_statistic", models.FloatField(default=0.0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("stratum"), name="gate_state_once_per_stratum"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="GroupFit",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "release",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="group_fits",
                        to="firmware_store.release",
                    ),
                ),
                (
                    "group",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="fits", to="fleet.group"
                    ),
                ),
                ("filter", models.TextField(blank=True)),
                ("verdicts", models.JSONField(default=dict)),
                ("asked_at", models.DateTimeField()),
                ("begun_at", models.DateTimeField(blank=True, null=True)),
                ("counted_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("release"), models.F("group"), name="group_fit_once_per_release")
                ],
            },
        ),
        migrations.CreateModel(
            name="PlanDraft",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="plan_drafts",
                        to="tenants.tenant",
                    ),
                ),
                (
                    "person",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="plan_drafts",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                ("steps", models.JSONField(default=dict)),
                (
                    "campaign",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to="campaigns.campaign",
                    ),
                ),
                ("campaign_revision", models.PositiveIntegerField(blank=True, null=True)),
                ("changed_at", models.DateTimeField()),
            ],
            options={
                "indexes": [models.Index(models.F("tenant"), models.F("changed_at"), name="plan_draft_by_age")],
                "constraints": [
                    models.UniqueConstraint(models.F("tenant"), models.F("person"), name="plan_draft_once_per_person")
                ],
            },
        ),
        migrations.CreateModel(
            name="SignalState",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="signal_states",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "signal",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="firmware_store.releasesignal"
                    ),
                ),
                ("planned_results", models.PositiveIntegerField()),
                ("alpha_share", models.FloatField()),
                ("successes", models.PositiveIntegerField(default=0)),
                ("failures", models.PositiveIntegerField(default=0)),
                ("missing", models.PositiveIntegerField(default=0)),
                ("statistic", models.FloatField(default=0.0)),
                ("has_passed", models.BooleanField(default=False)),
                ("guard_statistic", models.FloatField(default=0.0)),
                ("treated_per_block", models.PositiveIntegerField(default=0)),
                ("pending_good", models.PositiveIntegerField(default=0)),
                ("pending_bad", models.PositiveIntegerField(default=0)),
                ("treated_good", models.PositiveIntegerField(default=0)),
                ("treated_bad", models.PositiveIntegerField(default=0)),
                ("control_good", models.PositiveIntegerField(default=0)),
                ("control_bad", models.PositiveIntegerField(default=0)),
                ("log_evidence", models.FloatField(default=0.0)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("signal"), name="signal_state_once_per_signal"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="SoftwareChange",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="software_changes",
                        to="fleet.vehicle",
                    ),
                ),
                ("ecu_serial", models.CharField(max_length=64)),
                ("from_target", models.CharField(blank=True, max_length=255)),
                ("from_sha256", models.CharField(blank=True, max_length=64)),
                ("to_target", models.CharField(max_length=255)),
                ("to_sha256", models.CharField(max_length=64)),
                ("at", models.DateTimeField()),
                (
                    "cause",
                    models.CharField(
                        choices=[
                            ("first", "First"),
                            ("order", "Order"),
                            ("reverted", "Reverted"),
                            ("foreign", "Foreign"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "policy",
                    models.CharField(
                        blank=True,
                        choices=[("adopt", "Adopt"), ("flag", "Flag"), ("redrive", "Redrive")],
                        max_length=20,
                    ),
                ),
                (
                    "campaign",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="software_changes",
                        to="campaigns.campaign",
                    ),
                ),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("vehicle"),
                        models.OrderBy(models.F("at"), descending=True),
                        name="software_change_by_time",
                    )
                ],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("cause", "foreign"), ("policy__in", ["adopt", "flag", "redrive"])),
                            models.Q(models.Q(("cause", "foreign"), _negated=True), ("policy", "")),
                            _connector="OR",
                        ),
                        name="software_change_policy_of_foreign",
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="StandingConsent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.CASCADE, related_name="standing_consent", to="fleet.vehicle"
                    ),
                ),
                ("initiator", models.CharField(blank=True, max_length=64)),
                ("remark", models.CharField(blank=True, max_length=255)),
                ("given_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Wave",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="waves", to="campaigns.campaign"
                    ),
                ),
                ("number", models.PositiveSmallIntegerField()),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("waiting", "Waiting"),
                            ("open", "Open"),
                            ("maturing", "Maturing"),
                            ("passed", "Passed"),
                            ("failed", "Failed"),
                            ("undecided", "Undecided"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                ("percent", models.DecimalField(blank=True, decimal_places=3, max_digits=6, null=True)),
                ("count", models.PositiveIntegerField(blank=True, null=True)),
                (
                    "group",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="waves",
                        to="fleet.group",
                    ),
                ),
                ("places", models.PositiveIntegerField(default=0)),
                ("untaken", models.PositiveIntegerField(default=0, null=True)),
                ("replaced", models.PositiveIntegerField(default=0)),
                ("max_failed", models.PositiveIntegerField(default=0)),
                ("opened_at", models.DateTimeField(blank=True, null=True)),
                ("finished_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "ordering": ["number"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("number"), name="wave_number_once_per_campaign"
                    ),
                    models.UniqueConstraint(
                        models.F("campaign"),
                        condition=models.Q(("state__in", ["open", "maturing", "undecided"])),
                        name="wave_one_open_per_campaign",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("percent", None), models.Q(("percent__gt", 0), ("percent__lte", 100)), _connector="OR"
                        ),
                        name="wave_percent_in_range",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("count", None), ("group", None), ("percent__isnull", False)),
                            models.Q(("count__gte", 1), ("group", None), ("percent", None)),
                            models.Q(("count", None), ("group__isnull", False), ("percent", None)),
                            _connector="OR",
                        ),
                        name="wave_one_size",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Assignment",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assignments",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "vehicle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="assignments", to="fleet.vehicle"
                    ),
                ),
                (
                    "wave",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="assignments",
                        to="campaigns.wave",
                    ),
                ),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("excluded", "Excluded"),
                            ("waiting", "Waiting"),
                            ("offered", "Offered"),
                            ("downloading", "Downloading"),
                            ("downloaded", "Downloaded"),
                            ("held", "Held"),
                            ("installing", "Installing"),
                            ("soaking", "Soaking"),
                            ("succeeded", "Succeeded"),
                            ("failed", "Failed"),
                            ("refused", "Refused"),
                            ("lapsed", "Lapsed"),
                            ("withdrawing", "Withdrawing"),
                            ("withdrawn", "Withdrawn"),
                            ("superseded", "Superseded"),
                        ],
                        default="waiting",
                        max_length=20,
                    ),
                ),
                (
                    "verdict",
                    models.CharField(
                        choices=[
                            ("fits", "Fits"),
                            ("already_there", "Already There"),
                            ("wrong_hardware", "Wrong Hardware"),
                            ("unmet_dependency", "Unmet Dependency"),
                            ("conflict", "Conflict"),
                            ("rollback_barred", "Rollback Barred"),
                            ("not_enrolled", "Not Enrolled"),
                            ("blocked", "Blocked"),
                            ("on_block_list", "On Block List"),
                            ("stale_inventory", "Stale Inventory"),
                            ("not_deliverable", "Not Deliverable"),
                            ("control", "Control"),
                        ],
                        default="fits",
                        max_length=20,
                    ),
                ),
                ("verdict_detail", models.TextField(blank=True)),
                ("rank", models.BigIntegerField()),
                ("stratum", models.CharField(blank=True, max_length=64)),
                (
                    "configuration",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="fleet.configuration",
                    ),
                ),
                ("next_attempt_at", models.DateTimeField(blank=True, null=True)),
                ("due_at", models.DateTimeField(blank=True, null=True)),
                ("offered_at", models.DateTimeField(blank=True, null=True)),
                ("asked_at", models.DateTimeField(blank=True, null=True)),
                ("withheld_at", models.DateTimeField(blank=True, null=True)),
                ("installing_at", models.DateTimeField(blank=True, null=True)),
                ("is_judged", models.BooleanField(default=False)),
                ("settled_at", models.DateTimeField(blank=True, null=True)),
                ("is_partly_proved", models.BooleanField(default=False)),
                ("renew_at", models.DateTimeField(blank=True, null=True)),
                ("is_replaced", models.BooleanField(default=False)),
                ("code", models.CharField(blank=True, max_length=80)),
                ("message", models.TextField(blank=True)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("campaign"), models.F("state"), name="assignment_by_state"),
                    models.Index(
                        models.F("wave"),
                        models.F("state"),
                        condition=models.Q(("wave__isnull", False)),
                        name="assignment_by_wave",
                    ),
                    models.Index(
                        models.F("campaign"),
                        models.F("rank"),
                        condition=models.Q(("state", "waiting"), ("wave", None)),
                        name="assignment_no_turn",
                    ),
                    models.Index(
                        models.F("wave"),
                        models.F("rank"),
                        condition=models.Q(("state", "waiting"), ("wave__isnull", False)),
                        name="assignment_in_turn",
                    ),
                    models.Index(
                        models.F("campaign"),
                        models.F("code"),
                        models.F("settled_at"),
                        condition=models.Q(("state", "failed")),
                        name="assignment_failed",
                    ),
                    models.Index(
                        models.F("wave"),
                        condition=models.Q(
                            ("is_replaced", False),
                            ("state__in", ["lapsed", "refused", "superseded", "withdrawn"]),
                            ("wave__isnull", False),
                        ),
                        name="assignment_to_replace",
                    ),
                    models.Index(
                        models.F("wave"),
                        condition=models.Q(
                            ("is_replaced", True),
                            models.Q(("state__in", ["lapsed", "refused", "superseded", "withdrawn"]), _negated=True),
                        ),
                        name="assignment_come_back",
                    ),
                    models.Index(
                        models.F("due_at"), condition=models.Q(("due_at__isnull", False)), name="assignment_due"
                    ),
                    models.Index(
                        models.F("settled_at"),
                        condition=models.Q(("settled_at__isnull", False)),
                        name="assignment_settled",
                    ),
                    models.Index(
                        models.F("campaign"),
                        models.F("renew_at"),
                        condition=models.Q(("renew_at__isnull", False)),
                        name="assignment_renewal",
                    ),
                    models.Index(
                        models.F("campaign"),
                        models.F("installing_at"),
                        models.F("id"),
                        condition=models.Q(("installing_at__isnull", False), ("is_judged", False)),
                        name="assignment_unjudged",
                    ),
                    models.Index(
                        models.F("code"),
                        models.F("settled_at"),
                        condition=models.Q(("state", "failed")),
                        name="assignment_failed_by_code",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"), models.F("vehicle"), name="assignment_vehicle_once_per_campaign"
                    ),
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        condition=models.Q(
                            ("state__in", ["downloaded", "downloading", "held", "installing", "offered", "withdrawing"])
                        ),
                        name="assignment_one_active_per_vehicle",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(
                                (
                                    "state__in",
                                    [
                                        "downloaded",
                                        "downloading",
                                        "held",
                                        "installing",
                                        "offered",
                                        "soaking",
                                        "withdrawing",
                                    ],
                                ),
                                _negated=True,
                            ),
                            ("due_at__isnull", False),
                            _connector="OR",
                        ),
                        name="assignment_active_has_due_time",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("state", "excluded"), models.Q(("verdict", "fits"), _negated=True)),
                            models.Q(models.Q(("state", "excluded"), _negated=True), ("verdict", "fits")),
                            _connector="OR",
                        ),
                        name="assignment_excluded_means_unfit",
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=False,
                        name="assignment_tells",
                        tenant="NULL",
                        updates=("state",),
                        vehicle="{row}.vehicle_id",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="Attempt",
            fields=[
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                (
                    "assignment",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="attempts", to="campaigns.assignment"
                    ),
                ),
                (
                    "vehicle",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attempts",
                        to="fleet.vehicle",
                    ),
                ),
                ("number", models.PositiveIntegerField()),
                (
                    "stone",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="firmware_store.release",
                    ),
                ),
                ("packages", models.JSONField(default=dict)),
                ("length", models.PositiveBigIntegerField(default=0)),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("success", "Success"),
                            ("failure", "Failure"),
                            ("refused", "Refused"),
                        ],
                        default="none",
                        max_length=10,
                    ),
                ),
                ("code", models.CharField(blank=True, max_length=80)),
            ],
            options={
                "indexes": [models.Index(models.F("opened_at"), name="attempt_by_time")],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"), models.F("number"), name="attempt_number_once_per_vehicle"
                    ),
                    models.UniqueConstraint(
                        models.F("assignment"), condition=models.Q(("closed_at", None)), name="attempt_one_open"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("number__range", (1, 2147483647))), name="attempt_number_positive_int32"
                    ),
                    otaserver.tenants.telling.Tells(
                        deletes=True,
                        inserts=True,
                        name="attempt_tells",
                        tenant="NULL",
                        updates=("number", "closed_at", "outcome"),
                        vehicle="{row}.vehicle_id",
                        where="",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="ConsentRecord",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "assignment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to="campaigns.assignment",
                    ),
                ),
                (
                    "attempt",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="consents",
                        to="campaigns.attempt",
                    ),
                ),
                ("record_id", models.CharField(max_length=64)),
                (
                    "decision",
                    models.CharField(
                        choices=[("yes", "Yes"), ("no", "No"), ("postpone", "Postpone"), ("deadline", "Deadline")],
                        max_length=10,
                    ),
                ),
                ("by", models.CharField(max_length=200)),
                ("recorded_by", models.CharField(blank=True, max_length=200)),
                ("language", models.CharField(max_length=35)),
                ("text_sha256", models.CharField(max_length=64)),
                ("is_text_known", models.BooleanField()),
                ("device_time", models.DateTimeField(blank=True, null=True)),
                ("received_at", models.DateTimeField()),
                ("ended_at", models.DateTimeField(blank=True, null=True)),
            ],
            options={
                "indexes": [
                    models.Index(models.F("assignment"), models.F("received_at"), name="consent_record_by_time")
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("assignment"), models.F("record_id"), name="consent_record_once"),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("recorded_by", ""), _negated=True), ("attempt__isnull", False), _connector="OR"
                        ),
                        name="consent_record_from_vehicle_names_attempt",
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="HealthReading",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "assignment",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="readings",
                        to="campaigns.assignment",
                    ),
                ),
                ("name", models.CharField(max_length=40)),
                ("value", models.FloatField()),
                ("at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(
                        models.F("assignment"), models.F("name"), models.F("at"), name="health_reading_by_time"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="LogTail",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "attempt",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="logs", to="campaigns.attempt"
                    ),
                ),
                ("text", models.TextField()),
                ("received_at", models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name="Report",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "attempt",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="reports",
                        to="campaigns.attempt",
                    ),
                ),
                ("report_id", models.CharField(max_length=64)),
                ("ecu_serial", models.CharField(blank=True, max_length=64)),
                (
                    "phase",
                    models.CharField(
                        choices=[
                            ("downloading", "Downloading"),
                            ("downloaded", "Downloaded"),
                            ("held", "Held"),
                            ("installing", "Installing"),
                            ("installed", "Installed"),
                            ("finished", "Finished"),
                        ],
                        max_length=20,
                    ),
                ),
                (
                    "outcome",
                    models.CharField(
                        choices=[
                            ("none", "None"),
                            ("success", "Success"),
                            ("failure", "Failure"),
                            ("refused", "Refused"),
                        ],
                        default="none",
                        max_length=10,
                    ),
                ),
                ("code", models.CharField(blank=True, max_length=80)),
                ("message", models.TextField(blank=True)),
                ("progress", models.PositiveSmallIntegerField(blank=True, null=True)),
                ("measured", models.JSONField(default=dict)),
                ("device_time", models.DateTimeField(blank=True, null=True)),
                ("received_at", models.DateTimeField()),
            ],
            options={
                "indexes": [
                    models.Index(models.F("attempt"), models.F("received_at"), name="report_by_time"),
                    models.Index(
                        models.F("code"),
                        models.F("received_at"),
                        condition=models.Q(("code", ""), _negated=True),
                        name="report_by_code",
                    ),
                ],
                "constraints": [
                    models.UniqueConstraint(models.F("attempt"), models.F("report_id"), name="report_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ControlBlock",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="blocks", to="campaigns.signalstate"
                    ),
                ),
                (
                    "control",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="+", to="campaigns.assignment"
                    ),
                ),
                ("treated_good", models.PositiveIntegerField()),
                ("treated_bad", models.PositiveIntegerField()),
                ("is_control_bad", models.BooleanField()),
                ("at", models.DateTimeField()),
                ("log_evidence", models.FloatField()),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(models.F("state"), models.F("control"), name="control_block_control_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="Decision",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="decisions",
                        to="campaigns.campaign",
                    ),
                ),
                (
                    "wave",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="decisions",
                        to="campaigns.wave",
                    ),
                ),
                ("at", models.DateTimeField()),
                ("kind", models.CharField(max_length=40)),
                ("actor", models.CharField(max_length=200)),
                ("sentence", models.TextField()),
                ("inputs", models.JSONField(default=dict)),
            ],
            options={
                "indexes": [models.Index(models.F("campaign"), models.F("at"), name="decision_by_time")],
            },
        ),
        migrations.CreateModel(
            name="Window",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "campaign",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="windows", to="campaigns.campaign"
                    ),
                ),
                ("weekdays", models.PositiveSmallIntegerField()),
                ("start_minute", models.PositiveSmallIntegerField()),
                ("length_minutes", models.PositiveSmallIntegerField()),
            ],
            options={
                "ordering": ["pk"],
                "constraints": [
                    models.UniqueConstraint(
                        models.F("campaign"),
                        models.F("weekdays"),
                        models.F("start_minute"),
                        models.F("length_minutes"),
                        name="window_once_per_campaign",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("weekdays__range", (1, 127))), name="window_on_some_weekday"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("start_minute__range", (0, 1439))), name="window_starts_in_a_day"
                    ),
                    models.CheckConstraint(
                        condition=models.Q(("length_minutes__range", (1, 1440))), name="window_at_most_a_day"
                    ),
                ],
            },
        ),
        migrations.CreateModel(
            name="WorkshopCase",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "vehicle",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE, related_name="workshop_cases", to="fleet.vehicle"
                    ),
                ),
                (
                    "assignment",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="workshop_cases",
                        to="campaigns.assignment",
                    ),
                ),
                ("code", models.CharField(max_length=80)),
                ("reason", models.TextField()),
                ("opened_at", models.DateTimeField()),
                ("closed_at", models.DateTimeField(blank=True, null=True)),
                ("closed_by", models.CharField(blank=True, max_length=200)),
                ("note", models.TextField(blank=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        models.F("vehicle"),
                        condition=models.Q(("closed_at", None)),
                        name="workshop_case_one_open_per_vehicle",
                    ),
                    models.CheckConstraint(
                        condition=models.Q(
                            models.Q(("closed_at", None), ("closed_by", "")),
                            models.Q(("closed_at__isnull", False), models.Q(("closed_by", ""), _negated=True)),
                            _connector="OR",
                        ),
                        name="workshop_case_closed_by_somebody",
                    ),
                ],
            },
        ),
        migrations.AddField(
            model_name="campaign",
            name="requires",
            field=models.ManyToManyField(
                related_name="required_by", through="campaigns.CampaignRequirement", to="campaigns.campaign"
            ),
        ),
    ]
