"""Packages on their way straight into the bucket, past this server."""

from django.db import models
from django.db.models import Q

from firmware_store.states import DIRECT_UPLOAD_TRANSITIONS, DirectUploadState
from otaserver.statemachine import StatefulModel


class DirectUpload(StatefulModel):
    """One package's multipart upload; the row goes when its bytes are stored, refused or given up.

    Which parts have arrived the bucket knows alone.
    """

    TRANSITIONS = DIRECT_UPLOAD_TRANSITIONS
    package = models.OneToOneField("firmware_store.Package", models.CASCADE, related_name="direct_upload")
    state = models.CharField(max_length=10, choices=DirectUploadState.choices, default=DirectUploadState.OPEN)
    # Where the object waits: no other upload ever writes there, and nothing is served from there.
    name = models.CharField(max_length=200, unique=True)
    upload_id = models.TextField()
    part_bytes = models.PositiveBigIntegerField()
    # The bucket's own mark of the object that is read again.
    etag = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField()
    # Until then whoever verifies it is at it; one that dies lets go by itself.
    leased_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "firmware_store"
        constraints = [
            models.CheckConstraint(
                name="direct_upload_verified_object_is_known", condition=Q(state=DirectUploadState.OPEN) | ~Q(etag="")
            ),
            models.CheckConstraint(name="direct_upload_has_parts", condition=Q(part_bytes__gt=0)),
        ]

    def __str__(self) -> str:
        return self.name
