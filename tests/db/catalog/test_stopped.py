"""Commands that are stopped by a signal: at once, with its status, and the next run goes on."""

import signal
import socket
import subprocess
import sys
import time

import pytest

from bench.lab.processes import free_ports
from db.catalog.running import BATCH_ROWS
from tests.db.catalog.command_line import HEADER, ROOT, Catalog, line


def test_waiting_for_the_store_can_be_stopped(command: Catalog) -> None:
    (port,) = free_ports(1)
    command.environ |= {"CASSANDRA_HOST": "127.0.0.1", "CASSANDRA_PORT": str(port)}
    with command.start("repair") as process:
        assert process.stderr is not None
        assert process.stderr.readline().startswith("the store is away: ")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_run_cleanly_and_the_next_one_goes_on(
    command: Catalog, number: signal.Signals, status: int
) -> None:
    with command.start("generate", "5000000", "--seed", "3") as process:
        command.wait_for_rows(400)
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == status
    assert err.endswith("stopped; the same command goes on from here\n")
    added = command.count()
    assert out in (  # the last batch may be stored and not counted yet
        f"added {added - uncounted:,}, already there 0, malformed 0\n"
        for uncounted in (0, BATCH_ROWS)
    )
    ran = command.run("generate", str(added + 50), "--seed", "3")
    assert ran.out == f"added 50, already there {added:,}, malformed 0"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_also_ends_the_reader_of_the_output_has_its_status(
    command: Catalog, number: signal.Signals
) -> None:
    with command.start("generate", "5000000") as process:
        command.wait_for_rows(200)
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as tee does after Ctrl-C
        process.send_signal(number)
        told = process.stderr.read()
    assert process.returncode == 128 + number
    assert told.endswith("stopped; the same command goes on from here\n")


def test_an_input_that_is_silent_can_be_stopped(command: Catalog) -> None:
    with command.start("import", "-", "--catalogue", "mine") as process:
        assert process.stdin is not None
        process.stdin.write("\n".join([HEADER, *map(line, range(250)), ""]))
        process.stdin.flush()
        command.wait_for_rows(200)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=10) == 130
        assert process.stdout is not None
        assert process.stdout.read() == "added 200, already there 0, malformed 0\n"


INTERRUPTED = """
import io, signal, sys
from db.catalog.__main__ import main

class Interrupted(io.RawIOBase):
    def writable(self):
        return True

    def write(self, data):
        signal.raise_signal(signal.SIGINT)

sys.stderr = io.TextIOWrapper(io.BufferedWriter(Interrupted()), write_through=True)
main(sys.argv[1:])
"""


def test_a_signal_during_a_message_has_its_status(command: Catalog) -> None:
    """A handler that writes to the same stream would raise RuntimeError."""
    malformed = command.file("mine.csv", HEADER, "s2,Movie")
    program = [sys.executable, "-c", INTERRUPTED, "import", malformed]
    ended = subprocess.run(program, cwd=ROOT, env=command.environ, check=False)
    assert ended.returncode == 130


def test_a_signal_ends_a_run_that_makes_a_session(command: Catalog) -> None:
    """To cancel the creation of a session would block the program."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        command.environ |= {"CASSANDRA_HOST": "127.0.0.1", "CASSANDRA_PORT": str(port)}
        with command.start("repair") as process, silent.accept()[0] as asked:
            asked.recv(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=10) == 130
