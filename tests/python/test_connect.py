"""`minutebook.connect`: the same API against a server; the server away and back; processes killed with records unshipped."""

import contextlib
import datetime
import ipaddress
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import minutebook
import pytest
from conftest import wait
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from minutebook import _client, _program, _remote


EVERY_ROLE = ("recorder", "investigator", "auditor", "privacy-officer", "model-owner", "administrator")


class Server:
    """`minutebook serve` of a trail of its own, at one port for good."""

    def __init__(self, tmp_path, *options, scheme="http", beside=()):
        self.folder = tmp_path / "trail"
        self.served = [str(self.folder), *(str(tmp_path / other) for other in beside)]
        self.served_keys = tmp_path / "keys"
        self.keys = self.served_keys / "trail" if beside else self.served_keys
        self.options = options
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"{scheme}://127.0.0.1:{self.port}" + ("/t/trail" if beside else "")
        self.process = None
        self.start()

    def run(self, *arguments):
        command = [_program.find(), *arguments, "--trail", str(self.folder), "--keys", str(self.keys)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def start(self):
        at = ["--keys", str(self.served_keys), "--listen", f"127.0.0.1:{self.port}"]
        command = [_program.find(), "serve", *self.served, "--create", *at, "--json"]
        command += self.options
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        json.loads(self.process.stdout.readline())

    def kill(self, how=signal.SIGKILL):
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait()
            self.process.stdout.close()
            self.process = None

    def key(self, name, *roles):
        named = [part for role in roles or EVERY_ROLE for part in ("--role", role)]
        return self.run("api-key", "create", name, *named).strip()


@pytest.fixture
def server(tmp_path, request):
    with serving(Server(tmp_path, beside=getattr(request, "param", ()))) as server:
        yield server


@contextlib.contextmanager
def serving(server):
    try:
        yield server
    finally:
        end(server)


def end(server):
    server.kill()
    # They would wait for it to come back.
    for shipper in Path(os.environ["XDG_STATE_HOME"], "minutebook", "remote").glob("*/ship.sock"):
        with contextlib.suppress(OSError), _client.connect(str(shipper.parent), 2.0, shipper.name) as connection:
            connection.sendall(b"status\n")
            os.kill(json.loads(connection.makefile().readline())["pid"], signal.SIGTERM)


def decide(trail, count, start=0):
    credit = trail.model("credit-risk", version="1.4.0", git=None)
    ids = []
    for n in range(start, start + count):
        with credit.decision(inputs={"n": n, "amount": 4000.5}, subject=f"applicant-{n % 3}") as d:
            d.outputs = {"approve": n % 2 == 0}
        ids.append(d.id)
    return ids


def shipped(trail):
    return not trail.status()["shipper"]["epochs"]


@pytest.mark.parametrize("server", [(), ("other",)], indirect=True, ids=["alone", "beside another trail"])
def test_all_that_open_does(server):
    key = server.key("all")
    with minutebook.connect(server.url, api_key=key, purpose="a test", service="shop") as trail:
        assert server.url in repr(trail) and key not in repr(trail) + repr(vars(trail)) + repr(vars(trail._engine))
        ids = decide(trail, 30)
        record = trail[ids[3]]
        assert record.id == ids[3] and record.verify()
        assert len(list(trail.search("inputs.n >= 25", model="credit-risk"))) == 5
        assert [row["n"] for row in trail.sql('SELECT count(*) AS n FROM "credit-risk"')] == [30]
        assert trail.facets(model="credit-risk").count == 30
        note = trail.review(ids[3], "overridden", by="j.doe", reason="documents")
        assert "documents" in trail.show(note)
        assert trail.receipt(ids[3]).startswith("c2sp.org/tlog-proof")
        assert any(table.name == "credit-risk" for table in trail.tables())
        assert trail.verify()
        trail.set_retention('format = "minutebook/retention/1"\n[[class]]\nname = "standard"\nkeep = "3 years"\n')
        assert trail.retention is not None
        trail.hold("case-7", reason="dispute", by="counsel", subject="applicant-1")
        with pytest.raises(minutebook.Refused):
            trail.erase("applicant-1", ground="request", by="privacy officer")
        trail.lift_hold("case-7", reason="settled", by="counsel")
        assert trail.erase("applicant-1", ground="request", by="privacy officer")["trail"] == trail.id
        with pytest.raises(KeyError):
            trail["0193a1b2-0000-7000-8000-000000000000"]
        with pytest.raises(minutebook.QuestionError):
            trail.search("inputs.nothing > 1", model="credit-risk")
        status = trail.status()
        (shop,) = (producer for producer in status["engine"]["spool"]["producers"] if producer["name"].startswith("shop."))
        assert shop["heard"] and status["shipper"]["error"] is None
        trail.flush("disk")
        trail.flush("sealed")
    assert server.run("verify")


def test_wrapped_models_and_batches(server):
    with minutebook.connect(server.url, api_key=server.key("all"), purpose="a test", service="shop") as trail:
        rows = trail.model("rows", version="1", git=None)
        rows.record_batch([[1, 2], [3, 4]], outputs=[0, 1])
        approve = rows.wrap(lambda n: n > 1)
        assert approve(2)
        trail.flush()
        assert len(trail.records(model="rows", kind="decision")) == 3
        assert len(trail.stats("rows")) <= 1


def test_the_server_away_and_back(server, monkeypatch):
    monkeypatch.setenv("MINUTEBOOK_API_KEY", server.key("all"))
    trail = minutebook.connect(server.url, purpose="a test", service="shop")
    ids = decide(trail, 10)
    trail.flush("disk")
    server.kill()
    began = time.monotonic()
    ids += decide(trail, 200, start=10)
    assert time.monotonic() - began < 2, "nobody waits for a server that is away"
    with pytest.raises(minutebook.EngineError, match="this machine's disk"):
        trail.flush("disk")
    with pytest.raises(minutebook.EngineError):
        trail.search(model="credit-risk")
    assert trail.status()["engine"] is None
    # A process that begins meanwhile.
    with minutebook.connect(server.url, purpose="a test", service="shop") as other:
        ids += decide(other, 5, start=300)
    server.start()
    wait(lambda: not flush_fails(trail))
    # What another process left is shipped when its turn comes, and nobody waits for it here.
    wait(lambda: len(list(trail.sql('SELECT id FROM "credit-risk"'))) >= len(ids))
    found = trail.sql('SELECT id FROM "credit-risk"')
    assert sorted(row["id"] for row in found) == sorted(ids)
    trail.close()


def flush_fails(trail):
    try:
        trail.flush("disk")
    except minutebook.EngineError:
        return True
    return False


def test_workers_that_begin_at_once(server):
    program = textwrap.dedent(
        """
        import os, sys
        import minutebook
        with minutebook.connect(sys.argv[1], api_key=os.environ["MINUTEBOOK_API_KEY"], purpose="a test", service="shop") as trail:
            with trail.model("credit-risk", version="1.4.0", git=None).decision(inputs={"n": 1}) as d:
                d.outputs = {"approve": True}
            trail.flush("disk")
        """
    )
    environment = os.environ | {"MINUTEBOOK_API_KEY": server.key("all")}
    workers = [subprocess.Popen([sys.executable, "-c", program, server.url], env=environment) for _ in range(12)]
    assert [worker.wait(120) for worker in workers] == [0] * 12


@pytest.mark.parametrize("exits", ["known", "taken"])
def test_a_shipper_that_another_worker_began_is_waited_for_by_its_exit_code(tmp_path, monkeypatch, exits):
    """Also in a host that takes the exits of all children, as one does that ignores SIGCHLD: then it may be such a one."""
    program, tries = tmp_path / "program", tmp_path / "tries"
    told = {"trail": "00" * 16, "name": "x", "intake_key": "00" * 32, "pid": 1, "version": minutebook.__version__}
    monkeypatch.setenv("MINUTEBOOK_PROGRAM", str(program))

    def start(exit_code):
        tries.write_text("")
        program.write_text(
            f"#!/bin/sh\necho x >> {tries}\n[ $(wc -l < {tries}) -ge 3 ] && echo '{json.dumps(told)}' && exit 0\n"
            f"echo 'error: another shipper has it' >&2\nexit {exit_code}\n"
        )
        program.chmod(0o755)
        remote = _remote.Remote(
            "http://127.0.0.1:1", api_key="k", purpose=None, folder=str(tmp_path / "folder"), ca=None, insecure_http=False
        )
        before = signal.signal(signal.SIGCHLD, signal.SIG_IGN) if exits == "taken" else None
        try:
            remote.ensure()
        finally:
            if before is not None:
                signal.signal(signal.SIGCHLD, before)

    start(5)
    assert len(tries.read_text().splitlines()) == 3
    monkeypatch.setattr(_remote, "FIRST_ANSWER_TIMEOUT_S", 0.0 if exits == "taken" else 15.0)
    with pytest.raises(minutebook.EngineError, match="another shipper has it") as raised:
        start(4)
    assert raised.value.code == "no-start"
    assert len(tries.read_text().splitlines()) == 1


def test_a_process_killed_with_records_unshipped(server):
    key = server.key("all")
    program = textwrap.dedent(
        """
        import os, signal, sys, time
        import minutebook
        trail = minutebook.connect(sys.argv[1], api_key=os.environ["MINUTEBOOK_API_KEY"], purpose="a test", service="shop")
        credit = trail.model("credit-risk", version="1.4.0", git=None)
        while (shipper := trail.status()["shipper"]) is None:
            time.sleep(0.05)
        os.kill(shipper["pid"], signal.SIGKILL)
        for n in range(100):
            with credit.decision(inputs={"n": n}) as d:
                d.outputs = {"approve": True}
            print(d.id, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    environment = {**os.environ, "MINUTEBOOK_API_KEY": key}
    ended = subprocess.run([sys.executable, "-c", program, server.url], env=environment, capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    ids = ended.stdout.split()
    assert len(ids) == 100
    with minutebook.connect(server.url, api_key=key, purpose="a test", service="shop") as trail:
        wait(lambda: len(trail.status()["shipper"]["epochs"]) == 1)
        assert sorted(row["id"] for row in trail.sql('SELECT id FROM "credit-risk"')) == sorted(ids)


def test_children_of_a_fork_ship_their_own(server):
    trail = minutebook.connect(server.url, api_key=server.key("all"), purpose="a test", service="shop")
    decide(trail, 3)
    child = os.fork()
    if child == 0:
        try:
            decide(trail, 4, start=10)
            trail.flush("disk")
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert [row["n"] for row in trail.sql('SELECT count(*) AS n FROM "credit-risk"')] == [7]
    trail.close()


def test_a_key_that_may_record_only(server):
    with minutebook.connect(server.url, api_key=server.key("shop", "recorder"), service="shop") as trail:
        decide(trail, 5)
        trail.flush("sealed")
        with pytest.raises(minutebook.EngineError, match="does not permit `read`"):
            trail.search(model="credit-risk")
    assert server.run("list").count(" decision ") == 5


def test_what_cannot_be_connected_to(server, tmp_path, monkeypatch):
    monkeypatch.delenv("MINUTEBOOK_API_KEY", raising=False)
    with pytest.raises(ValueError, match="ASCII"):
        minutebook.connect(server.url, api_key="mbk_x", purpose="two\nlines")
    with pytest.raises(ValueError, match="MINUTEBOOK_API_KEY"):
        minutebook.connect(server.url)
    for url in ("trail.example", "ftp://trail.example", "http://trail.example", "https://trail.example?x=1"):
        with pytest.raises(ValueError):
            minutebook.connect(url, api_key="mbk_x")
    with pytest.raises(ValueError) as told:
        minutebook.connect("https://me:hunter2@trail.example", api_key="mbk_x")
    assert "hunter2" not in str(told.value)
    with pytest.raises(minutebook.EngineError) as told:
        minutebook.connect(server.url, api_key="mbk_wrong")
    assert "mbk_wrong" not in str(told.value) and "not known here" in str(told.value)
    server.kill()
    with pytest.raises(minutebook.EngineError, match="does not take it"):
        minutebook.connect(server.url, api_key="mbk_x", spool=tmp_path / "spool")
    assert (tmp_path / "spool" / "api-key").stat().st_mode & 0o777 == 0o600


class Authority:
    """Signs certificates of servers."""

    def __init__(self, folder, name):
        self.folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        made = self.certificate(self.name, self.key).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(self.signed(made.add_extension(usage, critical=True)))

    def certificate(self, name, key):
        now = datetime.datetime.now(datetime.timezone.utc)
        day = datetime.timedelta(days=1)
        made = x509.CertificateBuilder(issuer_name=self.name, subject_name=name, public_key=key.public_key())
        return made.serial_number(x509.random_serial_number()).not_valid_before(now - day).not_valid_after(now + day)

    def signed(self, made):
        return made.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def server(self, *names):
        """The options of `serve` with a certificate for these names, and its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        made = self.certificate(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "trail")]), key)
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        certificate, secret = self.folder / "server.pem", self.folder / "server.key"
        certificate.write_bytes(self.signed(made))
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        secret.touch(mode=0o600)
        secret.write_bytes(key.private_bytes(*form))
        return "--tls-cert", str(certificate), "--tls-key", str(secret)


