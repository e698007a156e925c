"""Redis servers: options that contradict each other or have no effect."""

from tidegate.config.findings import Path
from tidegate.config.redis import Redis, parse_redis_url
from tidegate.config.rules.subject import Subject

__all__ = ["check_redis"]


def check_redis(subject: Subject) -> None:
    """What is said of a server has an effect, and is said once."""
    for name, redis in subject.gateway.redis.items():
        path: Path = ("redis", name)
        target = parse_redis_url(redis.url)
        if redis.user and target.user and redis.user != target.user:
            subject.find((*path, "user"), f"is another one than {target.user} in `url`")
        if redis.password is None and (redis.user or target.user):
            subject.find(path, "needs `password`: a user has one")
        if target.address.is_unix and redis.tls is not None and redis.tls.verify and redis.tls.name is None:
            subject.find((*path, "tls"), "needs `name`: a unix socket has no name for a certificate to prove")
        _check_merging(subject, path, redis)
        _check_topology(subject, path, redis)
        if redis.pool.idle is not None:
            subject.warn(
                (*path, "pool", "idle"), "has no effect: a lane is one connection, which is opened once and kept"
            )
        if redis.bulk_timeout < redis.timeout:
            subject.warn((*path, "bulk_timeout"), "is shorter than `timeout`, although large values take longer")


def _check_topology(subject: Subject, path: Path, redis: Redis) -> None:
    target = parse_redis_url(redis.url)
    if redis.cluster and redis.sentinels:
        subject.find((*path, "sentinels"), "a cluster has none: it knows itself who is the master")
    if target.address.is_unix and (redis.cluster or redis.sentinels):
        subject.find((*path, "url"), "is a unix socket, where a host is needed")
    if redis.cluster and target.database:
        subject.find((*path, "url"), f"names database {target.database}: a cluster has only 0")
    if redis.nodes and not redis.cluster:
        subject.warn((*path, "nodes"), "has no effect without `cluster`")
    if redis.sentinel_password is not None and not redis.sentinels:
        subject.warn((*path, "sentinel_password"), "has no effect without `sentinels`")


def _check_merging(subject: Subject, path: Path, redis: Redis) -> None:
    if redis.linger == 0 and subject.says((*path, "batch")):
        subject.warn((*path, "batch"), "has no effect without `linger`: commands of one turn travel together anyway")
    if redis.linger >= redis.timeout:
        subject.find((*path, "linger"), "is not shorter than `timeout`: a command would be late before it is sent")
    if redis.batch > redis.pool.max:
        subject.find(
            (*path, "batch"), f"{redis.batch} commands never wait: no more than pool.max = {redis.pool.max} may"
        )
