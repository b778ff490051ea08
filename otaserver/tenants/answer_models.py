"""Answers that are kept for a day, so that a request which is sent again does nothing twice."""

from django.db import models
from django.db.models import Q

KEY_MAX_LENGTH = 200


class KeptAnswer(models.Model):
    """One request that its sender gave a key to, and what it was answered; without an answer it is under way."""

    # The constraint below begins with it, so that it needs no index of its own.
    tenant = models.ForeignKey("tenants.Tenant", models.CASCADE, related_name="kept_answers", db_index=False)
    caller = models.CharField(max_length=200)
    key = models.CharField(max_length=KEY_MAX_LENGTH)
    # Over method, address and body; empty while a body that is taken in as a stream is still on its way.
    request_sha256 = models.CharField(max_length=64, blank=True)
    began_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True, blank=True)
    content_type = models.CharField(max_length=100, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(default=b"")
    # It showed a secret, which is stored nowhere: so this answer was not kept.
    was_secret = models.BooleanField(default=False)

    class Meta:
        app_label = "tenants"
        constraints = [
            models.UniqueConstraint("tenant", "caller", "key", name="kept_answer_key_once_per_caller"),
            models.CheckConstraint(
                name="kept_answer_of_a_known_request", condition=Q(status=None) | ~Q(request_sha256="")
            ),
            models.CheckConstraint(name="kept_answer_keeps_no_secret", condition=Q(was_secret=False) | Q(body=b"")),
        ]
        indexes = [models.Index("began_at", name="kept_answer_by_time")]

    def __str__(self) -> str:
        return f"answer to {self.key} of {self.caller}"
