"""/openapi.json says what there is, no more and no less."""

import re

from website import serving

from dnsbl.web.middleware import FOR_PROGRAMS
from dnsbl.zones.export import FORMATS


async def document(site):
    async with site.client.get("/openapi.json") as response:
        assert response.status == 200
        return await response.json()


async def test_every_route_for_programs_is_described_and_only_those(tmp_path):
    async with serving(tmp_path) as site:
        said = await document(site)
        described = {(method.upper(), path) for path, operations in said["paths"].items() for method in operations}
        state_app = {
            (route.method, route.resource.canonical)
            for route in site.routes
            if route.resource is not None and route.method != "HEAD"
        }
        assert described == {(method, path) for method, path in state_app if path.startswith(FOR_PROGRAMS)}


async def test_it_is_well_formed(tmp_path):
    async with serving(tmp_path) as site:
        said = await document(site)
    assert said["openapi"].startswith("3.1.")
    schemas = said["components"]["schemas"]
    text = str(said)
    assert set(re.findall(r"#/components/schemas/(\w+)", text)) <= set(schemas)
    identifiers = []
    for path, operations in said["paths"].items():
        for operation in operations.values():
            identifiers.append(operation["operationId"])
            named = {p["name"] for p in operation.get("parameters", []) if p["in"] == "path"}
            assert named == set(re.findall(r"{(\w+)}", path))
            assert operation["summary"]
            for status, answer in operation["responses"].items():
                assert answer["description"]
                if int(status) >= 400 and path != "/readyz":
                    assert list(answer["content"]) == ["application/problem+json"]
    assert len(identifiers) == len(set(identifiers))


async def test_reports_need_a_key_and_come_as_json_or_lines(tmp_path):
    async with serving(tmp_path) as site:
        said = await document(site)
    post = said["paths"]["/v1/reports"]["post"]
    assert set(post["requestBody"]["content"]) == {"application/json", "application/x-ndjson"}
    assert post["security"] == [{"bearer": []}, {"apiKey": []}]
    assert {} in said["paths"]["/v1/subjects/{subject}"]["get"]["security"]
    export = said["paths"]["/v1/zones/{name}/export"]["get"]
    assert [p["schema"]["enum"] for p in export["parameters"] if p["name"] == "format"] == [list(FORMATS)]
