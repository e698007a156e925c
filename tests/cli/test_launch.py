import os
import subprocess
import sys

LAUNCH = """
import os, sys
from tidegate.cli import launch
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
from tidegate.process.messages import Companion

def exec_instead(path, argv):
    from tidegate.process.messages import SupervisorOrder, read_order
    fd = int(argv[-1])
    assert os.get_inheritable(fd)
    order = read_order(fd, SupervisorOrder)
    assert os.get_inheritable(order.snapshot_fd) and os.get_inheritable(order.companions[0].fds[0])
    print(path == sys.executable, argv[1:-1], order.greeting, all(map(os.path.isabs, order.python_path)))

os.execv = exec_instead
reader, writer = os.pipe()
snapshot = Snapshot.build(Gateway(listeners=(Listener(bind="127.0.0.1:1"),)))
launch.launch(snapshot, [Companion(name="demo", argv=["demo"], fds=[reader])], ["hello"])
"""

REALLY = """
import sys
from tidegate.cli.launch import launch
from tidegate.config.listeners import Listener
from tidegate.config.schema import Gateway
from tidegate.config.snapshot import Snapshot
launch(Snapshot.build(Gateway(listeners=(Listener(bind="unix:/no/such/place/gate.sock"),))))
"""


def test_everything_the_supervisor_needs_passes_through_exec():
    done = subprocess.run([sys.executable, "-c", LAUNCH], capture_output=True, text=True, check=True)
    assert done.stdout == "True ['-P', '-m', 'tidegate.process.supervisor'] ['hello'] True\n"


def test_the_supervisor_takes_over_in_the_same_process():
    process = subprocess.Popen([sys.executable, "-c", REALLY], stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    _, said = process.communicate(timeout=30)
    # said by the supervisor, whose exit code is the one of the process we started
    assert said == "tidegate: cannot listen on unix:/no/such/place/gate.sock: No such file or directory\n"
    assert process.returncode == 1
