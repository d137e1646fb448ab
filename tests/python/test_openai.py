"""OpenAI's client, wrapped, against a server that speaks its wire format."""

import asyncio
import gc
import http.server
import json
import threading

import minutebook
import openai
import pytest
from conftest import decisions

USAGE = {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12}
MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Is it approved?"}]
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object", "properties": {}}}}]
CALL = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": '{"id": 7}'}}


def completion(**message):
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **message}, "finish_reason": "stop", "logprobs": None}
    return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m-2026", "choices": [choice], "usage": USAGE}


def chunk(delta, finish_reason=None, usage=None, choices=None):
    if choices is None:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
    told = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-2026", "choices": choices}
    return told | ({"usage": usage} if usage else {})


CHUNKS = [
    chunk({"role": "assistant", "content": "It "}),
    chunk({"content": "is "}),
    chunk({"content": "not."}),
    chunk({}, "stop"),
    chunk({}, usage=USAGE, choices=[]),
]
CALLS = [
    chunk({"role": "assistant", "tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": ""}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"id"'}}]}),
    chunk({"tool_calls": [{"index": 0, "function": {"arguments": ": 7}"}}]}, "tool_calls"),
]
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "model": "m-2026",
    "status": "completed",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "It is not.", "annotations": []}],
        }
    ],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 9,
        "output_tokens": 3,
        "total_tokens": 12,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens_details": {"reasoning_tokens": 1},
    },
}
DELTA = {"type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
EVENTS = [
    {"type": "response.created", "sequence_number": 0, "response": RESPONSE | {"status": "in_progress", "output": [], "usage": None}},
    DELTA | {"sequence_number": 1, "delta": "It is "},
    DELTA | {"sequence_number": 2, "delta": "not."},
    {"type": "response.completed", "sequence_number": 3, "response": RESPONSE},
]


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the question's text asks for."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        text = json.dumps(asked)
        if "fail" in text:
            self.send(400, {"error": {"message": "no", "type": "invalid_request_error"}})
        elif self.path.endswith("/responses"):
            self.stream(EVENTS, named=True) if asked.get("stream") else self.send(200, RESPONSE)
        elif asked.get("stream"):
            self.stream(CALLS if asked.get("tools") else CHUNKS, breaks="break" in text)
        elif asked.get("n") == 2:
            told = completion(content="one")
            told["choices"] += [completion(content="two")["choices"][0] | {"index": 1}]
            self.send(200, told)
        elif asked.get("tools"):
            self.send(200, completion(tool_calls=[CALL]))
        else:
            self.send(200, completion(content="It is not."))

    def send(self, status, told):
        content = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def stream(self, pieces, named=False, breaks=False):
        lines = [(f"event: {piece['type']}\n" if named else "") + f"data: {json.dumps(piece)}\n\n" for piece in pieces]
        if breaks:
            lines = [*lines[:2], 'data: {"error": {"message": "overloaded"}}\n\n']
        content = "".join([*lines, "data: [DONE]\n\n"]).encode()
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture
def client(model, server):
    return model.wrap(openai.OpenAI(api_key="sk-secret", base_url=server, max_retries=0))


@pytest.fixture
def later(model, server):
    return model.wrap(openai.AsyncOpenAI(api_key="sk-secret", base_url=server, max_retries=0))


TOKENS = {"input_tokens": 9, "output_tokens": 3, "total_tokens": 12}
SAID = {"content": "It is not.", "finish_reason": "stop", "model": "m-2026", "response": "chatcmpl-1", **TOKENS}


def only(trail):
    (record,) = decisions(trail)
    return record


def test_a_completion(trail, client):
    answer = client.chat.completions.create(model="m", messages=MESSAGES, temperature=0.5, extra_headers={"x-key": "secret"})
    assert answer.choices[0].message.content == "It is not."
    record = only(trail)
    assert record.inputs == {"messages": MESSAGES}
    assert record.params == {"model": "m", "temperature": 0.5}
    assert record.outputs == SAID
    assert "secret" not in str(record.fields)
    assert isinstance(client, openai.OpenAI)


def test_tools_and_their_answers(trail, client):
    answer = client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS)
    message = answer.choices[0].message
    assert message.tool_calls[0].function.name == "look_up"
    # The client's own object goes back as a message.
    more = [*MESSAGES, message, {"role": "tool", "tool_call_id": "call_1", "content": "7"}]
    client.chat.completions.create(model="m", messages=more)
    first, second = decisions(trail)
    assert first.inputs == {"messages": MESSAGES, "tools": TOOLS}
    assert first.outputs["tool_calls"] == [CALL]
    assert second.inputs["messages"][2]["tool_calls"] == [CALL]


