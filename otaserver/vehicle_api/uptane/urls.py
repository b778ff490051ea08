from django.urls import re_path

from otaserver.vehicle_api.uptane import consents, director, enrolment, health, images, reports

_TENANT = r"^(?P<tenant>[A-Za-z0-9-]{1,63})/"
_DIRECTOR = _TENANT + r"director/"
_IMAGES = _TENANT + r"repo/"
# Up to 18 digits fit the database's integers.
_VERSION = r"(?P<version>[1-9][0-9]{0,17})\."
_ROLE = r"(?P<role>[a-z0-9-]{1,40})"

urlpatterns = [
    re_path(_TENANT + r"enrol\Z", enrolment.enrol),
    re_path(_TENANT + r"renew\Z", enrolment.renew),
    re_path(_TENANT + r"ecus\Z", enrolment.ecus),
    re_path(_TENANT + r"events\Z", reports.events),
    re_path(_TENANT + r"logs\Z", reports.logs),
    re_path(_TENANT + r"consents\Z", consents.consents),
    re_path(_TENANT + r"health\Z", health.signals),
    re_path(_DIRECTOR + r"manifest\Z", director.manifest),
    re_path(_DIRECTOR + r"metadata/timestamp\.json\Z", director.timestamp),
    re_path(_DIRECTOR + r"metadata/(?P<role>targets|snapshot)\.json\Z", director.newest),
    re_path(_DIRECTOR + r"metadata/" + _VERSION + r"(?P<role>targets|snapshot)\.json\Z", director.numbered),
    re_path(_DIRECTOR + r"metadata/(?:" + _VERSION + r")?root\.json\Z", director.root),
    re_path(_IMAGES + r"metadata/(?:" + _VERSION + r")?" + _ROLE + r"\.json\Z", images.metadata),
    re_path(_IMAGES + r"targets/" + _ROLE + r"/(?P<name>[^/]{1,400})\Z", images.target),
]
