"""The GPUs and hosts of a job: TensorFlow's distribution strategies, and communication between hosts.

Sources: TensorFlow's guides "Distributed training" and "Multi-worker training with Keras"; hosts and their names are
those of SageMaker's ``resourceconfig.json`` (contract T54, T55).
"""

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from classifier.environment import set_variables
from classifier.errors import UserError
from classifier.training.interruption import Interruption, StoppedError

log = logging.getLogger(__name__)

PORT = 2222
SECONDS_TO_FIND_PEERS = 900.0
SECONDS_BETWEEN_LOOKS = 2.0
PIECE_BYTES = 32 << 20
WORD = 4  # bytes of the integers that messages are sent as
# The errors of TensorFlow's collective operations when a peer is gone.
LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


@dataclass(frozen=True)
class Cluster:
    """The hosts and devices of a job.

    Attributes:
        strategy: TensorFlow's distribution strategy.
        hosts: The names of all hosts, sorted.
        host: The name of this host.
    """

    strategy: Any
    hosts: tuple[str, ...] = ("localhost",)
    host: str = "localhost"

    @property
    def rank(self) -> int:
        """The index of this host among the hosts."""
        return self.hosts.index(self.host)

    @property
    def is_chief(self) -> bool:
        """Whether this host is the chief, which decides for all hosts and writes checkpoints and the model."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether the job has only one host."""
        return len(self.hosts) == 1

    @property
    def replicas(self) -> int:
        """The number of copies of the network, on all hosts together."""
        return int(self.strategy.num_replicas_in_sync)

    @property
    def replicas_here(self) -> int:
        """The number of copies of the network on this host."""
        return self.replicas // len(self.hosts)

    def all_gather(self, content: bytes) -> list[bytes]:
        """Return every host's content, in the order of the hosts; all hosts must call it at the same point."""
        if self.alone:
            return [content]
        framed = len(content).to_bytes(2 * WORD, "little") + content
        words = np.frombuffer(framed + bytes(-len(framed) % WORD), np.int32)
        everything, counts = (values.numpy() for values in self._gather(tf.constant(words)))
        ends = np.cumsum(counts)
        return [_unframed(everything[end - count : end].tobytes()) for end, count in zip(ends, counts, strict=True)]

    def all_gather_large(self, content: bytes) -> list[bytes]:
        """Return every host's content, of any size: it is sent in pieces, as gRPC messages are limited to 2 GiB."""
        longest = max(int(length) for length in self.all_gather(str(len(content)).encode()))
        starts = range(0, max(longest, 1), PIECE_BYTES)
        pieces = [self.all_gather(content[start : start + PIECE_BYTES]) for start in starts]
        return [b"".join(of_host) for of_host in zip(*pieces, strict=True)]

    def any(self, flag: bool) -> bool:
        """Return whether the flag is set on any host; all hosts must call it at the same point."""
        return any(content == b"1" for content in self.all_gather(b"1" if flag else b"0"))

    def broadcast(self, content: bytes) -> bytes:
        """Return the chief's content, of any size, on every host."""
        return content if self.alone else self.all_gather_large(content if self.is_chief else b"")[0]

    def _gather(self, words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the concatenated words of all hosts, and the number of words of each."""
        everything, counts = (self.strategy.experimental_local_results(each)[0] for each in self._gather_all(words))
        # All replicas of a host contribute the same words: only those of each host's first replica are used.
        first = np.arange(0, self.replicas, self.replicas_here)
        starts = np.concatenate([[0], np.cumsum(counts.numpy())])
        chosen = [everything[starts[replica] : starts[replica + 1]] for replica in first]
        return tf.concat(chosen, axis=0), tf.gather(counts, first)

    @cached_property
    def _gather_all(self) -> Callable[[tf.Tensor], Any]:
        def gather(words: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            # Arguments must be copied to the replica's device first: gathering them directly fails.
            context = tf.distribute.get_replica_context()
            counts = context.all_gather(tf.identity(tf.shape(words)), axis=0)
            return context.all_gather(tf.identity(words), axis=0), counts

        function: Callable[[tf.Tensor], Any] = tf.function(
            lambda words: self.strategy.run(gather, args=(words,)),
            input_signature=[tf.TensorSpec([None], tf.int32)],
            autograph=False,
        )
        return function


def _unframed(framed: bytes) -> bytes:
    length = int.from_bytes(framed[: 2 * WORD], "little")
    return framed[2 * WORD : 2 * WORD + length]


def local() -> Cluster:
    """Return a cluster of this host alone, with all of its GPUs."""
    gpus = tf.config.list_logical_devices("GPU")
    return Cluster(tf.distribute.MirroredStrategy() if len(gpus) > 1 else tf.distribute.get_strategy())


def connect(hosts: Sequence[str], host: str, interruption: Interruption) -> Cluster:
    """Connect the hosts of a job, once all of their names can be resolved.

    It must be called before TensorFlow's first operation.

    Args:
        hosts: The names of all hosts.
        host: The name of this host.
        interruption: Tells whether the job was told to stop.

    Raises:
        UserError: A host can't be found.
        StoppedError: The job was told to stop while it waited.
    """
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)
    # TensorFloat-32 rounds float32, and differently for different batches, so exports could not be verified.
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if len(hosts) == 1:
        return local()
    if host not in hosts:
        raise UserError(f"resourceconfig.json: current_host {host!r} is not among the hosts {', '.join(hosts)}")
    addresses = [name if ":" in name else f"{name}:{PORT}" for name in hosts]
    _wait_for(addresses, interruption)
    task = {"type": "worker", "index": list(hosts).index(host)}
    set_variables({"TF_CONFIG": json.dumps({"cluster": {"worker": addresses}, "task": task})})
    log.info("event=cluster hosts=%s host=%s leader=%s", ",".join(hosts), host, hosts[0])
    cluster = Cluster(tf.distribute.MultiWorkerMirroredStrategy(), tuple(hosts), host)
    interruption.listen_again()
    return cluster


def _wait_for(addresses: Sequence[str], interruption: Interruption) -> None:
    """Wait until every host's name can be resolved, as SageMaker starts hosts at different times."""
    deadline = time.monotonic() + SECONDS_TO_FIND_PEERS
    missing = [address.rpartition(":")[0] for address in addresses]
    while missing := [name for name in missing if not _is_known(name)]:
        if interruption.requested():
            raise StoppedError
        if time.monotonic() > deadline:
            raise UserError(
                f"hosts not found in {SECONDS_TO_FIND_PEERS:.0f} seconds: {', '.join(missing)}; see their logs"
            )
        log.info("event=cluster note='waiting for %s'", ", ".join(missing))
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _is_known(name: str) -> bool:
    try:
        socket.getaddrinfo(name, None)
    except OSError:
        return False
    return True


@contextmanager
def peers_watched(cluster: Cluster) -> Iterator[None]:
    """Replace TensorFlow's errors about a lost peer by a message for the user.

    Raises:
        UserError: Another host ended or can't be reached.
    """
    try:
        yield
    except LOST as error:
        if cluster.alone:
            raise
        others = ", ".join(name for name in cluster.hosts if name != cluster.host)
        log.warning("event=cluster note=%r", str(error).replace("\n", " ")[:500])
        raise UserError(
            f"host {cluster.host}: another host of the job ({others}) ended or can't be reached, so this one ends too; "
            "its log says why"
        ) from error
