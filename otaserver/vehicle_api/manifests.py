"""A manifest, in whatever form it comes, from the request to what it moves."""

import logging
from datetime import datetime

from otaserver.campaigns import operations as campaigns
from otaserver.director import operations as director
from otaserver.director.manifests import ManifestReader
from otaserver.errors import OtaError
from otaserver.fleet.models import Vehicle

logger = logging.getLogger(__name__)


def take_manifest(vehicle: Vehicle, body: bytes, *, read: ManifestReader, at: datetime) -> director.ReceivedManifest:
    """Take a manifest in, then let what it proves and reports move the vehicle's assignment.

    Raises:
        OtaError: it is refused; the log says so too.
    """
    try:
        received = director.receive_manifest(vehicle, body, read=read, at=at)
    except OtaError as refusal:
        logger.warning("manifest refused code=%s vehicle=%s tenant=%s", refusal.code, vehicle, vehicle.tenant)
        raise
    said = received.report
    report = campaigns.EvidenceReport(said.attempt, said.outcome, said.code, said.message) if said else None
    # For a resent one too: the first may have been stored just before the server died.
    campaigns.record_evidence(vehicle, proved=received.proved, report=report, ecus=received.ecus, at=at)
    if received.is_new and received.findings:
        findings = " ".join(received.findings)
        logger.warning("manifest findings=%s vehicle=%s tenant=%s", findings, vehicle, vehicle.tenant)
    return received
