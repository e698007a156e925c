from tests.doctor.patients import configured, machine, patient, running


def test_descriptors_are_those_of_the_running_workers_if_they_are_told():
    assert patient(running=running(descriptors=4096), machine=machine(descriptors_hard=99)).descriptors == 4096
    assert patient(running=running(descriptors=None), machine=machine(descriptors_hard=99)).descriptors == 99
    assert patient(running=None, machine=machine(descriptors_hard=99)).descriptors == 99


def test_endpoints_are_told_with_their_upstream():
    text = """
[[listeners]]
bind = "0.0.0.0:8080"
[upstreams.a]
endpoints = ["10.0.0.5:9001", "unix:/run/a.sock"]
[upstreams.b]
endpoints = ["b.example:80"]
[[routes]]
name = "a"
path = "/a"
upstream = "a"
[[routes]]
name = "b"
path = "/b"
upstream = "b"
"""
    told = [(name, str(address)) for name, address in patient(gateway=configured(text)).endpoints()]
    assert told == [("a", "10.0.0.5:9001"), ("a", "unix:/run/a.sock"), ("b", "b.example:80")]
    assert list(patient(gateway=None).endpoints()) == []
