import json
from pathlib import Path

import jsonschema_rs
from django.contrib.staticfiles import finders
from django.test import Client
from drf_spectacular import validation
from drf_spectacular.drainage import GENERATOR_STATS
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer

from tests.operator_api.test_access import NEEDS


def test_the_schema_is_valid_and_describes_every_address_and_method():
    GENERATOR_STATS.reset()

    schema = SchemaGenerator().get_schema(request=None, public=True)

    # What its own `validate_schema` holds it against, in a moment instead of half a minute.
    rules = json.loads((Path(validation.__file__).parent / "openapi_3_1_schema.json").read_text())
    jsonschema_rs.validate(rules, json.loads(OpenApiJsonRenderer().render(schema)))
    # A name that was made up because two collide would change with the next field of that name.
    assert not GENERATOR_STATS
    described = {
        (method.upper(), path.removeprefix("/api/v1/")) for path, item in schema["paths"].items() for method in item
    }
    filled = {
        (
            method,
            path.replace("{id}", "1")
            .replace("{vehicle_id}", "VIN1")
            .replace("{username}", "someone")
            .replace("{repository}", "image"),
        )
        for method, path in described
    }
    assert {(method, path.replace("{role}", "supplier").replace("{name}", "owner")) for method, path in filled} == set(
        NEEDS
    )


def test_the_schema_and_its_page_need_no_token_and_no_other_server(db):
    schema = Client().get("/api/v1/schema")
    page = Client().get("/api/v1/docs")

    assert schema.status_code == page.status_code == 200
    assert "https://" not in page.content.decode().replace("https://github.com", "")
    assert "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js" in page.content.decode()
    assert finders.find("drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js")
