"""People sign in at a real provider of OpenID Connect (tests/provider), as a browser does: over redirects, forms and cookies. And what takes two."""

import http.cookiejar
import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import ExitStack, contextmanager
from html import unescape

import pytest
from minutebook import _program

RECORDS = [
    {"model": {"name": "credit", "version": "1"}, "inputs": {"age": 40 + n}, "outputs": {"y": 0.5}, "subject": f"p{n}"} for n in range(3)
]
PEOPLE = """
format = "minutebook/access/1"

[sign-in]
issuer = "{issuer}"
client-id = "minutebook"
{secret}
public-url = "{public}"
scopes = ["email", "groups"]
name = "email"

[[people]]
group = "auditors"
roles = ["auditor"]

[[people]]
name = "ivo@example.org"
roles = ["investigator"]
models = ["credit"]

[[people]]
name = "adi@example.org"
roles = ["administrator", "privacy-officer"]

[approval]
actions = ["erase", "set-access"]
"""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Server:
    """A trail with some records, served."""

    def __init__(self, folder, *options):
        self.folder = folder
        command = [_program.find(), "serve", *self.place[1:2], "--create", *self.place[2:], "--listen", "127.0.0.1:0", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.url = json.loads(self.process.stdout.readline())["listen"]
        self.run("record", text="\n".join(map(json.dumps, RECORDS)))
        self.run("seal")

    @property
    def place(self):
        return ["--trail", str(self.folder / "trail"), "--keys", str(self.folder / "keys")]

    def run(self, *arguments, text=""):
        return subprocess.run([_program.find(), *arguments, *self.place], check=True, capture_output=True, text=True, input=text).stdout

    def key(self, name, *roles):
        return self.run("api-key", "create", name, *(part for role in roles for part in ("--role", role))).strip()

    def people(self, issuer, secret=True, public=None, without=""):
        """Puts the settings in force."""
        file = self.folder / "oidc-secret"
        file.write_text("a secret of the tests\n")
        text = PEOPLE.format(issuer=issuer, public=public or self.url, secret=f'secret-file = "{file}"' if secret else "")
        (self.folder / "access.toml").write_text(text.replace(without, ""))
        self.run("access", "set", str(self.folder / "access.toml"))
        time.sleep(0.5)

    def records(self, kind):
        self.run("seal")
        return [json.loads(line) for line in self.run("list", "--kind", kind, "--limit", "100", "--json").splitlines()]

    def end(self):
        assert self.process.poll() is None, "it still serves"
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.run("verify")


@pytest.fixture
def server(tmp_path):
    server = Server(tmp_path)
    yield server
    server.end()


@contextmanager
def at_provider(back, method="basic"):
    """A provider that sends people back to this server; gives its address."""
    port = free_port()
    command = ["node", os.environ["MINUTEBOOK_OIDC_PROVIDER"], str(port), f"{back}/v1/sign-in/back", method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout.readline() == b"listening\n"
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


@pytest.fixture
def provider(server):
    """Starts a provider for the server; gives its address."""
    with ExitStack() as started:
        yield lambda method="basic": started.enter_context(at_provider(server.url, method))


class Browser(urllib.request.HTTPRedirectHandler):
    """Keeps cookies, follows redirects, and fills in the provider's forms."""

    def __init__(self):
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies), self)
        self.seen = []

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        self.seen.append((newurl, headers.get_all("set-cookie") or []))
        return super().redirect_request(req, fp, code, msg, headers, newurl)

    def ask(self, method, url, body=None, **headers):
        """Status, answer and its headers."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, body and body.encode(), headers, method=method)
        try:
            with self.opener.open(request, timeout=30) as answer:
                status, text, head = answer.status, answer.read(), answer.headers
                self.at = answer.url
        except urllib.error.HTTPError as error:
            with error:
                status, text, head = error.code, error.read(), error.headers
                self.at = error.url
        return status, json.loads(text) if text.startswith(b"{") else text.decode(), head

    def sign_in(self, url, who, to=None):
        """Signs in, and gives what is there at the end."""
        question = "?" + urllib.parse.urlencode({"to": to}) if to else ""
        answer = self.ask("GET", f"{url}/v1/sign-in{question}")
        for filled in ({"prompt": "login", "login": who, "password": "x"}, {"prompt": "consent"}):
            form = re.search(r'<form[^>]* action="([^"]+)"', answer[1]) if isinstance(answer[1], str) else None
            if form is None:
                break
            target = urllib.parse.urljoin(self.at, unescape(form[1]))
            answer = self.ask("POST", target, urllib.parse.urlencode(filled))
        return answer


def problem(answer, status, code):
    assert (answer[0], answer[1]["code"]) == (status, code), answer[:2]
    return answer[1]["detail"]


@pytest.mark.parametrize("method", ["basic", "post", "none"])
def test_somebody_signs_in_reads_and_signs_out(server, provider, method):
    server.people(provider(method), secret=method != "none")
    browser = Browser()
    problem(browser.ask("GET", f"{server.url}/v1/session"), 401, "no-such-key")
    status, session, head = browser.sign_in(server.url, "ann")
    assert (status, browser.at) == (200, f"{server.url}/v1/session")
    told = {name: session[name] for name in ("name", "kind", "roles", "models")}
    assert told == {"name": "ann@example.org", "kind": "person", "roles": ["auditor"], "models": ["*"]}
    assert 35000 < session["lasts_s"] <= 36000
    assert "default-src 'none'" in head["content-security-policy"] and head["cache-control"] == "no-store"
    assert "code_challenge_method=S256" in browser.seen[0][0] and "scope=openid+email+groups" in browser.seen[0][0]
    kept = [cookie for _, cookies in browser.seen for cookie in cookies if cookie.startswith("minutebook-")]
    assert len(kept) == 3 and all("HttpOnly; SameSite=Lax" in cookie and "Path=/" in cookie for cookie in kept), kept

    document = browser.ask("GET", f"{server.url}/v1/openapi.json")[1]
    scheme = document["components"]["securitySchemes"]["session"]
    assert scheme["in"] == "cookie" and scheme["name"] in [cookie.name for cookie in browser.cookies], "as the browser has it"

    status, found, _ = browser.ask("GET", f"{server.url}/v1/records?kind=decision")
    assert status == 200 and len(found["records"]) == 3 and found["records"][0]["inputs"] == {}, "masked"
    # Another site makes the browser send it: with the cookie, without what a page of the server would know.
    problem(browser.ask("POST", f"{server.url}/v1/verify"), 403, "foreign-request")
    problem(browser.ask("POST", f"{server.url}/v1/verify", minutebook_csrf="x" * 43), 403, "foreign-request")
    csrf = session["csrf"]
    foreign = browser.ask("POST", f"{server.url}/v1/verify", minutebook_csrf=csrf, sec_fetch_site="cross-site")
    problem(foreign, 403, "foreign-request")
    assert browser.ask("POST", f"{server.url}/v1/verify", minutebook_csrf=csrf, sec_fetch_site="same-origin")[0] == 200
    problem(browser.ask("POST", f"{server.url}/v1/erase", "{}", minutebook_csrf=csrf), 403, "not-permitted")

    problem(browser.ask("DELETE", f"{server.url}/v1/session"), 403, "foreign-request")
    old = [cookie for cookie in browser.cookies if cookie.name.startswith("minutebook-")]
    assert browser.ask("DELETE", f"{server.url}/v1/session", minutebook_csrf=csrf)[0] == 204
    assert not [cookie for cookie in browser.cookies if cookie.name.startswith("minutebook-")]
    problem(browser.ask("GET", f"{server.url}/v1/session"), 401, "no-such-key")
    stolen = Browser().ask("GET", f"{server.url}/v1/session", cookie=f"{old[0].name}={old[0].value}")
    problem(stolen, 401, "no-such-key")

    seen = [(each["access"]["who"], each["access"]["action"], each["access"]["outcome"]) for each in server.records("access")]
    ann = "person:ann@example.org"
    for entry in [("sign-in", "permitted"), ("read", "permitted"), ("erase", "denied"), ("sign-out", "permitted")]:
        assert (ann, *entry) in seen


def test_whoever_has_no_role_or_no_verified_name_does_not_come_in(server, provider):
    server.people(provider())
    detail = problem(Browser().sign_in(server.url, "bob"), 403, "not-permitted")
    assert "bob@example.org" in detail
    assert "email_verified" in problem(Browser().sign_in(server.url, "eve"), 403, "sign-in-failed")
    browser = Browser()
    assert browser.sign_in(server.url, "ivo", to="/v1/records?kind=decision&limit=1")[0] == 403, "an investigator says what for"
    status, found, _ = browser.ask("GET", f"{server.url}/v1/records?kind=decision&limit=1", minutebook_purpose="case 7")
    assert status == 200 and "age" in json.dumps(found["records"])
    seen = [(each["access"]["who"], each["access"]["action"], each["access"]["outcome"]) for each in server.records("access")]
    assert ("person:bob@example.org", "sign-in", "denied") in seen
    assert not [who for who, _, _ in seen if "ann" in who], "of whoever is not known there is nothing"


def test_an_answer_that_was_not_asked_for_here_is_refused(server, provider):
    server.people(provider())
    browser = Browser()
    browser.sign_in(server.url, "ann")
    back = next(url for url, _ in browser.seen if "/v1/sign-in/back" in url)
    assert "code=" in back
    problem(browser.ask("GET", back), 400, "sign-in-failed")
    problem(Browser().ask("GET", back), 400, "sign-in-failed")
    # A browser that has begun, and is given another one's answer.
    other = Browser()
    other.ask("GET", f"{server.url}/v1/sign-in")
    assert "`state`" in problem(other.ask("GET", back), 400, "sign-in-failed")
    state = urllib.parse.parse_qs(urllib.parse.urlparse(other.seen[0][0]).query)["state"][0]
    forged = f"{server.url}/v1/sign-in/back?" + urllib.parse.urlencode({"code": "x", "state": state})
    assert "`iss`" in problem(other.ask("GET", forged + "&iss=https%3A%2F%2Fevil.example"), 400, "sign-in-failed")
    assert "access_denied" in problem(other.ask("GET", forged + "&error=access_denied"), 403, "sign-in-failed")
    problem(other.ask("GET", forged + "&code=y"), 400, "bad-request")
    # It is the provider who does not know this code, nor one that was used.
    problem(other.ask("GET", forged), 502, "sign-in-failed")
    for elsewhere in ["https://evil.example/", "//evil.example/", "/\\evil.example", "/a b", "/a\r\nset-cookie: x=y", "x" * 3000]:
        problem(Browser().ask("GET", f"{server.url}/v1/sign-in?" + urllib.parse.urlencode({"to": elsewhere})), 400, "bad-request")


def test_what_is_guessed_is_slowed(server, provider):
    server.people(provider())
    browser = Browser()
    seen = [browser.ask("GET", f"{server.url}/v1/sign-in/back?state=x&code=x")[0] for _ in range(40)]
    assert set(seen) == {400, 429} and seen.count(400) <= 30


def test_without_a_provider_that_answers_nobody_signs_in(server, provider):
    problem(Browser().ask("GET", f"{server.url}/v1/sign-in"), 404, "no-sign-in")
    server.people(f"http://127.0.0.1:{free_port()}")
    problem(Browser().ask("GET", f"{server.url}/v1/sign-in"), 502, "sign-in-failed")
    address = provider()
    server.people(address + "/elsewhere")
    problem(Browser().ask("GET", f"{server.url}/v1/sign-in"), 502, "sign-in-failed")
    server.people(address, public="https://trail.example.org/t/credit")
    request = urllib.request.Request(f"{server.url}/v1/sign-in")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(NoRedirect).open(request)
    with refused.value as answer:
        assert "redirect_uri=https%3A%2F%2Ftrail.example.org%2Ft%2Fcredit%2Fv1%2Fsign-in%2Fback" in answer.headers["location"]
        cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-minutebook-sign-in-") and "; Secure" in cookie and "Max-Age=600" in cookie
    (server.folder / "oidc-secret").unlink()
    problem(Browser().ask("GET", f"{server.url}/v1/sign-in"), 503, "sign-in-failed")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def test_who_loses_their_role_is_out_at_once_and_an_administrator_ends_sessions(server, provider):
    issuer = provider()
    server.people(issuer)
    admin = "Bearer " + server.key("operations", "administrator")
    ann, ivo = Browser(), Browser()
    assert ann.sign_in(server.url, "ann")[0] == 200 and ivo.sign_in(server.url, "ivo")[0] == 200
    assert ann.ask("GET", f"{server.url}/v1/records")[0] == 200
    server.people(issuer, without='[[people]]\ngroup = "auditors"\nroles = ["auditor"]\n')
    problem(ann.ask("GET", f"{server.url}/v1/records"), 403, "not-permitted")
    assert ivo.ask("GET", f"{server.url}/v1/session")[0] == 200, "others stay"
    plain = Browser()
    ended = plain.ask("DELETE", f"{server.url}/v1/sessions?name=ivo@example.org", authorization=admin)
    assert ended[:2] == (200, {"ended": 1})
    problem(ivo.ask("GET", f"{server.url}/v1/session"), 401, "no-such-key")
    assert plain.ask("DELETE", f"{server.url}/v1/sessions", authorization=admin)[1] == {"ended": 1}
    problem(ann.ask("GET", f"{server.url}/v1/session"), 401, "no-such-key")


def test_of_several_trails_each_has_people_of_its_own(tmp_path):
    command = [_program.find(), "serve", f"a={tmp_path}/one", f"b={tmp_path}/two", "--keys", str(tmp_path / "keys"), "--create"]
    with ExitStack() as at_end:
        serving = at_end.enter_context(subprocess.Popen([*command, "--listen", "127.0.0.1:0", "--json"], stdout=subprocess.PIPE))
        at_end.callback(serving.terminate)
        a, b = (json.loads(serving.stdout.readline())["listen"] for _ in range(2))
        assert a.endswith("/t/a") and b.endswith("/t/b")
        (tmp_path / "oidc-secret").write_text("a secret of the tests")
        with at_provider(a) as issuer:
            text = PEOPLE.format(issuer=issuer, public=a, secret=f'secret-file = "{tmp_path}/oidc-secret"')
            (tmp_path / "access.toml").write_text(text)
            place = ["--trail", str(tmp_path / "one"), "--keys", str(tmp_path / "keys" / "a")]
            subprocess.run([_program.find(), "access", "set", str(tmp_path / "access.toml"), *place], check=True, capture_output=True)
            time.sleep(0.5)
            browser = Browser()
            status, session, _ = browser.sign_in(a, "ann")
            assert (status, session["name"], browser.at) == (200, "ann@example.org", f"{a}/v1/session")
            problem(browser.ask("GET", f"{b}/v1/session"), 401, "no-such-key")
            there = problem(browser.ask("GET", f"{b}/v1/sign-in"), 404, "no-sign-in")
            assert problem(browser.ask("GET", f"{a}lbert/v1/sign-in"), 404, "no-sign-in") == there, "as where there is no trail"


def test_what_takes_two_passes_once_after_another_one_has_approved_it(server, provider):
    issuer = provider()
    officer = "Bearer " + server.key("officer", "privacy-officer")
    analyst = "Bearer " + server.key("dashboard", "analyst")
    server.people(issuer)
    adi, plain = Browser(), Browser()
    session = adi.sign_in(server.url, "adi")[1]
    erase = json.dumps({"subject": "p1", "ground": "request 7", "by": "officer"})

    asked = plain.ask("POST", f"{server.url}/v1/erase", erase, authorization=officer)
    assert "/v1/approvals/" in problem(asked, 403, "approval-needed")
    name = asked[2]["minutebook-approval"]
    again = plain.ask("POST", f"{server.url}/v1/erase", erase, authorization=officer, minutebook_approval=name)
    assert problem(again, 403, "approval-needed") and again[2]["minutebook-approval"] == name, "it waits once"
    problem(plain.ask("POST", f"{server.url}/v1/approvals/{name}", authorization=officer), 403, "not-permitted")
    problem(plain.ask("POST", f"{server.url}/v1/approvals/{name}", authorization=analyst), 404, "no-such-approval")
    assert plain.ask("GET", f"{server.url}/v1/approvals", authorization=analyst)[1] == {"approvals": []}
    (waits,) = adi.ask("GET", f"{server.url}/v1/approvals")[1]["approvals"]
    assert (waits["by"], waits["request"], waits["body"], waits["approved_by"]) == ("officer", "POST /v1/erase", erase, None)
    problem(adi.ask("POST", f"{server.url}/v1/approvals/{name}"), 403, "foreign-request")
    approved = adi.ask("POST", f"{server.url}/v1/approvals/{name}", minutebook_csrf=session["csrf"])
    assert approved[0] == 200 and approved[1]["approved_by"] == "person:adi@example.org"

    changed = erase.replace("p1", "p2")
    problem(plain.ask("POST", f"{server.url}/v1/erase", changed, authorization=officer, minutebook_approval=name), 403, "approval-needed")
    other = adi.ask("POST", f"{server.url}/v1/erase", erase, minutebook_csrf=session["csrf"], minutebook_approval=name)
    problem(other, 403, "approval-needed")
    assert plain.ask("POST", f"{server.url}/v1/erase", erase, authorization=officer, minutebook_approval=name)[0] == 200
    problem(plain.ask("POST", f"{server.url}/v1/erase", erase, authorization=officer, minutebook_approval=name), 403, "approval-needed")

    waiting = plain.ask("GET", f"{server.url}/v1/approvals", authorization=officer)[1]["approvals"]
    for each in waiting:
        assert plain.ask("DELETE", f"{server.url}/v1/approvals/{each['id']}", authorization=officer)[0] == 204
    assert plain.ask("GET", f"{server.url}/v1/approvals", authorization=officer)[1] == {"approvals": []}
    asked = [each["access"]["asked"] for each in server.records("access") if each["access"]["action"] == "erase"]
    assert "approves POST /v1/erase of officer" in asked and "POST /v1/erase, approved by person:adi@example.org" in asked
    assert not [text for text in asked if "p1" in text], "whom it is about is not in it"
