"""Programs in Java: this machine's Java, and what Maven fetches once and leaves in the cache."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from pipeline.core.errors import ConnectorError

OLDEST_JAVA: Final = 17  # what Kafka 4 runs on

_DOWNLOAD_TIMEOUT: Final = 300.0  # seconds for 43 to 109 MB from wherever Maven gets them

_POM: Final = """\
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>pipeline</groupId>
  <artifactId>fetched</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>{dependencies}</dependencies>
</project>
"""

_DEPENDENCY: Final = """
    <dependency>
      <groupId>{group}</groupId>
      <artifactId>{name}</artifactId>
      <version>{version}</version>
    </dependency>
  """


class Artifact(NamedTuple):
    """What Maven knows a program by."""

    group: str
    name: str
    version: str


class Program(NamedTuple):
    """What is fetched into one folder of the cache.

    Args:
        folder: its name.
        jars: fetched with all they depend on.
        archive: has all it depends on, and is unpacked.
    """

    folder: str
    jars: Sequence[Artifact] = ()
    archive: Artifact | None = None

    @property
    def place(self) -> Path:
        """Where the files are once they are fetched."""
        cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(cache) / "pipeline" / self.folder

    def fetch(self, maven: str) -> None:
        """Fetch the files unless they are there; the folder has its name only when it is complete.

        Raises:
            ConnectorError: Maven could not.
        """
        place = self.place
        if place.is_dir():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as work:
            pom, files = Path(work, "pom.xml"), Path(work, "files")
            dependencies = "".join(_DEPENDENCY.format(**jar._asdict()) for jar in self.jars)
            pom.write_text(_POM.format(dependencies=dependencies))
            if self.archive is None:
                what = ["dependency:copy-dependencies"]
            else:
                what = ["dependency:unpack", f"-Dartifact={':'.join(self.archive)}:tar.gz:all"]
            how = ["-q", "-B", "-Dstyle.color=never", "-f", str(pom), f"-DoutputDirectory={files}"]
            run_quietly([maven, *how, *what], _DOWNLOAD_TIMEOUT)
            try:
                files.rename(place)
            except OSError:
                if not place.is_dir():  # else another process was quicker
                    raise


def find_java() -> str | None:
    """Return the path of a Java that is new enough, `JAVA_HOME`'s first."""
    home = os.environ.get("JAVA_HOME")
    for java in (shutil.which("java", path=f"{home}/bin") if home else None, shutil.which("java")):
        if java is not None and _java_version(java) >= OLDEST_JAVA:
            return java
    return None


def run_quietly(command: Sequence[str], timeout: float) -> str:
    """Run a command to its end and return what it said.

    Raises:
        ConnectorError: it failed or took longer than `timeout` seconds; the message ends with the first
            line that it calls an error, or its last one.
    """
    try:
        # The program is named here, not by the author of a job.
        done = subprocess.run(  # noqa: S603
            command, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout
        )
    except subprocess.CalledProcessError as error:
        said: list[str] = error.stdout.strip().splitlines() or ["it said nothing"]
        why = next((line for line in said if line.startswith("[ERROR]")), said[-1])
        raise ConnectorError(f"{command[0]} failed: {why}", retryable=False) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConnectorError(f"{command[0]} failed: {error}", retryable=False) from error
    return done.stdout


def _java_version(java: str) -> int:
    try:
        found = re.search(r'version "(\d+)', run_quietly([java, "-version"], timeout=60))
    except ConnectorError:
        return 0
    return int(found[1]) if found else 0
