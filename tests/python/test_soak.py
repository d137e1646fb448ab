"""The soak in short: workers and the engine are killed, and every number is accounted for. `cargo xtask soak` is the long one."""

import subprocess
import sys

from conftest import ROOT


def test_every_number_is_accounted_for(tmp_path):
    script = str(ROOT / "python" / "bench" / "soak.py")
    run = subprocess.run(
        [sys.executable, script, str(tmp_path), "--seconds", "12", "--every", "2"], capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "Every number is accounted for." in run.stdout
