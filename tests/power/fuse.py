"""Serves a `Disk` to the kernel over /dev/fuse, so that any program can run on it.

The kernel writes through (no write-back cache), so each write and each fsync of a program arrives
here in its order. Structures are those of linux/fuse.h, version 7.31.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

from tests.power.disk import Disk, Node

READ_BYTES = 512 * 1024
MAX_WRITE = 128 * 1024
VALID_S = 3600
_MS_NOSUID, _MS_NODEV, _MNT_DETACH = 2, 4, 2

_IN = struct.Struct("<IIQQIIIHH")
_OUT = struct.Struct("<IiQ")
_ATTR = struct.Struct("<6Q10I")
_ENTRY = struct.Struct("<4Q2I")
_SETATTR = struct.Struct("<2I6Q8I")
_KEEP_CACHE = 2
_BIG_WRITES, _MAX_PAGES = 1 << 5, 1 << 22
_READ, _DESTROY = 15, 38
_CHANGES = {8, 9, 10, 11, 12, 13, 16, 20, 30, 35, 43, 45}
_SILENT = {2, 36, 42}  # FORGET, INTERRUPT, BATCH_FORGET: nobody waits for an answer

libc = ctypes.CDLL(None, use_errno=True)


class NoLossyDiskError(OSError):
    """This machine does not let us mount one."""


def mount(folder: Path) -> int:
    """Mount over a folder. Returns the descriptor that requests come from.

    Raises:
        NoLossyDiskError: Only root can, and not in every container.
    """
    try:
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise NoLossyDiskError(f"/dev/fuse cannot be opened: {error.strerror}") from error
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    arguments = (b"cordon-power", bytes(folder), b"fuse", _MS_NOSUID | _MS_NODEV, options.encode())
    if libc.mount(*arguments) != 0:
        os.close(device)
        raise NoLossyDiskError(f"mount: {os.strerror(ctypes.get_errno())}")
    return device


def unmount(folder: Path) -> None:
    """Take it away, whoever uses it."""
    libc.umount2(bytes(folder), _MNT_DETACH)


class Server:
    """Answers the kernel, request by request.

    Args:
        device: See `mount`.
        disk: What is served.

    Attributes:
        lives: Changes until the power is lost. None: it is not.
    """

    def __init__(self, device: int, disk: Disk) -> None:
        self.disk = disk
        self.lives: int | None = None
        self._device = device
        self._listings: dict[int, list[tuple[str, int]]] = {}
        self._opened = 0
        self._calls: dict[int, Callable[[int, bytes, int, int], bytes]] = {
            1: self._lookup,
            3: lambda number, *_: self._attr(number),
            4: self._setattr,
            8: self._mknod,
            9: self._mkdir,
            10: self._unlink,
            11: self._rmdir,
            12: self._rename,
            13: self._link,
            14: lambda *_: struct.pack("<QII", 0, _KEEP_CACHE, 0),
            15: self._read,
            16: self._write,
            17: lambda *_: struct.pack("<5Q4I6I", 1 << 22, 1 << 21, 1 << 21, 1 << 20, 1 << 20, 4096, 255, 4096, *[0] * 7),
            18: lambda *_: b"",
            20: self._fsync,
            26: self._init,
            27: self._opendir,
            28: self._readdir,
            29: self._releasedir,
            30: self._fsync,
            35: self._create,
            43: self._fallocate,
            45: self._rename2,
        }  # fmt: skip

    def step(self) -> bool:
        """Answer one request. False when the disk is no longer mounted."""
        try:
            request = os.read(self._device, READ_BYTES)
        except OSError as failed:
            return failed.errno in {errno.ENOENT, errno.EAGAIN, errno.EINTR}
        _, code, unique, number, uid, gid, *_ = _IN.unpack_from(request)
        if code in _SILENT:
            return True
        code_of_error, answer = self._answer(code, number, request[_IN.size :], uid, gid)
        head = _OUT.pack(_OUT.size + len(answer), -code_of_error, unique)
        try:
            os.write(self._device, head + answer)
        except OSError as failed:  # who asked was killed, or it is unmounted
            return failed.errno in {errno.ENOENT, errno.EINTR}
        return bool(code != _DESTROY)

    def _answer(self, code: int, number: int, body: bytes, uid: int, gid: int) -> tuple[int, bytes]:
        call = self._calls.get(code)
        if call is None:
            return errno.ENOSYS, b""
        if self.lives is not None and code in _CHANGES | {_READ}:
            if self.lives <= 0:
                return errno.EIO, b""
            self.lives -= code in _CHANGES
        try:
            return 0, call(number, body, uid, gid)
        except OSError as error:
            return error.errno or errno.EIO, b""

    def _init(self, _number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        _, minor, readahead, flags = struct.unpack_from("<4I", body)
        flags &= _BIG_WRITES | _MAX_PAGES
        pages = MAX_WRITE // 4096
        return struct.pack(
            "<4I2H2I2HI7I", 7, min(minor, 31), readahead, flags, 16, 12, MAX_WRITE, 1, pages, *[0] * 9
        )  # fmt: skip

    # -- what is there --------------------------------------------------------------------------

    def _packed(self, number: int) -> bytes:
        node = self.disk.nodes[number]
        size, (time_s, time_ns) = len(node.data), divmod(node.mtime_ns, 10**9)
        return _ATTR.pack(
            number, size, (size + 511) // 512, time_s, time_s, time_s, time_ns, time_ns, time_ns,
            node.mode, 2 if node.is_folder else 1, node.uid, node.gid, 0, 4096, 0,
        )  # fmt: skip

    def _entry(self, number: int) -> bytes:
        return _ENTRY.pack(number, 0, VALID_S, VALID_S, 0, 0) + self._packed(number)

    def _attr(self, number: int) -> bytes:
        return struct.pack("<QII", VALID_S, 0, 0) + self._packed(number)

    def _named(self, folder: int, name: str) -> int:
        number = self.disk.nodes[folder].entries.get(name)
        if number is None:
            raise FileNotFoundError(errno.ENOENT, name)
        return number

    def _lookup(self, folder: int, body: bytes, _uid: int, _gid: int) -> bytes:
        return self._entry(self._named(folder, _text(body)))

    def _opendir(self, number: int, _body: bytes, _uid: int, _gid: int) -> bytes:
        self._opened += 1
        entries = sorted(self.disk.nodes[number].entries.items())
        self._listings[self._opened] = [(".", number), ("..", number), *entries]
        return struct.pack("<QII", self._opened, 0, 0)

    def _releasedir(self, _number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        self._listings.pop(struct.unpack_from("<Q", body)[0], None)
        return b""

    def _readdir(self, _number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        handle, start, size = struct.unpack_from("<QQI", body)
        found = bytearray()
        for index, (name, number) in enumerate(self._listings[handle][start:], start + 1):
            encoded = name.encode()
            kind = stat.S_IFMT(self.disk.nodes[number].mode) >> 12
            one = struct.pack("<QQII", number, index, len(encoded), kind) + encoded
            one += bytes(-len(one) % 8)
            if len(found) + len(one) > size:
                break
            found += one
        return bytes(found)

    def _read(self, number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        _, at, size = struct.unpack_from("<QQI", body)
        return bytes(self.disk.nodes[number].data[at : at + size])

    # -- what is changed ------------------------------------------------------------------------

    def _touched(self, *numbers: int) -> None:
        for number in numbers:
            self.disk.nodes[number].mtime_ns = time.time_ns()

    def _new(self, folder: int, name: str, mode: int, uid: int, gid: int) -> bytes:
        if name in self.disk.nodes[folder].entries:
            raise FileExistsError(errno.EEXIST, name)
        number = self.disk.make(folder, name, mode, uid, gid)
        self._touched(folder, number)
        return self._entry(number)

    def _mknod(self, folder: int, body: bytes, uid: int, gid: int) -> bytes:
        mode, _, _, _ = struct.unpack_from("<4I", body)
        return self._new(folder, _text(body[16:]), mode, uid, gid)

    def _mkdir(self, folder: int, body: bytes, uid: int, gid: int) -> bytes:
        mode, _ = struct.unpack_from("<2I", body)
        return self._new(folder, _text(body[8:]), stat.S_IFDIR | mode, uid, gid)

    def _create(self, folder: int, body: bytes, uid: int, gid: int) -> bytes:
        _, mode, _, _ = struct.unpack_from("<4I", body)
        entry = self._new(folder, _text(body[16:]), mode, uid, gid)
        return entry + struct.pack("<QII", 0, _KEEP_CACHE, 0)

    def _unlink(self, folder: int, body: bytes, _uid: int, _gid: int) -> bytes:
        self._named(folder, _text(body))
        self.disk.remove(folder, _text(body))
        self._touched(folder)
        return b""

    def _rmdir(self, folder: int, body: bytes, uid: int, gid: int) -> bytes:
        if self.disk.nodes[self._named(folder, _text(body))].entries:
            raise OSError(errno.ENOTEMPTY, "not empty")
        return self._unlink(folder, body, uid, gid)

    def _rename(self, folder: int, body: bytes, _uid: int, _gid: int) -> bytes:
        (to_folder,) = struct.unpack_from("<Q", body)
        return self._renamed(folder, to_folder, 0, body[8:])

    def _rename2(self, folder: int, body: bytes, _uid: int, _gid: int) -> bytes:
        to_folder, flags = struct.unpack_from("<QI", body)
        return self._renamed(folder, to_folder, flags, body[16:])

    def _renamed(self, folder: int, to_folder: int, flags: int, names: bytes) -> bytes:
        name, to_name = (part.decode() for part in names.split(b"\0")[:2])
        self._named(folder, name)
        there = self.disk.nodes[to_folder].entries.get(to_name)
        if flags > 1:
            raise OSError(errno.EINVAL, "no exchange")
        if there is not None and (flags or self.disk.nodes[there].entries):
            raise FileExistsError(errno.EEXIST if flags else errno.ENOTEMPTY, to_name)
        self.disk.rename(folder, name, to_folder, to_name)
        self._touched(folder, to_folder)
        return b""

    def _link(self, folder: int, body: bytes, _uid: int, _gid: int) -> bytes:
        (number,) = struct.unpack_from("<Q", body)
        self.disk.link(folder, _text(body[8:]), number)
        return self._entry(number)

    def _write(self, number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        _, at, size = struct.unpack_from("<QQI", body)
        self.disk.write(number, at, body[40 : 40 + size])
        self._touched(number)
        return struct.pack("<II", size, 0)

    def _fallocate(self, number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        _, at, length, mode = struct.unpack_from("<QQQI", body)
        if mode:
            raise OSError(errno.EOPNOTSUPP, "only to stretch")
        if at + length > len(self.disk.nodes[number].data):
            self.disk.resize(number, at + length)
        return b""

    def _fsync(self, number: int, _body: bytes, _uid: int, _gid: int) -> bytes:
        self.disk.force(number)
        return b""

    def _setattr(self, number: int, body: bytes, _uid: int, _gid: int) -> bytes:
        valid, _, _, size, *_ = fields = _SETATTR.unpack_from(body)
        node: Node = self.disk.nodes[number]
        if valid & 1:
            node.mode = stat.S_IFMT(node.mode) | stat.S_IMODE(fields[11])
        if valid & 2:
            node.uid = fields[13]
        if valid & 4:
            node.gid = fields[14]
        if valid & 8:
            self.disk.resize(number, size)
        if valid & (1 << 5):
            node.mtime_ns = fields[6] * 10**9 + fields[9]
        if valid & (8 | 1 << 8):
            self._touched(number)
        return self._attr(number)


def _text(body: bytes) -> str:
    return body.split(b"\0", 1)[0].decode()
