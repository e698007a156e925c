"""Nanoseconds for one access log line: the default JSON line and the combined format."""

import time

from tidegate.memory.region import Region
from tidegate.observe.access_log import AccessLog

RECORD: dict[str, int | bytes] = {
    "started_us": 1795298400123456,
    "duration_ns": 412_345,
    "upstream_ns": 310_999,
    "response_bytes": 512,
    "downstream_serial": 17,
    "upstream_serial": 4,
    "downstream_uses": 120,
    "upstream_uses": 3001,
    "status": 200,
    "upstream_status": 200,
    "attempts": 1,
    "method": b"GET",
    "target": b"/orders/42?full=1",
    "host": b"api.example.com",
    "client": b"203.0.113.9",
    "route": b"orders",
    "upstream": b"orders",
    "endpoint": b"10.0.0.5:9001",
    "request_id": b"3f6c1a5e0b7d4c2e9a8b7c6d5e4f3a2b",
    "user_agent": b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
BATCH = 1000
ROUNDS = 200


def main() -> None:
    """Best and median of many short rounds, the ring emptied outside the measured time."""
    slot = Region.create(1, 1 << 22).slot(0)
    reader = slot.log_reader()
    for name in ("json", "combined"):
        log = AccessLog(slot.take_log_ring(), line_format=name)
        took = []
        for _ in range(ROUNDS):
            start = time.perf_counter_ns()
            log.log(RECORD, BATCH)
            took.append((time.perf_counter_ns() - start) / BATCH)
            size = reader.pending // BATCH
            while reader.read(1 << 22):
                pass
        took.sort()
        print(f"access_log {name:9} best {took[0]:6.1f} ns  median {took[ROUNDS // 2]:6.1f} ns  {size} bytes a line")


if __name__ == "__main__":
    main()
