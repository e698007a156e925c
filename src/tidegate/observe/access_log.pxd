"""The access log line, formatted in C into the shared ring.

The configured format (JSON fields or a format string) is compiled once into a list of pieces.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tidegate.memory.log_ring cimport LogRing

cdef struct Text:
    const char* at
    uint32_t size

cdef enum LogEvent:
    LOG_EXCHANGE = 0
    LOG_UPGRADE_OPENED
    LOG_UPGRADE_CLOSED

cdef struct ExchangeRecord:
    # Filled by ``finish``; every pointer is valid for the call only.
    int64_t started_us                      # CLOCK_REALTIME, microseconds since 1970
    uint64_t duration_ns
    uint64_t upstream_ns                    # from handing the request over to the end of the answer's head; 0: never sent
    uint64_t connect_ns                     # 0: reused
    uint64_t request_bytes                  # bodies only
    uint64_t response_bytes
    uint64_t downstream_serial              # identity of the client's connection in this worker, and its exchanges so far
    uint64_t upstream_serial
    uint32_t downstream_uses
    uint32_t upstream_uses
    uint16_t status                         # 0: nothing was answered
    uint16_t upstream_status                # 0: nothing came
    uint16_t client_port
    uint8_t minor
    uint8_t event                           # LogEvent
    uint8_t tls
    uint8_t attempts                        # connections tried
    Text method
    Text target                             # as sent
    Text host
    Text client                             # address after trusted proxies
    Text peer_address                       # address of the connection
    Text route
    Text upstream
    Text endpoint                           # the peer really used
    Text request_id
    Text user_agent
    Text referer
    Text error                              # RFC 9209 kind when the gateway made the answer or cut the exchange
    Text detail                             # refusal name, filter name …
    Text limit                              # that refused it
    Text extra                              # rendered JSON members of exchange.log: ,"name":value…

cdef struct Piece:
    # One part of the line: ``literal`` as it stands, then the value that ``kind`` says, found at ``offset`` in the record.
    char literal[40]            # copied whole: the bytes behind literal_size are overwritten by what follows
    uint8_t literal_size
    uint8_t kind
    uint16_t offset

cdef class AccessLog:
    cdef readonly bint is_on
    cdef readonly bint is_json
    cdef object pieces_owner
    cdef void* pieces                       # Piece[n_pieces]
    cdef int n_pieces
    cdef uint32_t fixed_size                # upper bound of all that does not come from Text
    cdef uint32_t clip_bytes                # of each Text, at most so many are written
    cdef uint32_t text_repeats              # most times one text stands in a line
    cdef LogRing ring
    # the text of the latest second
    cdef int64_t cached_second
    cdef char cached_stamp[32]
    cdef char cached_combined[32]
    cdef void remember_second(self, int64_t second) noexcept
    cdef char* put_pieces(self, char* p, const ExchangeRecord* record) noexcept
    cdef compile_pieces(self, list compiled)
    cdef uint32_t clipped(self, const Text* text) noexcept
    cdef char* put_extra(self, char* p, const Text* extra) noexcept
    cdef char* put_text(self, char* p, const Text* text) noexcept
    cdef void write(self, const ExchangeRecord* record) noexcept
