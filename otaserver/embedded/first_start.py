"""What makes an empty folder a server one can use: tables, a tenant with its keys, an operator, a console user."""

import os
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from django.core.management import call_command
from django.db import transaction

from otaserver.audit import operations as audit
from otaserver.operator_api import operations
from otaserver.tenants import operations as tenants
from otaserver.tenants.models import Member, Tenant, User
from otaserver.tenants.states import Role

TENANT = "default"
OPERATOR = "first-operator"
CONSOLE_USER = "admin"
ACTOR = "first start"


@dataclass(frozen=True)
class FirstOperator:
    """What the first start made; it can be read again from the folder, and only by its owner."""

    token: str
    token_file: Path
    password: str
    password_file: Path


def prepare(folder: Path, *, at: datetime) -> FirstOperator | None:
    """Bring tables up to date and, on the first start, make the default tenant and whoever operates it.

    Repeating it after a crash at any point makes what is still missing.
    """
    call_command("migrate", interactive=False, verbosity=0)
    # There is one operator only, who could not approve anything otherwise; `serve` says so.
    tenant = Tenant.objects.filter(name=TENANT).first() or operations.open_tenant(
        TENANT, title="", has_public_targets=False, by=ACTOR, at=at, required_approvals=0
    )
    if tenant.service_tokens.filter(name=OPERATOR).exists():
        return None
    return _make_operator(tenant, folder, at=at)


@transaction.atomic
def _make_operator(tenant: Tenant, folder: Path, *, at: datetime) -> FirstOperator:
    password = secrets.token_urlsafe(12)
    user = User.objects.create_superuser(CONSOLE_USER, password=password)
    Member.objects.create(tenant=tenant, user=user, role=Role.ADMINISTRATOR)
    token = tenants.issue_service_token(
        tenant, name=OPERATOR, role=Role.ADMINISTRATOR, by=ACTOR, at=at, expires_at=None
    )
    audit.record("token.created", OPERATOR, tenant=tenant, by=ACTOR, at=at, role=Role.ADMINISTRATOR)
    # Written before the commit: rows without files could not be used, files without rows are replaced.
    return FirstOperator(
        token=token,
        token_file=_write_private(folder / "operator-token", token),
        password=password,
        password_file=_write_private(folder / "console-password", password),
    )


def _write_private(path: Path, secret: str) -> Path:
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secret + "\n")
        file.flush()
        os.fsync(handle)
    return path
