from typing import get_args

from tidegate.doctor.finding import INCIDENTS, SEVERITIES, Incident, Severity, in_mebibytes


def test_each_incident_is_told_and_each_severity_has_its_place():
    assert set(INCIDENTS) == set(get_args(Incident))
    assert set(SEVERITIES) == set(get_args(Severity))
    assert all(told for name, told in INCIDENTS.items() if name)


def test_sizes_are_for_people():
    assert [in_mebibytes(size) for size in (0, 1 << 19, 3 << 30)] == ["0.0 MiB", "0.5 MiB", "3,072.0 MiB"]
