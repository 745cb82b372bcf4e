"""Files that appear whole or not at all."""

import os
import stat
import threading

import pytest

from sklenet.export._write import write_atomically


def test_write_atomically_new_file_has_usual_permissions(tmp_path):
    usual = tmp_path / "usual"
    usual.touch()
    write_atomically(tmp_path / "new", b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert (tmp_path / "new").stat().st_mode == usual.stat().st_mode


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_write_atomically_existing_file_keeps_permissions(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_write_atomically_link_is_followed(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_atomically(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_write_atomically_fifo_gets_content(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    received = []
    reader = threading.Thread(target=lambda: received.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    write_atomically(tmp_path / "fifo", b"content")
    reader.join(60)
    assert received == [b"content"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_write_atomically_failure_leaves_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(error):
        write_atomically(path, b"new")
    assert [child.name for child in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


def test_write_atomically_impossible_path_raises(tmp_path):
    with pytest.raises(IsADirectoryError, match="path must be a file"):
        write_atomically(tmp_path, b"")
    with pytest.raises(FileNotFoundError, match="existing folder"):
        write_atomically(tmp_path / "none" / "file", b"")
