"""One settings module for every place the server runs.

With nothing in the environment it is the embedded default: SQLite, a private Redis and files under `var/`, with secrets
made on first start. Any of DATABASE_URL, REDIS_URL and OTA_STORAGE_URL makes it production, which fails closed: it
names every secret that is missing and does not start.
"""

import gc
import hashlib
import json
import os
import secrets
import sys
import tempfile
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy

from otaserver.logs import formatter
from otaserver.people.sign_on_rules import grants_in, is_safe_address
from otaserver.storage_urls import S3, storage_of

# What is imported stays: looking through it for garbage, again and again, takes a tenth of a start. On again when all
# apps are ready, in `embedded/apps.py`.
gc.disable()

BASE_DIR = Path(__file__).resolve().parent.parent


class _Environment(environ.Env):  # type: ignore[misc]
    """Names the variable whose value is not what it should be, which the library does not."""

    def get_value(self, var: str, *arguments: Any, **options: Any) -> Any:
        try:
            return super().get_value(var, *arguments, **options)
        except ValueError as error:
            raise ImproperlyConfigured(f"{var} is {os.environ.get(var)!r}: {error}.") from error


env = _Environment()

VAR_DIR = Path(env.str("OTA_VAR", default=str(BASE_DIR / "var"))).resolve()
IS_PRODUCTION = any(os.environ.get(name) for name in ("DATABASE_URL", "REDIS_URL", "OTA_STORAGE_URL"))
_PRODUCTION_NEEDS = {
    "DATABASE_URL": "the PostgreSQL database",
    "REDIS_URL": "the Redis that Celery uses",
    "OTA_STORAGE_URL": "where packages are stored: file:///path or s3://bucket?region_name=…",
    "OTA_SECRET_KEY": "signs console sessions",
    "OTA_URL_SECRET": "signs download addresses",
    "OTA_ONLINE_KEYS": "the folder of the online signing keys, by its absolute path",
    "OTA_ALLOWED_HOSTS": "the host names this server answers to, with commas",
}


