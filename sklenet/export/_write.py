"""Files that appear whole or not at all: `write_atomically`."""

import os
import tempfile
from pathlib import Path

__all__ = ["check_writable", "write_atomically"]

_N_SHOWN = 100  # characters of a file's name in that of its temporary one


def write_atomically(path: str | os.PathLike, content: bytes) -> None:
    """Write a file; an error or an interruption leaves what was there before.

    A symbolic link is followed, and an existing file keeps its permissions.
    """
    target = check_writable(path)
    if _is_device(target):  # which cannot be replaced
        target.write_bytes(content)
        return
    descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=_prefix(target))
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
    if not _is_device(target):
        try:
            with tempfile.NamedTemporaryFile(dir=target.parent, prefix=_prefix(target)):
                pass
        except OSError as error:
            raise type(error)(
                f"path must be a file that can be written, got {target}: {error.strerror}."
            ) from error
    return target


def _is_device(target):
    """Tell whether a path is a device or a pipe."""
    return target.exists() and not target.is_file()


def _prefix(target):
    return f".{target.name[:_N_SHOWN]}."


def _umask():
    """Return the mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
