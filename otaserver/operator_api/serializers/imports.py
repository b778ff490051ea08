from typing import Any

from rest_framework import serializers

from otaserver.fleet.arrival_models import FleetImport, FleetImportProblem
from otaserver.fleet.states import ImportKind


class ImportOptions(serializers.Serializer[Any]):
    """What the query string says of a file."""

    filename = serializers.CharField(max_length=255, default="fleet")
    kind = serializers.ChoiceField(choices=ImportKind.choices)
    dry_run = serializers.BooleanField(default=False)


class CountsSerializer(serializers.Serializer[Any]):
    """What the file did so far, or would do in a dry run. Nothing but lines: all of it was there already."""

    lines = serializers.IntegerField()
    refused = serializers.IntegerField()
    vehicles_created = serializers.IntegerField()
    vehicles_changed = serializers.IntegerField()
    ecus_changed = serializers.IntegerField()
    tokens_given = serializers.IntegerField()
    claim_codes = serializers.IntegerField()
    attributes_set = serializers.IntegerField()
    memberships = serializers.IntegerField()
    groups_created = serializers.IntegerField()


class ImportSerializer(serializers.ModelSerializer[FleetImport]):
    counts = serializers.SerializerMethodField()

    class Meta:
        model = FleetImport
        fields = [
            "id",
            "state",
            "kind",
            "is_dry_run",
            "filename",
            "sha256",
            "length",
            "done_bytes",
            "counts",
            "created_by",
            "created_at",
            "finished_at",
            "failed_reason",
        ]

    def get_counts(self, row: FleetImport) -> CountsSerializer:
        # Before the first batch there is nothing to count.
        return {name: row.counts.get(name, 0) for name in CountsSerializer().fields}  # type: ignore[return-value]


class ImportProblemSerializer(serializers.ModelSerializer[FleetImportProblem]):
    """A line that was left out: the rule, and the value that breaks it."""

    class Meta:
        model = FleetImportProblem
        fields = ["line", "code", "value", "rule"]