def _embedded_secrets(path: Path) -> dict[str, str]:
    """Return the secrets of the embedded default, made on first start; two processes starting at once read the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        made = {"secret_key": secrets.token_urlsafe(48), "url_secret": secrets.token_urlsafe(48)}
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(name, path)
        except FileExistsError:
            pass
        finally:
            os.unlink(name)
    loaded: dict[str, str] = json.loads(path.read_text())
    return loaded


def _folder_of_keys(**default: str) -> str:
    """Return the folder of the online keys, which may be given as the URI that keys in it have."""
    return str(env.str("OTA_ONLINE_KEYS", **default)).removeprefix("file2:")


# Secret keys of before: what was sealed or signed with one of them still counts.
SECRET_KEY_FALLBACKS = env.list("OTA_SECRET_KEY_FALLBACKS", default=[])
if IS_PRODUCTION:
    _missing = [f"{name} ({why})" for name, why in _PRODUCTION_NEEDS.items() if not os.environ.get(name)]
    if _missing:
        raise ImproperlyConfigured("Production does not start without: " + "; ".join(_missing) + ".")
    SECRET_KEY = env.str("OTA_SECRET_KEY")
    URL_SECRET = env.str("OTA_URL_SECRET")
    ONLINE_KEYS = _folder_of_keys()
    ALLOWED_HOSTS = env.list("OTA_ALLOWED_HOSTS")
else:
    _secrets = _embedded_secrets(VAR_DIR / "secrets.json")
    SECRET_KEY = _secrets["secret_key"]
    URL_SECRET = _secrets["url_secret"]
    ONLINE_KEYS = _folder_of_keys(default=str(VAR_DIR / "online-keys"))
    ALLOWED_HOSTS = env.list("OTA_ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]", "testserver"])

DEBUG = False
PORT = env.int("OTA_PORT", default=8000)
# Where downloads by signed address are served; empty means by this server itself, under /downloads/.
DOWNLOAD_URL = env.str("OTA_DOWNLOAD_URL", default="")
DOWNLOAD_URL_SECONDS = env.int("OTA_DOWNLOAD_URL_SECONDS", default=3600)
TRUSTED_PROXIES = env.list("OTA_TRUSTED_PROXIES", default=[])
# A PEM file with the CA of the server's own certificate, given to vehicles that are provisioned; without one none are.
# `serve --tls` has it there.
SERVER_CA = env.str("OTA_SERVER_CA", default="" if IS_PRODUCTION else str(VAR_DIR / "nginx" / "ca.pem"))
# Where nginx has the packages, for X-Accel-Redirect (deploy/nginx.conf); empty: the server sends them itself.
ACCEL_PREFIX = env.str("OTA_ACCEL_PREFIX", default="")
# The CAs of vehicles' certificates for an nginx on this host, kept up to date by a tick; empty: there is none.
AUTHORITIES_FILE = env.str("OTA_AUTHORITIES_FILE", default="")
BLOCKED_ADDRESSES = frozenset(env.list("OTA_BLOCKED_ADDRESSES", default=[]))
TICK_SECONDS = env.float("OTA_TICK_SECONDS", default=1.0)
# Bodies are read whole, except packages; signed metadata of a large supplier is the longest.
MAX_BODY_BYTES = 24 * 1024**2
WEB_WORKERS = env.int("OTA_WEB_WORKERS", default=2)
# How many bodies may arrive at a time in one web process.
BODY_SLOTS = env.int("OTA_BODY_SLOTS", default=4)
# How many requests a token may send to the operator API in a minute; 0: as many as it likes.
API_REQUESTS_PER_MINUTE = env.int("OTA_API_REQUESTS_PER_MINUTE", default=3000)
MAX_PACKAGE_BYTES = env.int("OTA_MAX_PACKAGE_BYTES", default=16 * 1024**3)

# How people and webhooks' receivers reach this server; letters link there.
PUBLIC_URL = env.str("OTA_PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")
WEBHOOKS_NEED_HTTPS = IS_PRODUCTION
# Networks, like 10.1.0.0/16, that webhooks may go to although they are not public.
WEBHOOK_NETWORKS = [ip_network(each) for each in env.list("OTA_WEBHOOK_NETWORKS", default=[])]
# For how many days events, their deliveries and letters are kept.
EVENT_DAYS = env.int("OTA_EVENT_DAYS", default=30)

# Single sign-on by OpenID Connect (docs/single_sign_on.md): the issuer and all that it needs, or none of it.
OIDC_ISSUER = env.str("OTA_OIDC_ISSUER", default="")
OIDC_CLIENT_ID = env.str("OTA_OIDC_CLIENT_ID", default="")
OIDC_CLIENT_SECRET = os.environ.get("OTA_OIDC_CLIENT_SECRET", "")
OIDC_SCOPES = env.str("OTA_OIDC_SCOPES", default="openid email profile")
OIDC_GROUPS_CLAIM = env.str("OTA_OIDC_GROUPS_CLAIM", default="groups")
# For so long after their last single sign-on a person's tokens act for them: who has left the issuer is not told of.
OIDC_TOKEN_HOURS = env.int("OTA_OIDC_TOKEN_HOURS", default=168)
# Whether they stop as soon as the issuer says that the person has signed out there, until the next single sign-on.
OIDC_LOGOUT_ENDS_TOKENS = env.bool("OTA_OIDC_LOGOUT_ENDS_TOKENS", default=False)
try:
    OIDC_GRANTS = grants_in(env.str("OTA_OIDC_ROLES", default=""))
except ValueError as error:
    raise ImproperlyConfigured(f"OTA_OIDC_ROLES: {error}.") from error
_oidc = {
    "OTA_OIDC_ISSUER": OIDC_ISSUER,
    "OTA_OIDC_CLIENT_ID": OIDC_CLIENT_ID,
    "OTA_OIDC_CLIENT_SECRET": OIDC_CLIENT_SECRET,
    "OTA_OIDC_ROLES": OIDC_GRANTS,
}
if any(_oidc.values()) and not all(_oidc.values()):
    _missing = [name for name, value in _oidc.items() if not value]
    raise ImproperlyConfigured(f"Single sign-on does not work without {', '.join(_missing)}.")
if OIDC_ISSUER and not is_safe_address(OIDC_ISSUER):
    raise ImproperlyConfigured(f"OTA_OIDC_ISSUER {OIDC_ISSUER!r} is not https://… of at most 200 characters.")

# Who shows this as a bearer token may read /metrics; without it, only this host may.
METRICS_TOKEN = env.str("OTA_METRICS_TOKEN", default="")
# With less on the disk of OTA_VAR this server says that it is not ready.
MIN_FREE_BYTES = env.int("OTA_MIN_FREE_BYTES", default=200 * 1024**2)
# What the poll front of one process keeps answers in: about 200 bytes for a vehicle.
FRONT_BYTES = env.int("OTA_FRONT_BYTES", default=256 * 1024**2)
# Where the processes of this host count together; the library that counts takes it from the environment.
METRICS_DIR = Path(os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", str(VAR_DIR / "metrics")))

# Where letters go: smtp+tls://user:password@host:587, smtp+ssl://host:465; without it, to the log of the worker.
_mail = env.email_url("OTA_MAIL_URL", default="consolemail://")
EMAIL_BACKEND = _mail["EMAIL_BACKEND"]
EMAIL_HOST, EMAIL_PORT = _mail["EMAIL_HOST"], _mail["EMAIL_PORT"]
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _mail["EMAIL_HOST_USER"], _mail["EMAIL_HOST_PASSWORD"]
EMAIL_USE_TLS, EMAIL_USE_SSL = _mail.get("EMAIL_USE_TLS", False), _mail.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.str("OTA_MAIL_FROM", default="ota-server@localhost")

INSTALLED_APPS = [
    "unfold",
    # Its pages are found by the addresses (`otaserver.urls`): workers and commands have none.
    "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    # Of all that it can do, recovery codes and the algorithm of authenticators; why it: docs/members.md.
    "django_otp",
    "django_otp.plugins.otp_static",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "otaserver.tenants",
    "otaserver.audit",
    "otaserver.people",
    "firmware_store",
    "otaserver.fleet",
    "otaserver.director",
    "otaserver.campaigns",
    "otaserver.privacy",
    "otaserver.events",
    "otaserver.vehicle_api",
    "otaserver.operator_api",
    "otaserver.console",
    "otaserver.embedded",
    "otaserver.recovery",
    "otaserver.demo",
]
MIDDLEWARE = [
    "otaserver.observing.observe",
    "otaserver.bodiless.leave_out_headers",
    "otaserver.addresses.refuse_nul",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "otaserver.console.people.sessions.limit_sessions",
    "django.contrib.messages.middleware.MessageMiddleware",
    "otaserver.console.viewer.for_viewer",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "otaserver.urls"
WSGI_APPLICATION = "otaserver.wsgi.application"
# Vehicles' paths are wire contracts: a redirect that adds a slash would break them.
APPEND_SLASH = False
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Before Unfold's own, which comes first among the apps.
        "DIRS": [BASE_DIR / "otaserver/console/overrides"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]


def _database() -> dict[str, Any]:
    if IS_PRODUCTION:
        try:
            found: dict[str, Any] = env.db_url("DATABASE_URL")
        except ValueError:
            # What it says has a part of the password in it.
            raise ImproperlyConfigured(
                "DATABASE_URL is not postgresql://user:password@host/name. In its password %, / and ? are written as "
                "%25, %2F and %3F; or the password stands in PGPASSWORD alone, as it is."
            ) from None
        if found["ENGINE"].endswith("postgresql"):
            found.setdefault("OPTIONS", {})["pool"] = {"min_size": 1, "max_size": env.int("OTA_DB_POOL", default=10)}
            found["CONN_HEALTH_CHECKS"] = True
        return found
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(VAR_DIR / "db.sqlite3"),
        # Opened once a thread: with the last connection that closes, SQLite writes back its log and removes it.
        "CONN_MAX_AGE": None,
        "OPTIONS": {
            "timeout": 30,
            # A transaction that reads first and then writes cannot wait for a lock; one that begins IMMEDIATE can.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA busy_timeout=30000;",
        },
    }


DATABASES = {"default": _database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "/console/login/"
# A session ends when nobody has opened a page for so long, and in any case so long after it began.
SESSION_IDLE_SECONDS = env.int("OTA_SESSION_IDLE_SECONDS", default=3600)
SESSION_COOKIE_AGE = env.int("OTA_SESSION_SECONDS", default=12 * 3600)
LOGIN_REDIRECT_URL = "/console/"


try:
    _storage = storage_of(env.str("OTA_STORAGE_URL", default=f"file://{VAR_DIR / 'blobs'}"))
except ValueError as error:
    raise ImproperlyConfigured(f"{error}.") from error
STORAGES = {
    "default": _storage,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
# A stored file is its digest's content for ever.
FILE_UPLOAD_PERMISSIONS = 0o444
STATIC_URL = "/static/"
# The console's few files are served from where their packages have them: no step that collects them, no second server.
WHITENOISE_USE_FINDERS = True
# Where the storage is a bucket, packages may be sent straight to it, past this server.
DIRECT_UPLOADS = env.bool("OTA_DIRECT_UPLOADS", default=True)
# Bytes on their way in, before their hash is known; on the same disk as nothing that is served.
UPLOAD_DIR = VAR_DIR / "uploads"


def _embedded_redis_socket() -> Path:
    """Return where the embedded Redis listens: a Unix socket path may not exceed 107 bytes (unix(7))."""
    socket = VAR_DIR / "redis.sock"
    if len(str(socket).encode()) < 100:
        return socket
    digest = hashlib.sha256(str(VAR_DIR).encode()).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ota-{digest}.sock"


REDIS_SOCKET = _embedded_redis_socket()
CELERY_BROKER_URL = env.str("REDIS_URL", default=f"redis+socket://{REDIS_SOCKET}")
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Nobody talks to workers, and what they would listen on is one more thing to restore when Redis comes back empty.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# A killed worker's task comes back after this; the ticks find what is due long before. Longer than any task runs,
# since what is not acknowledged by then is given to a second worker.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 600}
CELERY_TIMEZONE = "UTC"


def _every(seconds: float, task: str) -> dict[str, Any]:
    """Return a beat entry whose messages expire before they could pile up while no worker runs."""
    return {"task": task, "schedule": seconds, "options": {"expires": max(5.0, seconds / 2)}}


CELERY_BEAT_SCHEDULE = {
    "campaigns": _every(TICK_SECONDS, "otaserver.campaigns.tasks.advance_campaigns"),
    "lapse": _every(5 * TICK_SECONDS, "otaserver.campaigns.tasks.lapse"),
    "fits": _every(2, "otaserver.campaigns.tasks.count_fits"),
    "group-sizes": _every(5, "otaserver.fleet.tasks.count_groups"),
    "forecasts": _every(10, "otaserver.campaigns.tasks.keep_forecasts"),
    "reconciliation": _every(600, "otaserver.campaigns.tasks.reconcile"),
    "metadata": _every(60, "firmware_store.tasks.refresh_metadata"),
    "expiry": _every(3600, "firmware_store.tasks.watch_expiry"),
    "claims": _every(3600, "otaserver.fleet.tasks.expire_claims"),
    "wishes": _every(3600, "otaserver.fleet.tasks.forget_wishes"),
    "watches": _every(3600, "otaserver.fleet.tasks.expire_watches"),
    "sign_ins": _every(3600, "otaserver.people.tasks.forget_sign_ins"),
    "retention": _every(3600, "otaserver.privacy.tasks.prune_records"),
    "orphans": _every(6 * 3600, "otaserver.privacy.tasks.remove_orphans"),
    "imports": _every(5, "otaserver.fleet.tasks.run_imports"),
    "beat": _every(10, "otaserver.events.tasks.beat"),
    "events": _every(1, "otaserver.events.tasks.publish_events"),
    "outcomes": _every(5, "otaserver.events.tasks.tell_outcomes"),
    "letters": _every(10, "otaserver.events.tasks.send_letters"),
    "expiries": _every(6 * 3600, "otaserver.events.tasks.warn_of_expiry"),
    "forgotten-events": _every(24 * 3600, "otaserver.events.tasks.forget_events"),
}
# As long as there is a bucket, even if nothing new is offered the way there: what is under way comes to its end.
if STORAGES["default"]["BACKEND"] == S3:
    CELERY_BEAT_SCHEDULE["direct-uploads"] = _every(2, "firmware_store.tasks.verify_direct_uploads")
if AUTHORITIES_FILE:
    CELERY_BEAT_SCHEDULE["authorities"] = _every(10, "otaserver.embedded.tasks.write_authorities")

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LANGUAGE_COOKIE_PATH = "/console/"
LANGUAGE_COOKIE_SAMESITE = "Lax"
USE_I18N = True
FORMAT_MODULE_PATH = "otaserver.console.formats"

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "otaserver.operator_api.problems.exception_response",
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "OTA server",
    "DESCRIPTION": "Operator API: packages, releases, groups, campaigns.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SERVE_INCLUDE_SCHEMA": False,
    # Names that stay what they are, whatever other field of the same name is added.
    "ENUM_NAME_OVERRIDES": {
        "CampaignStateEnum": "otaserver.campaigns.states.CampaignState",
        "CampaignKindEnum": "otaserver.campaigns.states.CampaignKind",
        "DirectUploadStateEnum": "firmware_store.states.DirectUploadState",
        "DirectUploadStandingEnum": "firmware_store.states.DirectUploadStanding",
        "EndpointStateEnum": "otaserver.events.states.EndpointState",
        "WaveStateEnum": "otaserver.campaigns.states.WaveState",
        "PackageStateEnum": "firmware_store.states.PackageState",
        "ConditionKindEnum": "firmware_store.states.ConditionKind",
        "ForeignSoftwareEnum": "otaserver.tenants.states.ForeignSoftware",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "otaserver.operator_api.schema.describe_everywhere",
    ],
}


# In this order: what a question keeps from being sent is not sent yet where "once" looks.
_SCRIPTS = ("zone", "live", "follow", "upload", "filter", "search", "sure", "once", "keyboard")
UNFOLD = {
    "SITE_TITLE": "OTA server",
    "SITE_HEADER": "OTA server",
    "SITE_URL": None,
    "SITE_SYMBOL": "deployed_code_update",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": f"{STATIC_URL}console/favicon.svg"}],
    "SHOW_HISTORY": False,
    "SHOW_LANGUAGES": True,
    # The blue of what moves, so that colour means one thing.
    "COLORS": {
        "primary": {
            "50": "#eff6ff",
            "100": "#dbeafe",
            "200": "#bfdbfe",
            "300": "#93c5fd",
            "400": "#60a5fa",
            "500": "#3b82f6",
            "600": "#1d4ed8",
            "700": "#1e40af",
            "800": "#1e3a8a",
            "900": "#172f74",
            "950": "#101f4d",
        },
    },
    "STYLES": [f"{STATIC_URL}console/console.css"],
    "SCRIPTS": [f"{STATIC_URL}console/{name}.js" for name in _SCRIPTS],
    "SHOW_VIEW_ON_SITE": False,
    "ACCOUNT": {"navigation": [{"title": gettext_lazy("Your profile"), "link": reverse_lazy("people:profile")}]},
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": "otaserver.console.menu.navigation",
    },
}

CSRF_FAILURE_VIEW = "otaserver.console.refused.form_is_old"
DATA_UPLOAD_MAX_MEMORY_SIZE = 4 * 1024 * 1024
if IS_PRODUCTION or TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
if IS_PRODUCTION:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    CSRF_TRUSTED_ORIGINS = [f"https://{host}" for host in ALLOWED_HOSTS if host != "*"]

_LOG_FORMAT = "json" if IS_PRODUCTION else "text"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": formatter(is_json=env.str("OTA_LOG_FORMAT", default=_LOG_FORMAT) == "json")},
    "filters": {"discreet": {"()": "otaserver.discreet.Discreet"}},
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "stream": sys.stderr,
            "formatter": "line",
            "filters": ["discreet"],
        }
    },
    "root": {"handlers": ["stderr"], "level": env.str("OTA_LOG_LEVEL", default="INFO")},
    # One line per tick, per request of a client in the same process, or per vehicle that asks whether there is a next
    # root (404 is the usual answer) would only say that nothing happened. What is refused is said to who sent it.
    "loggers": {
        "celery": {"level": "WARNING"},
        "httpx": {"level": "WARNING"},
        "django.request": {"level": "ERROR"},
    },
}
