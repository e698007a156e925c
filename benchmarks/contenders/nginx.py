"""nginx as Debian packages it: one worker, upstream keep-alive, buffered access log, forwarding headers set.

Large bodies get the buffers the comparison asks for (``proxy_buffers 16 256k``, nothing spooled), and a client body
buffer of the same size, without which nginx moves an upload in steps of 16 KB.
"""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.contenders.contender import KEY, Contender, Ground, NotHereError, first_line_of

BINARY = Path("/usr/sbin/nginx")

CONFIGURATION = """\
daemon off;
user {user};
worker_processes 1;
worker_rlimit_nofile 20000;
pid {directory}/nginx.pid;
error_log {directory}/error.log warn;
events {{ worker_connections 19000; }}
http {{
    access_log {directory}/access.log combined buffer=64k flush=1s;
    client_body_temp_path {directory}/client_body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 300s;
    keepalive_requests 100000000;
    client_max_body_size 0;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    upstream load {{
        server 127.0.0.1:{upstream_port};
        keepalive 1024;
        keepalive_requests 100000000;
        keepalive_timeout 300s;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Request-ID $request_id;
    {policies}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        listen 127.0.0.1:{tls_port} ssl backlog=4096;
        location / {{ proxy_pass http://load; }}
        location /limited {{
            {checks}
            proxy_pass http://load/small;
        }}
        location /bytes/ {{
            proxy_pass http://load;
            proxy_buffers 16 256k;
            proxy_max_temp_file_size 0;
        }}
        location /upload {{
            proxy_pass http://load;
            proxy_request_buffering off;
            client_body_buffer_size 256k;
            proxy_max_temp_file_size 0;
        }}
    }}
}}
"""


# The keyed map and the limits of the scenario "limits": as much as Tidegate has there. The key is
# compared in clear, which costs less than its digest. ``limit_req`` counts in zones of shared memory, as Tidegate does.
POLICIES = """\
map_hash_bucket_size 128;
    map $http_x_api_key $tenant {{ default ""; "{key}" acme; }}
    limit_req_zone $binary_remote_addr zone=edge:16m rate=1000000r/s;
    limit_req_zone $tenant zone=contract:16m rate=1000000r/s;
    limit_conn_zone $server_port zone=servers:1m;"""
CHECKS = """\
if ($tenant = "") { return 401; }
            limit_req zone=edge burst=1000000 nodelay;
            limit_req zone=contract burst=1000000 nodelay;
            limit_conn servers 1000;
            proxy_set_header X-API-Key "";
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
            proxy_set_header X-Request-ID $request_id;"""


class Nginx(Contender):
    """Debian's nginx with one worker; with ``limited`` it asks for a key and has limits."""

    def __init__(self, name: str, *, limited: bool = False) -> None:
        super().__init__(name)
        self.limited = limited

    def prepare(self, ground: Ground) -> tuple[list[str], Mapping[str, str]]:
        """Writes ``nginx.conf``."""
        if not BINARY.exists():
            raise NotHereError(f"{BINARY} is not there (Debian: apt install nginx-light)")
        self.version = first_line_of([str(BINARY), "-v"])
        self.configuration = CONFIGURATION.format(
            user=Path(ground.directory).owner(),  # the worker must be able to read what this user wrote
            directory=self.directory,
            certificate=ground.certificate,
            key=ground.key,
            upstream_port=ground.upstream_port,
            port=self.port,
            policies=POLICIES.format(key=KEY) if self.limited else "",
            checks=CHECKS if self.limited else "",
            tls_port=self.tls_port,
        )
        path = self.directory / "nginx.conf"
        path.write_text(self.configuration)
        return [str(BINARY), "-p", str(self.directory), "-e", str(self.directory / "error.log"), "-c", str(path)], {}
