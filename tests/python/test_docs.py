"""The pages of docs/python, followed word for word: the blocks of a page run in their order, in a folder with nothing else in it.

A block that begins with a comment that names a file is written to that file.
"""

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from conftest import stop
from test_openai import server  # noqa: F401  a fixture

PAGES = Path(__file__).parents[2] / "docs" / "python"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\w+\.py)\n")


@pytest.mark.parametrize("page", sorted(page.name for page in PAGES.glob("*.md")))
def test_page(page, tmp_path, server):  # noqa: F811
    text = (PAGES / page).read_text()
    blocks = BLOCK.findall(text)
    if page == "digests.md":
        assert not blocks
        return
    if page == "pytorch.md" and importlib.util.find_spec("torch") is None:
        pytest.skip("PyTorch is too large to be installed for this")
    assert blocks
    folder = tmp_path / "work"
    folder.mkdir()
    script = []
    for block in blocks:
        named = FILE.match(block)
        if named:
            (folder / named[1]).write_text(block)
        else:
            script.append(block)
    # Faults are warned of; here they fail.
    (folder / "page.py").write_text("\n".join(script) + textwrap.dedent("""
        assert trail.status()["faults"] == {}, trail.status()
        assert trail.verify()
        trail.close()
    """))
    environment = os.environ | {"OPENAI_BASE_URL": server, "OPENAI_API_KEY": "sk-none"}
    try:
        ended = subprocess.run(
            [sys.executable, "page.py"], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "TrailWarning" not in ended.stderr
    finally:
        stop(folder / "trail")


def test_every_page_is_reached_from_the_first():
    index = (PAGES / "index.md").read_text()
    for page in PAGES.glob("*.md"):
        assert page.name == "index.md" or f"]({page.name})" in index


def test_links_lead_somewhere():
    for page in PAGES.glob("*.md"):
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            assert "://" in link or (page.parent / link).exists(), f"{page.name}: {link}"
