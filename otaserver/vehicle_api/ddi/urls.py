from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import re_path
from django.views.decorators.csrf import csrf_exempt

from otaserver.vehicle_api.ddi import answers, artifacts, confirmations, deployments, inventory, polling

# The tenant as it may be spelled: names compare without case.
_VEHICLE = r"^(?P<tenant>[A-Za-z0-9-]{1,63})/controller/v1/(?P<controller>[^/]+)"
# Action ids are positive int32; longer numbers are nobody's.
_NUMBER = r"/(?P<number>[1-9][0-9]{0,9})"
_MODULE = r"/softwaremodules/(?P<module>[1-9][0-9]{0,9})/artifacts"


@csrf_exempt
def nothing(request: HttpRequest, **parts: str) -> HttpResponseBase:
    """Answer what is no address of DDI, in its form."""
    return answers.done(404)


urlpatterns = [
    re_path(_VEHICLE + r"\Z", polling.poll),
    re_path(_VEHICLE + r"/configData\Z", inventory.config_data),
    re_path(_VEHICLE + r"/deploymentBase" + _NUMBER + r"\Z", deployments.deployment),
    re_path(_VEHICLE + r"/deploymentBase" + _NUMBER + r"/feedback\Z", deployments.deployment_feedback),
    re_path(_VEHICLE + r"/cancelAction" + _NUMBER + r"\Z", deployments.cancellation),
    re_path(_VEHICLE + r"/cancelAction" + _NUMBER + r"/feedback\Z", deployments.cancellation_feedback),
    re_path(_VEHICLE + r"/confirmationBase\Z", confirmations.overview),
    re_path(_VEHICLE + r"/confirmationBase/activateAutoConfirm\Z", confirmations.activate),
    re_path(_VEHICLE + r"/confirmationBase/deactivateAutoConfirm\Z", confirmations.deactivate),
    re_path(_VEHICLE + r"/confirmationBase" + _NUMBER + r"\Z", confirmations.confirmation),
    re_path(_VEHICLE + r"/confirmationBase" + _NUMBER + r"/feedback\Z", confirmations.confirmation_feedback),
    re_path(_VEHICLE + r"/installedBase\Z", deployments.declare_installed),
    re_path(_VEHICLE + r"/installedBase" + _NUMBER + r"\Z", deployments.installed),
    re_path(_VEHICLE + _MODULE + r"\Z", artifacts.listing),
    re_path(_VEHICLE + _MODULE + r"/(?P<filename>[^/]+)\.MD5SUM\Z", artifacts.md5sum),
    re_path(_VEHICLE + _MODULE + r"/(?P<filename>[^/]+)\Z", artifacts.download),
    re_path(_VEHICLE + r"/", nothing),
]
