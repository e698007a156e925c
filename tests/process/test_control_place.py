import select
import sys

from tidegate.process.channel import Channel, channel_pair
from tidegate.process.child import Child
from tidegate.process.control_place import ControlPlace
from tidegate.process.messages import ControlMessage, Finish, Roster, SupervisorMessage


def test_what_is_known_is_not_told_again():
    place = ControlPlace("control", order=None, program=None, holdings=None, workers=None, started_ns=1)
    assert not place.send(Finish())
    ours, theirs = channel_pair()
    place.fill(Child.start_program("control", [sys.executable, "-c", "import time; time.sleep(60)"], []))
    place.child.channel = Channel(ours, SupervisorMessage)
    heard = Channel(theirs, ControlMessage)
    roster = Roster(workers=[], is_draining=False)
    place.tell(roster)
    place.tell(roster)
    assert heard.receive() == roster
    assert heard.receive() is None
    place.tell(Roster(workers=[], is_draining=True))
    assert heard.receive().is_draining
    place.child.kill()
    assert select.select([place.child.pidfd], [], [], 20)[0]
    place.child.reap()
    heard.close()
