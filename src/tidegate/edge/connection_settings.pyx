"""What a listener's options mean for its connections, in the units that they are compared in."""

from tidegate.wire.http1 cimport FIELDS_MAX


cdef class ConnectionSettings:
    """settings: config.Listener."""

    def __init__(self, settings):
        self.limits.head_bytes = settings.max_head
        self.limits.target_bytes = settings.max_uri
        self.limits.fields = min(settings.max_headers, FIELDS_MAX)
        self.head_timeout_ms = _ms(settings.head_timeout)
        self.idle_timeout_ms = _ms(settings.idle_timeout)
        self.body_timeout_ms = _ms(settings.body_timeout)
        self.lingering_timeout_ms = _ms(settings.lingering_timeout)
        self.max_body = -1 if settings.max_body is None else settings.max_body
        self.max_uses = settings.keepalive_requests or 0
        self.allows_underscores = settings.allow_underscores
        self.aborts_on_half_close = settings.half_close == "abort"

    def __repr__(self):
        return f"<ConnectionSettings head {self.head_timeout_ms} ms, idle {self.idle_timeout_ms} ms, body {self.max_body} bytes>"


cdef uint64_t _ms(double seconds):
    return max(1, round(seconds * 1000))
