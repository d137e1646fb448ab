"""People sign in with a real browser at a real provider (tests/provider): what a browser makes of the server's redirects, cookies and headers."""

import json
import os
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_connect import LOOPBACK, Authority
from test_sign_in import Server, at_provider


@pytest.mark.parametrize("over_tls", [False, True], ids=["loopback", "tls"])
def test_a_browser_signs_in_and_no_other_site_can_use_that(tmp_path, over_tls):
    server = Server(tmp_path, *(Authority(tmp_path, "authority").server(LOOPBACK) if over_tls else ()))
    with ExitStack() as at_end:
        at_end.callback(server.end)
        assert server.url.startswith("https:" if over_tls else "http:")
        server.people(at_end.enter_context(at_provider(server.url)))
        driver = Path(os.environ["MINUTEBOOK_OIDC_PROVIDER"]).with_name("browser.mjs")
        done = subprocess.run(["node", driver, server.url, "ann"], capture_output=True, text=True, timeout=180)
        assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert (seen["session"]["name"], seen["read"]) == ("ann@example.org", 200)
    (cookie,) = [each for each in seen["cookies"] if "minutebook" in each["name"]]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"], cookie["secure"]) == (True, "Lax", "/", over_tls)
    assert cookie["name"].startswith("__Host-minutebook-" if over_tls else "minutebook-")
    assert seen["toScripts"] == "" and seen["scripts"] == "TypeError", "answers run no script, and scripts see no cookie"
    # From another site: no frame, no answer to a script, no cookie with a form; a link leads there.
    assert "ann" not in seen["framed"] and seen["foreignScript"] == "TypeError"
    assert seen["foreignForm"][0] in (401, 403) and not seen["foreignForm"][2]
    assert seen["foreignLink"] == 200
    assert (seen["signOutBare"], seen["signOut"], seen["after"]) == (403, 204, 401)
