"""Files that appear whole or not at all: `write_atomically`."""

import os
import tempfile
from pathlib import Path

__all__ = ["check_writable", "write_atomically"]


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write a file; an error or an interruption leaves what was there before.

    A symbolic link is followed, and an existing file keeps its permissions.
    """
    target = check_writable(path)
    if target.exists() and not target.is_file():  # a device or a pipe cannot be replaced
        target.write_bytes(content)
        return
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, target.stat().st_mode if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def check_writable(path: str | os.PathLike) -> Path:
    """Refuse a path that cannot be written to, before the content is made; return its target."""
    target = Path(os.path.realpath(os.path.expanduser(path)))
    if target.is_dir():
        raise IsADirectoryError(f"path must be a file, got the folder {target}.")
    if not target.parent.is_dir():
        raise FileNotFoundError(
            f"path must be in an existing folder, got {target}: create {target.parent} first."
        )
    if not os.access(target.parent, os.W_OK):
        raise PermissionError(f"path must be in a folder that you may write to, got {target}.")
    return target


def _umask():
    """Return the mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