LOOPBACK = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))


def test_over_tls(tmp_path):
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    with serving(Server(tmp_path, *authority.server(LOOPBACK), scheme="https")) as server:
        key = server.key("all")
        with minutebook.connect(server.url, api_key=key, purpose="a test", service="shop", ca=authority.file) as trail:
            ids = decide(trail, 12)
            trail.flush("sealed")
            assert trail[ids[3]].id == ids[3]
            assert len(list(trail.search("inputs.n >= 10", model="credit-risk"))) == 2
            assert [row["n"] for row in trail.sql('SELECT count(*) AS n FROM "credit-risk"')] == [12]
        # Of an authority that is not asked for, and of those of the system: nothing is sent, the key least of all.
        for ca in (other.file, None):
            with pytest.raises(minutebook.EngineError, match="(?i)certificate") as told:
                minutebook.connect(server.url, api_key=key, spool=tmp_path / f"spool-{ca is None}", ca=ca)
            assert key not in str(told.value)
        for name in ("no-such.pem", "server.key"):
            with pytest.raises(ValueError, match=name):
                minutebook.connect(server.url, api_key=key, spool=tmp_path / "spool-none", ca=tmp_path / name)
        # A client without TLS is not answered as if it were one.
        with pytest.raises(minutebook.EngineError):
            minutebook.connect(server.url.replace("https", "http"), api_key=key, spool=tmp_path / "spool-plain")


def test_a_certificate_for_another_host(tmp_path):
    authority = Authority(tmp_path, "authority")
    names = x509.DNSName("trail.example"), x509.IPAddress(ipaddress.ip_address("192.0.2.7"))
    with serving(Server(tmp_path, *authority.server(*names), scheme="https")) as server:
        key = server.key("all")
        with pytest.raises(minutebook.EngineError, match="(?i)certificate") as told:
            minutebook.connect(server.url, api_key=key, spool=tmp_path / "spool", ca=authority.file)
        assert key not in str(told.value)
        assert "trail.example" in str(told.value) or "name" in str(told.value), "which name is wrong is told"
