"""WebSockets (RFC 6455) as far as a load needs them.

Messages go out as frames that were made before. What comes is taken apart byte by byte into frames; their contents are
not looked at: the next whole message is the answer to the one that was sent. A ping is answered; fragments are one
message; an extension or a mask, which nobody agreed to, is an error.
"""

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcmp, memcpy

from tidegate.bench.client cimport AWAITING, IDLE, OPENING, Client
from tidegate.wire.http1 cimport COMPLETE, Field, same_name

import base64
import hashlib
import os

cdef enum:
    FINAL = 0x80
    RESERVED = 0x70
    MASKED = 0x80
    OPCODE = 0x0F
    CONTROL = 0x08
    OP_CLOSE = 0x8
    OP_PING = 0x9

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"     # RFC 6455 section 1.3
_CLOSE = b"\x88\x82\x00\x00\x00\x00\x03\xe8"        # normal closure, with a mask of zeros
cdef const char* ACCEPT = b"sec-websocket-accept"


def opening(bytes target not None, bytes fields not None):
    key = base64.b64encode(os.urandom(16))
    accept = base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())
    request = (
        b"GET %b HTTP/1.1\r\n%bConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: %b\r\n\r\n" % (target, fields, key)
    )
    return request, accept


def frame(bytes payload not None, *, bint is_text=True):
    size = len(payload)
    if size < 126:
        length = bytes([MASKED | size])
    elif size < 65536:
        length = bytes([MASKED | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([MASKED | 127]) + size.to_bytes(8, "big")
    mask = os.urandom(4)
    repeated = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    masked = (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")
    return bytes([FINAL | (1 if is_text else 2)]) + length + mask + masked


cdef class WebSocketClient(Client):

    cdef void greet(self):
        self.header_size = 0
        self.has_header = False
        self.left = 0
        self.is_head = False
        self._send(self.opening)
        if self.connection is not None:
            self.state = OPENING

    cdef void hang_up(self):
        if self.state == IDLE and self.connection is not None:
            self.connection.send(_CLOSE, len(_CLOSE))
        Client.hang_up(self)

    cdef void read(self, char* data, size_t size):
        cdef size_t piece
        if self.state == OPENING:
            if self._read_head(&data, &size) != COMPLETE:
                return
            if self.crew.head.status != 101:
                self.fail("http_upgrade_failed", f"answered {self.crew.head.status} to the request for a WebSocket")
                return
            if not self._is_accepted(data - self.crew.head.size):
                self.fail("http_upgrade_failed", "answered with another Sec-WebSocket-Accept than it should")
                return
            self.state = IDLE
            if self.request is not None:
                self._send(self.request)
            else:
                self.crew.opened(self)
        while size != 0 and self.connection is not None:
            if not self.has_header:
                self.header[self.header_size] = <unsigned char>data[0]
                self.header_size += 1
                data += 1
                size -= 1
                if not self._take_header() or not self.has_header:
                    continue
            piece = size if size < self.left else <size_t>self.left
            if self.header[0] & CONTROL and piece != 0:
                memcpy(self.control + self.control_size, data, piece)
                self.control_size += <uint8_t>piece
            self.left -= piece
            data += piece
            size -= piece
            if self.left == 0:
                self.has_header = False
                self.header_size = 0
                self._ended_frame()

    cdef bint _is_accepted(self, const char* head):
        cdef Field* field
        cdef int i
        for i in range(self.crew.head.n_fields):
            field = &self.crew.head.fields[i]
            if same_name(head + field.name.start, field.name.size, ACCEPT, 20):
                return field.value.size == <size_t>len(self.accept) and (
                    memcmp(head + field.value.start, <const char*>self.accept, field.value.size) == 0
                )
        return False

    cdef bint _take_header(self):
        """With another byte of it. False: it was refused, and the connection is gone."""
        cdef int length, i, first
        if self.header_size < 2:
            return True
        length = self.header[1] & 0x7F
        if self.header[0] & RESERVED or self.header[1] & MASKED or (
            self.header[0] & CONTROL and (length > 125 or not self.header[0] & FINAL)
        ):
            self.fail("http_protocol_error", "sent a WebSocket frame that breaks RFC 6455")
            return False
        first = 2 + (2 if length == 126 else 8 if length == 127 else 0)
        if self.header_size < first:
            return True
        self.left = length if length < 126 else 0
        for i in range(2, first):
            self.left = self.left << 8 | self.header[i]
        self.control_size = 0
        self.has_header = True
        return True

    cdef void _ended_frame(self):
        cdef int opcode = self.header[0] & OPCODE
        if opcode == OP_PING:
            pong = bytearray(frame(self.control[:self.control_size], is_text=False))
            pong[0] = FINAL | 0xA
            whole = bytes(pong)
            self.connection.send(whole, len(whole))
        elif opcode == OP_CLOSE:
            if self.state == AWAITING:
                self.fail("connection_terminated", "closed the WebSocket before it answered")
            else:
                Client.hang_up(self)
                self.crew.lost(self)
        elif not opcode & CONTROL and self.header[0] & FINAL and self.state == AWAITING:
            self.status = 101
            self.state = IDLE
            self.crew.answered(self)
