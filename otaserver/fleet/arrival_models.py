"""Files with which fleets arrive: what became of each, and of each of its lines that could not be taken."""

from django.db import models
from django.db.models import Q

from otaserver.fleet.states import IMPORT_TRANSITIONS, ImportKind, ImportState
from otaserver.statemachine import StatefulModel


class FleetImport(StatefulModel):
    """One file of vehicles, and how far it has been taken in. The file itself is deleted once that has ended."""

    TRANSITIONS = IMPORT_TRANSITIONS
    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="fleet_imports")
    state = models.CharField(max_length=10, choices=ImportState.choices, default=ImportState.WAITING)
    kind = models.CharField(max_length=10, choices=ImportKind.choices)
    # Nothing is written: only told what would be.
    is_dry_run = models.BooleanField(default=False)
    filename = models.CharField(max_length=255)
    # Where the file waits in the storage; it may hold tokens, so that it does not stay.
    stored_as = models.CharField(max_length=100)
    sha256 = models.CharField(max_length=64)
    length = models.PositiveBigIntegerField()
    created_by = models.CharField(max_length=200)
    created_at = models.DateTimeField()
    # When whoever runs it last wrote something down; a run that died is taken up again after a while.
    seen_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    failed_reason = models.TextField(blank=True)
    # How much of the file was read, in bytes, and what that did (operations.arrivals.Counts).
    done_bytes = models.PositiveBigIntegerField(default=0)
    counts = models.JSONField(default=dict)

    class Meta:
        app_label = "fleet"
        constraints = [
            models.CheckConstraint(name="fleet_import_kind_known", condition=Q(kind__in=ImportKind.values)),
        ]
        indexes = [
            models.Index("state", name="fleet_import_open", condition=Q(state__in=["waiting", "running"])),
        ]

    def __str__(self) -> str:
        return self.filename


class FleetImportProblem(models.Model):
    """One line that was left out, and why: the rule, and the value that breaks it."""

    fleet_import = models.ForeignKey(FleetImport, models.CASCADE, related_name="problems", db_index=False)
    line = models.PositiveIntegerField()
    code = models.CharField(max_length=80)
    value = models.CharField(max_length=200, blank=True)
    rule = models.TextField()

    class Meta:
        app_label = "fleet"
        constraints = [models.UniqueConstraint("fleet_import", "line", name="fleet_import_problem_once_per_line")]

    def __str__(self) -> str:
        return f"line {self.line} of {self.fleet_import}"
