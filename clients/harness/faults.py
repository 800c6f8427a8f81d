"""What happens to the cluster while the clients send."""

import http.client
import threading
import time
from dataclasses import dataclass

# Sizes of the requests that fill the queue, down to its last place.
FILLERS = (1000, 300, 100, 30, 10, 3, 1)


class Filler:
    """Keeps the leader's queue full until it is stopped."""

    def __init__(self, leader):
        self.port = leader.ports["http"]
        self.stopping = threading.Event()
        self.threads = []
        self.main = threading.Thread(target=self._fill)
        self.main.start()

    def stop(self):
        self.stopping.set()
        self.main.join()
        for thread in self.threads:
            thread.join()

    def _fill(self):
        while not self.stopping.is_set():
            for size in FILLERS:
                while not self.stopping.is_set() and not self._is_full_for(size):
                    pass
            self.stopping.wait(0.05)

    def _is_full_for(self, size):
        """Sends a request that then waits in the queue. Whether it is answered
        at once, as there is no room for it."""
        answered = threading.Event()
        thread = threading.Thread(target=self._post, args=(size, answered))
        self.threads.append(thread)
        thread.start()
        return answered.wait(0.1)

    def _post(self, size, answered):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(
                "POST", "/api/v1/logs", "Filler\n" * size, {"Content-Type": "text/plain"}
            )
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            pass  # The leader was killed, and the queue with it.
        finally:
            connection.close()
            answered.set()


def kill_leader(cluster, away_s=2, hold_s=0):
    """Kills the leader and starts it again. Holds its sink for a moment before,
    so that requests are under way when it dies."""
    leader = cluster.leader_but_the_spared()
    if hold_s:
        cluster.switch.touch()
        time.sleep(hold_s)
    leader.process.kill()
    cluster.switch.unlink(missing_ok=True)
    time.sleep(away_s)
    leader.start()
    cluster.leader()


def full_queue(cluster, seconds):
    """The sink takes nothing, and the queue has no room."""
    cluster.switch.touch()
    filler = Filler(cluster.leader())
    time.sleep(seconds)
    cluster.switch.unlink()
    filler.stop()


def stop_leader(cluster, away_s=2):
    """Ends the leader as an upgrade does, and starts it again."""
    leader = cluster.leader_but_the_spared()
    leader.process.popen.terminate()
    leader.process.popen.wait(30)
    time.sleep(away_s)
    leader.start()
    cluster.leader()


@dataclass(frozen=True)
class Scenario:
    # The node that the clients address: the leader, or a follower that outlives
    # the plan.
    address: str
    # What happens at which second of their sending.
    plan: tuple
    refuses: bool = False

    @property
    def spares_the_node(self):
        return self.address == "follower"


_FAIL_OVERS = (
    (4, lambda cluster: kill_leader(cluster, hold_s=0.5)),
    (12, lambda cluster: full_queue(cluster, 3)),
    (20, kill_leader),
)
SCENARIOS = {
    "leader": Scenario("leader", _FAIL_OVERS),
    "follower": Scenario("follower", _FAIL_OVERS),
    "busy": Scenario("follower", ((3, lambda cluster: full_queue(cluster, 16)), (24, stop_leader))),
    "refusing": Scenario("follower", ((6, kill_leader),), refuses=True),
}


def run_plan(cluster, plan, begin):
    """Makes each thing happen at its time, counted from `begin`."""
    for second, act in plan:
        time.sleep(max(0, begin + second - time.monotonic()))
        act(cluster)
