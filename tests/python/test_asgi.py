"""The middleware, in FastAPI and in Starlette."""

import asyncio

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from minutebook.asgi import IDS_MAX, Middleware
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def client(model):
    app = FastAPI()
    app.add_middleware(Middleware, actor_header="X-User", subject_header="X-Applicant", ids_header="Decision-Ids")

    @app.get("/plain")
    def plain(n: int):
        # FastAPI runs it in a thread of its own.
        model.record({"n": n})
        return {}

    @app.get("/async")
    async def asynchronous(n: int):
        await asyncio.sleep(0)
        model.record({"n": n})
        model.record({"n": n + 1})
        return {}

    @app.get("/batch")
    def batch():
        model.record_batch({"n": list(range(100))})
        return {}

    @app.get("/none")
    def none():
        return {}

    return TestClient(app)


@pytest.mark.parametrize(("path", "count"), [("plain", 1), ("async", 2)])
def test_what_the_request_says_and_the_ids(trail, client, path, count):
    headers = {"X-User": "j.doe", "X-Applicant": "applicant-7", "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    answer = client.get(f"/{path}?n=7", headers=headers)
    ids = answer.headers["decision-ids"].split(",")
    assert len(ids) == count
    record = trail[ids[0]]
    assert record.inputs == {"n": 7}
    assert record.actor == "j.doe"
    assert "applicant-7" in record.subject
    assert (record.fields["trace"], record.fields["span"]) == (TRACE, "00f067aa0ba902b7")


def test_nothing_said(trail, client):
    record = trail[client.get("/plain?n=1", headers={"traceparent": "nonsense"}).headers["decision-ids"]]
    assert (record.actor, record.subject, record.fields.get("trace")) == (None, None, None)


def test_many_ids_and_none(client):
    assert client.get("/batch").headers["decision-ids"].count(",") == IDS_MAX - 1
    assert "decision-ids" not in client.get("/none").headers


def test_starlette_without_ids(trail, model):
    async def decide(request):
        return JSONResponse({"id": model.record({"n": 1})})

    app = Middleware(Starlette(routes=[Route("/", decide)]), actor_header="x-user")
    answer = TestClient(app).get("/", headers={"x-user": "j.doe"})
    assert trail[answer.json()["id"]].actor == "j.doe"


def test_the_life_of_an_application_is_passed_on(model):
    app = FastAPI()
    seen = []
    app.router.on_startup.append(lambda: seen.append("started")) if hasattr(app.router, "on_startup") else seen.append("started")
    app.add_middleware(Middleware)
    with TestClient(app):
        assert seen == ["started"]
