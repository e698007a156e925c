import os
import re
import subprocess
import sys

SAY = "from tidegate.process.notice import notice; notice('warning', 'one\\n two')"


def test_notice_is_one_line_with_time_and_level():
    said = subprocess.run([sys.executable, "-c", SAY], stderr=subprocess.PIPE, text=True, check=True).stderr
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z warning supervisor: one two\n", said)


def test_a_full_pipe_nobody_reads_holds_up_nothing():
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x" * 4096)
    except BlockingIOError:
        pass
    os.set_blocking(writer, True)
    # a run that blocked would be ended by the timeout, with an error
    subprocess.run([sys.executable, "-c", SAY], stderr=writer, check=True, timeout=20)
    os.close(reader)
    os.close(writer)


def test_closed_standard_error_is_no_reason_to_fail():
    closed = f"import os; os.close(2); {SAY}; os._exit(0)"
    subprocess.run([sys.executable, "-c", closed], check=True, timeout=20)
