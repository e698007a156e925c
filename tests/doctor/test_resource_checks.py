import pytest
from tests.doctor.patients import GIB, TEXT, configured, found, machine, patient, server, unseen, whole

from tidegate.doctor.machine import Tmpfs

CHECKS = ("descriptors", "cores", "clock", "memory")
ALL = (*CHECKS, "caches")


@pytest.mark.parametrize("check", ALL)
def test_a_machine_that_is_well_has_nothing(check):
    assert found(patient(), check) == [] and unseen(patient(), check) == []


def said(**server_options):
    lines = "".join(f"{name} = {value}\n" for name, value in server_options.items())
    return configured(TEXT.replace("workers = 2\n", "workers = 2\n" + lines))


def test_connections_that_do_not_fit_in_the_descriptors():
    facts = patient(gateway=said(max_connections=20_000), machine=machine(descriptors_hard=4096))
    one = whole(facts, "descriptors")
    assert one.severity == "serious" and "LimitNOFILE=10576" in one.mend
    assert (
        found(patient(gateway=said(max_connections=1000), machine=machine(descriptors_hard=4096)), "descriptors") == []
    )


def test_few_descriptors_are_few_clients():
    told = found(patient(machine=machine(descriptors_hard=1024)), "descriptors")
    assert told == [("warning", "ulimit -n", "1,024 descriptors for each worker: 960 clients at once")]
    assert found(patient(machine=machine(descriptors_hard=1024), gateway=None), "descriptors") == []


def test_a_machine_whose_table_of_files_is_full():
    full = machine(kernel={"descriptors_open": 900_000})
    assert found(patient(machine=full), "descriptors")[0][:2] == ("serious", "fs.file-max")


def test_more_workers_than_cores_and_far_fewer():
    assert found(patient(workers=4), "cores") == [("warning", "server.workers", "4 workers on 2 cores")]
    assert found(patient(machine=machine(cores_usable=8, cores_online=8)), "cores") == [
        ("note", "server.workers", "2 workers on 8 cores")
    ]
    quota = found(patient(machine=machine(cores_quota=0.5)), "cores")
    assert [one[:2] for one in quota] == [("warning", "server.workers"), ("warning", "cpu.max")]


def test_cores_that_are_taken_or_kept_from_us():
    assert found(patient(machine=machine(cores_online=16)), "cores") == [
        ("note", "affinity", "2 of 16 cores may be used from here")
    ]
    busy = found(patient(machine=machine(cpu_pressure=0.8)), "cores")
    assert busy == [("warning", "/proc/pressure/cpu", "in 80% of the last minute somebody waited for a core")]


def test_a_slow_clock_and_a_wrong_one():
    told = found(patient(machine=machine(clocksource="hpet", is_clock_synchronised=False)), "clock")
    assert [one[:2] for one in told] == [("warning", "clocksource"), ("warning", "time of day")]


def test_memory_that_is_full_swapped_or_promised_twice():
    told = found(patient(machine=machine(memory_share=0.95, swap_used=5 << 20)), "memory")
    assert told == [
        ("serious", "memory", "95% of what may be used is in use"),
        ("warning", "swap", "5.0 MiB are swapped out"),
    ]
    large = patient(gateway=said(limits_memory='"3GiB"'), machine=machine(memory_total=4 * GIB))
    assert found(large, "memory")[0][:2] == ("serious", "server.limits_memory")


def test_caches_that_all_workers_together_have_no_room_for():
    cached = configured(TEXT + '[cache.sessions]\nmemory = "1500MiB"\n')
    small = machine(memory_total=4 * GIB)
    assert found(patient(gateway=cached, machine=small), "caches") == [
        ("serious", "cache", "3,000.0 MiB of 4,096.0 MiB that this machine has, for 2 workers")
    ]
    assert found(patient(gateway=cached, machine=small, workers=1), "caches") == []
    assert found(patient(gateway=cached, machine=machine(memory_total=None)), "caches") == []


def test_a_value_for_whose_end_everybody_waits():
    late = configured(TEXT + "[cache.sessions]\nearly_refresh = 0.0\n")
    assert found(patient(gateway=late), "caches")[0][:2] == ("note", "cache.sessions")


def test_what_workers_share_has_to_fit_into_the_file_system_in_memory():
    shared = configured(TEXT + '[cache.sessions]\nmachine = "1GiB"\n')
    docker = machine(tmpfs=Tmpfs("/dev/shm", 64 << 20, 64 << 20))
    assert found(patient(gateway=shared, machine=docker), "caches") == [
        ("serious", "cache", "their machine tier may have 1,024.0 MiB, /dev/shm has 64.0 MiB")
    ]
    assert found(patient(gateway=shared, machine=machine(tmpfs=Tmpfs("/dev/shm", 2 * GIB, GIB))), "caches") == []
    assert "not told" in unseen(patient(gateway=shared, machine=machine(tmpfs=None)), "caches")[0]
    small = machine(memory_total=2 * GIB, tmpfs=Tmpfs("/dev/shm", 2 * GIB, GIB))
    ((severity, _, seen),) = found(patient(gateway=shared, machine=small), "caches")
    assert severity == "serious" and seen.endswith("for 2 workers and 1,024.0 MiB that they share")


def test_a_value_that_each_worker_fetches():
    alone = configured(TEXT + '[cache.sessions]\nsingle_flight = "worker"\n')
    assert found(patient(gateway=alone), "caches") == [
        ("warning", "cache.sessions.single_flight", "worker: each of 2 workers fetches a value that is not there")
    ]
    assert found(patient(gateway=alone, workers=1), "caches") == []


def test_a_full_file_system_in_memory():
    full = machine(tmpfs=Tmpfs("/dev/shm", 64 << 20, 1 << 20))
    assert found(patient(machine=full), "memory") == [("warning", "/dev/shm", "1.0 MiB of 64.0 MiB are free")]
    assert found(patient(machine=machine(tmpfs=Tmpfs("/dev/shm", 64 << 20, 60 << 20))), "memory") == []


def test_huge_pages_matter_beside_a_redis_server_only():
    always = machine(is_huge_pages_always=True)
    assert found(patient(machine=always), "memory") == []
    near = patient(machine=always, servers=(server(is_on_this_machine=True),))
    assert found(near, "memory")[0][1] == "transparent_hugepage"


def test_what_is_hidden_is_said():
    hidden = machine(
        clocksource=None, is_clock_synchronised=None, cpu_pressure=None, memory_share=None, descriptors_hard=None
    )
    assert all(unseen(patient(machine=hidden), check) for check in CHECKS)
