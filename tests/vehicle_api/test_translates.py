"""A protocol's folder translates to and from the narrow waist, and adds nothing of its own."""

import re

from tests.processes import ROOT

FOLDER = ROOT / "otaserver" / "vehicle_api"
# Who owns the address that is asked for: the one thing that is looked up here.
LOOK_UPS = {("identity.py", "Tenant.objects")}
QUERY = re.compile(r"\b(\w+\.objects)\b|\.(?:filter|exclude|values_list|select_related|bulk_create|save)\(")


def test_no_protocol_asks_the_database_itself():
    found = set()
    for path in FOLDER.rglob("*.py"):
        for match in QUERY.finditer(path.read_text()):
            found.add((path.relative_to(FOLDER).as_posix(), match[1] or match[0]))

    assert found - LOOK_UPS - {("identity.py", ".filter(")} == set()


def test_no_protocol_imports_anothers():
    folders = {path.name for path in FOLDER.iterdir() if (path / "urls.py").exists()}
    assert {"ddi", "uptane"} <= folders
    crossing = []
    for path in FOLDER.rglob("*.py"):
        own = path.relative_to(FOLDER).parts[0]
        for other in re.findall(r"otaserver\.vehicle_api\.(\w+)", path.read_text()):
            if other in folders - {own} and path.parent != FOLDER:
                crossing.append((path.name, other))

    assert crossing == []
