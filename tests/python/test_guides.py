"""Pages of docs/guides, followed word for word: their commands run in their order in one shell, in a folder with nothing else in it. Only the port is
another one. Of settings that a page shows a piece at a time, each piece is added to the file."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from minutebook import _program

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
POLICY = 'format = "minutebook/policy/1"\n[[model]]\nname = "credit"\n[[model.rule]]\nname = "all"\nkeep = "all"\n'
# A request that fails ends the page, but for one whose answer is looked at.
SHELL = """set -e
curl() { command curl --silent --show-error $(case "$*" in *" -i") ;; *) echo --fail-with-body ;; esac) "$@"; echo; }
"""


def blocks(page):
    text = FENCED.sub("", (GUIDES / page).read_text())
    return [re.sub("^    ", "", block, flags=re.MULTILINE) for block in INDENTED.findall(text)]


@pytest.mark.parametrize(("page", "expected"), [("access.md", "applicant-7"), ("cloudevents.md", "credit-risk"), ("opentelemetry.md", "credit")])
def test_a_guide_does_what_it_says(page, expected, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    (folder / "policy.toml").write_text(POLICY)
    environment = os.environ | {"PATH": f"{Path(_program.find()).parent}:{os.environ['PATH']}"}
    script, serving, url = [SHELL], None, None
    for block in blocks(page):
        if block.startswith("{"):
            continue
        if block.startswith(("format =", "[")):
            quoted = f"cat >> access.toml <<'END'\n{block}\nEND\n"
            script.append(quoted)
            continue
        lines = block.splitlines(keepends=True)
        if lines[0].startswith("minutebook serve"):
            assert serving is None, "one server a page"
            command = [*lines.pop(0).split(), "--listen", "127.0.0.1:0", "--json"]
            serving = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            url = json.loads(serving.stdout.readline())["listen"]
        # A server takes new settings up within a second.
        script.append(re.sub("^(minutebook access set .*)$", r"\1; sleep 1", "".join(lines), flags=re.MULTILINE))
    text = "".join(script).replace("http://127.0.0.1:6262", url)
    try:
        ran = subprocess.run(["bash", "-c", text], cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-3000:]
        assert expected in ran.stdout
    finally:
        serving.terminate()
        serving.wait()
        serving.stdout.close()
    subprocess.run([_program.find(), "verify", "--trail", "trail"], cwd=folder, check=True, capture_output=True)
