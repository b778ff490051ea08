from django.urls import re_path

from otaserver.vehicle_api.aktualizr import consents, director, events, images, inventory, provisioning

_TENANT = r"^(?P<tenant>[A-Za-z0-9-]{1,63})/"
_DIRECTOR = _TENANT + r"director/"
_IMAGES = _TENANT + r"repo/"
# Up to 18 digits fit the database's integers.
_ROOT = r"(?:(?P<version>[1-9][0-9]{0,17})\.)?root\.json\Z"
# Outside `delegations/` the top-level roles, inside it the others.
_TOP_LEVEL = r"(?P<role>targets|snapshot|timestamp)\.json\Z"
_DELEGATED = r"delegations/(?!(?:root|targets|snapshot|timestamp)\.json)(?P<role>[a-z0-9-]{1,40})\.json\Z"

urlpatterns = [
    re_path(_TENANT + r"devices\Z", provisioning.devices),
    re_path(_TENANT + r"events\Z", events.events),
    re_path(_TENANT + r"campaigner/campaigns\Z", consents.questions),
    re_path(_TENANT + r"system_info\Z", inventory.hardware),
    re_path(_TENANT + r"system_info/network\Z", inventory.network),
    re_path(_TENANT + r"system_info/config\Z", inventory.configuration),
    re_path(_TENANT + r"core/installed\Z", inventory.packages),
    re_path(_DIRECTOR + r"ecus\Z", provisioning.ecus),
    re_path(_DIRECTOR + r"manifest\Z", director.manifest),
    re_path(_DIRECTOR + _ROOT, director.root),
    re_path(_DIRECTOR + _TOP_LEVEL, director.metadata),
    re_path(_IMAGES + _ROOT, images.metadata, {"role": "root"}),
    re_path(_IMAGES + _TOP_LEVEL, images.metadata),
    re_path(_IMAGES + _DELEGATED, images.metadata),
    re_path(_IMAGES + r"targets/(?P<name>[a-z0-9-]{1,40}/[^/]{1,400})\Z", images.target),
]
