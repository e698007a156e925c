import select
import sys

from tidegate.process.child import Child
from tidegate.process.trial import RehearsalPlace


def test_last_line_of_a_failed_trial_is_its_reason():
    place = RehearsalPlace("the new supervisor", handover=None)
    code = "import sys; print('one\\n\\nKeyError: tide\\n', file=sys.stderr); sys.exit(3)"
    child = Child.start_program("trial", [sys.executable, "-c", code], [], stderr=place._stderr_fd)
    assert select.select([child.pidfd], [], [], 20)[0]
    assert place.why(child.reap()) == "the new supervisor exited with code 3: KeyError: tide"
    assert place.why("says why") == "the new supervisor: says why"
    place.close()
    place.close()
