"""The DICOM door and what comes over a bare socket: cut off, silent, noise, too much."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

import pytest

from braintumor.node.spool import LARGEST_INSTANCE
from tests.node.receive_peers import (
    MR,
    TITLE,
    Receiver,
    eventually,
    receiving,
    send_echo,
    storescu,
    threads_of,
)


def associate_request(called: str = TITLE) -> bytes:
    """An A-ASSOCIATE-RQ for MR in implicit VR little endian (PS3.8 9.3.2), put together by hand."""

    def item(kind: int, content: bytes) -> bytes:
        return struct.pack(">BxH", kind, len(content)) + content

    context = item(0x20, b"\x01\0\0\0" + item(0x30, MR.encode()) + item(0x40, b"1.2.840.10008.1.2"))
    user = item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3.4"))
    body = struct.pack(">H2x", 1) + called.ljust(16).encode() + b"RAW".ljust(16) + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + context + user
    return struct.pack(">BxI", 1, len(body)) + body


def associated(node: Receiver) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", node.port), timeout=20)
    connection.sendall(associate_request())
    assert connection.recv(6)[0] == 2  # A-ASSOCIATE-AC
    return connection


def command(sop_uid: str) -> bytes:
    """A C-STORE-RQ (PS3.7 9.3.1)."""

    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HHI", 0, number, len(value)) + value

    content = element(0x0002, MR.encode()) + element(0x0100, b"\x01\0") + element(0x0110, b"\x01\0")
    content += element(0x0700, b"\0\0") + element(0x0800, b"\x01\0") + element(0x1000, sop_uid.encode())
    return element(0x0000, struct.pack("<I", len(content))) + content


def p_data(fragment: bytes, header: int) -> bytes:
    pdv = struct.pack(">IBB", len(fragment) + 2, 1, header) + fragment
    return struct.pack(">BxI", 4, len(pdv)) + pdv


def test_a_sender_that_dies_in_the_middle_leaves_nothing(tmp_path: Path, files: list[Path]) -> None:
    data = p_data(files[0].read_bytes() * 4, 2)
    with receiving(tmp_path) as node:
        for cut in (3, 100, len(data) - 1):
            with associated(node) as connection:
                connection.sendall(p_data(command("1.2.3"), 3) + data[:cut])
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, as by a crash
        assert storescu(node.port, files[:1])[0] == 0
        assert len(node.kept) == 1
        assert node.nothing_unfinished


def test_a_silent_peer_is_dropped(tmp_path: Path) -> None:
    with receiving(tmp_path, patience_s=0.6) as node:
        silent = socket.create_connection(("127.0.0.1", node.port), timeout=20)
        half = associated(node)
        half.sendall(p_data(command("1.2.3"), 3)[:50])
        idle = associated(node)
        for connection in (silent, half, idle):
            with connection:
                ended = b"-"
                while ended:
                    try:
                        ended = connection.recv(4096)
                    except ConnectionResetError:
                        break
        assert node.service is not None
        assert eventually(lambda: not threads_of("AcceptorThread"))


@pytest.mark.parametrize(
    "bytes_",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x01\0\xff\xff\xff\xff" + bytes(100_000),
        bytes(5000),
        associate_request()[:-3] + b"\xff\xff\xff",
    ],
)
def test_noise_does_no_harm(tmp_path: Path, bytes_: bytes) -> None:
    with receiving(tmp_path, patience_s=2.0) as node:
        with socket.create_connection(("127.0.0.1", node.port), timeout=20) as connection:
            connection.sendall(bytes_)
        assert send_echo(node.port)


def test_an_instance_that_would_fill_the_memory_is_cut_off(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("braintumor.node.receive.dimse.LARGEST_INSTANCE", 10_000)
    assert LARGEST_INSTANCE > 10_000
    with receiving(tmp_path) as node, associated(node) as connection:
        connection.sendall(p_data(command("1.2.3"), 3))
        with pytest.raises(OSError):  # noqa: PT011  broken pipe or reset, as the kernel likes
            for _ in range(10_000):
                connection.sendall(p_data(bytes(4096), 0))
        assert eventually(lambda: node.counts["too-large"] == 1)