def test_several_choices(trail, client):
    client.chat.completions.create(model="m", messages=MESSAGES, n=2)
    assert [choice["content"] for choice in only(trail).outputs["choices"]] == ["one", "two"]


def test_an_error(trail, client):
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": "fail"}])
    record = only(trail)
    assert (record.status, record.outputs) == ("BadRequestError", {})


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_stream(trail, client):
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    assert isinstance(stream, openai.Stream)
    assert text_of(stream) == "It is not."
    assert only(trail).outputs == SAID | {"complete": True}


def test_a_stream_piece_by_piece(trail, client):
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    first = next(stream)
    for second in stream:
        break
    assert text_of([first, second, *stream]) == "It is not."
    assert only(trail).outputs == SAID | {"complete": True}


def test_a_stream_of_tool_calls(trail, client):
    list(client.chat.completions.create(model="m", messages=MESSAGES, tools=TOOLS, stream=True))
    outputs = only(trail).outputs
    assert (outputs["tool_calls"], outputs["finish_reason"]) == ([CALL], "tool_calls")


@pytest.mark.parametrize("end", ["close", "with", "forget"])
def test_a_stream_that_is_left_early(trail, client, end):
    stream = client.chat.completions.create(model="m", messages=MESSAGES, stream=True)
    if end == "with":
        with stream:
            next(stream)
    else:
        next(stream)
        if end == "close":
            stream.close()
    del stream
    gc.collect()
    outputs = only(trail).outputs
    assert (outputs["content"], outputs["complete"]) == ("It ", False)


def test_a_stream_that_breaks(trail, client):
    with pytest.raises(openai.APIError, match="overloaded"):
        list(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "break"}], stream=True))
    record = only(trail)
    assert record.status == "APIError"
    assert (record.outputs["content"], record.outputs["complete"]) == ("It is ", False)


def test_the_helper_for_streams(trail, client):
    with client.chat.completions.stream(model="m", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == "It is not."
    assert only(trail).outputs == SAID | {"complete": True}


def test_parsed_and_raw(trail, client):
    client.chat.completions.parse(model="m", messages=MESSAGES)
    raw = client.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
    assert raw.parse().choices[0].message.content == "It is not."
    assert [record.outputs for record in decisions(trail)] == [SAID, SAID]


def test_a_raw_stream_is_told_as_lost(folder, server):
    with minutebook.open(folder, service="tests") as trail:
        client = trail.model("m", "1", git=None).wrap(openai.OpenAI(api_key="k", base_url=server))
        with pytest.warns(minutebook.TrailWarning, match="raw response"):
            with client.chat.completions.with_streaming_response.create(model="m", messages=MESSAGES) as raw:
                assert raw.parse().choices[0].message.content == "It is not."
        assert trail.status()["producer"]["lost"] == 1


def test_a_response(trail, client):
    client.responses.create(model="m", input="Is it approved?", instructions="Be brief.")
    list(client.responses.create(model="m", input="Is it approved?", stream=True))
    stream = client.responses.create(model="m", input="Is it approved?", stream=True)
    next(stream), next(stream)
    stream.close()
    first, second, third = decisions(trail)
    assert first.inputs == {"input": "Is it approved?", "instructions": "Be brief."}
    for record in (first, second):
        assert record.outputs["text"] == "It is not."
        assert record.outputs["output"][0]["role"] == "assistant"
        assert {name: record.outputs[name] for name in TOKENS} == TOKENS
        assert (record.outputs["cached_tokens"], record.outputs["reasoning_tokens"]) == (4, 1)
    assert third.outputs == {"text": "It is ", "complete": False}


def test_asynchronously(trail, later):
    async def every():
        answer = await later.chat.completions.create(model="m", messages=MESSAGES)
        assert answer.choices[0].message.content == "It is not."
        stream = await later.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        assert text_of([chunk async for chunk in stream]) == "It is not."
        stream = await later.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        async with stream:
            await stream.__anext__()
        with pytest.raises(openai.BadRequestError):
            await later.chat.completions.create(model="m", messages=[{"role": "user", "content": "fail"}])
        async with later.chat.completions.stream(model="m", messages=MESSAGES) as helper:
            await helper.get_final_completion()
        await later.responses.create(model="m", input="Is it approved?")
        await later.close()

    asyncio.run(every())
    found = decisions(trail)
    assert [record.status for record in found] == ["ok", "ok", "ok", "BadRequestError", "ok", "ok"]
    assert [record.outputs.get("complete") for record in found] == [None, True, False, None, True, None]
    assert found[4].outputs == SAID | {"complete": True}


def test_options_and_what_else_the_client_does(trail, client):
    client.with_options(timeout=10).chat.completions.create(model="m", messages=MESSAGES)
    assert len(decisions(trail)) == 1
    assert client.api_key == "sk-secret"
