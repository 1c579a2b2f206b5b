"""How ``serve`` starts, is limited, is replaced in part, and stops: real processes, real signals."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from serving_helpers import (
    PATIENCE_SECONDS,
    SERVE,
    Server,
    code_of,
    model_folder,
    probabilities,
    serving,
    wait_until,
)

pytestmark = pytest.mark.skipif(shutil.which("nginx") is None, reason="needs nginx")

MEGABYTE = 2**20
TWO_WORKERS = {"SAGEMAKER_MODEL_SERVER_WORKERS": "2"}
# What a container gets that is started read-only and without capabilities, as root and as another user.
READ_ONLY = (
    'mount --bind "$TMPDIR" "$TMPDIR" && mount -o remount,ro,bind / && mount -o remount,ro,bind /dev/shm; exec "$@"'
)
WITHOUT_RIGHTS = (
    "unshare",
    "--mount",
    "sh",
    "-c",
    READ_ONLY,
    "sh",
    "setpriv",
    "--bounding-set=-all",
    "--inh-caps=-all",
)
AS_ANOTHER_USER = (*WITHOUT_RIGHTS, "--reuid=993", "--regid=990", "--clear-groups")


@pytest.fixture(scope="module")
def model() -> Path:
    return model_folder()


@pytest.fixture(scope="module")
def tight(model: Path) -> Iterator[Server]:
    """One that every knob was turned for."""
    environ = {
        "SAGEMAKER_GUNICORN_THREADS": "1",
        "SERVING_QUEUE_LENGTH": "1",
        "OMP_NUM_THREADS": "2",
        "SAGEMAKER_MODEL_SERVER_TIMEOUT": "77",
        "SAGEMAKER_NGINX_PROXY_READ_TIMEOUT_SECONDS": "3",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "6",
        "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv",
        "SAGEMAKER_BATCH": "True",
        "SAGEMAKER_CONTAINER_LOG_LEVEL": "30",
        "SERVING_PAGE": "off",
        "SAGEMAKER_REGION": "us-east-1",
    }
    with serving(model, environ) as running:
        yield running


@pytest.fixture(scope="module")
def pair(model: Path) -> Iterator[Server]:
    """One of two workers."""
    with serving(model, TWO_WORKERS) as running:
        yield running


@contextmanager
def in_flight(server: Server, body: str, times: int = 1) -> Iterator[list[requests.Response]]:
    """Post a body from several threads; the answers are there when the block is over."""
    answers: list[requests.Response] = []
    headers = {"Content_Type": "text/csv", "Accept": "application/json"}
    threads = [threading.Thread(target=lambda: answers.append(server.ask(body, **headers))) for _ in range(times)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)
    yield answers
    for thread in threads:
        thread.join(PATIENCE_SECONDS)


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


# --- one that every knob was turned for


def test_the_knobs_reach_gunicorn_and_nginx_H12_H30(tight: Server) -> None:
    master = " ".join(tight.children("gunicorn")[0].cmdline())
    for option in ("--workers=1", "--threads=6", "--timeout=77", "--graceful-timeout=25", "--log-level=warning"):
        assert f"{option} " in master
    assert "--preload" not in master
    (configuration,) = tight.temporary.glob("serve-*/nginx.conf")
    content = configuration.read_text(encoding="utf-8")
    assert "proxy_read_timeout 3s;" in content
    assert "client_max_body_size 6m;" in content
    assert tight.events() == []


def kept_connections(server: Server) -> int:
    """How many connections from nginx the workers have open, beside the sockets that they listen on."""
    sockets = [psutil.Process(worker).net_connections("unix") for worker in server.workers()]
    return sum(str(each.laddr).endswith("gunicorn.sock") for each in itertools.chain(*sockets)) - len(sockets)


def test_a_connection_to_the_only_worker_serves_many_requests(tight: Server) -> None:
    assert tight.ask("x", Content_Type="text/csv").status_code == 200
    kept = kept_connections(tight)
    assert [tight.ask("x", Content_Type="text/csv").status_code for _ in range(5)] == [200] * 5
    assert 1 <= kept_connections(tight) <= kept


def test_there_is_no_page_where_it_is_off(tight: Server) -> None:
    answer = requests.get(f"{tight.url}/", timeout=10)
    assert (answer.status_code, code_of(answer)) == (404, "not_found")


def test_the_environment_decides_the_answer_and_batch_transform_must_name_its_type_H21_B16(tight: Server) -> None:
    answer = tight.ask("a\n", Content_Type="text/csv")
    assert (answer.headers["Content-Type"], answer.text) == ("text/csv", "negative,0.40000001")
    assert tight.ask("a").status_code == 415


def test_ping_and_refusals_answer_while_every_thread_predicts_H07(tight: Server) -> None:
    with in_flight(tight, "sleep 1", times=2) as answers:
        start = time.monotonic()
        assert tight.ping() == 200
        refused = tight.ask(b"x" * 5 * MEGABYTE, Content_Type="text/csv")
        assert (refused.status_code, code_of(refused)) == (503, "server_busy")
        assert refused.headers["Retry-After"] == "1"
        assert time.monotonic() - start < 2
    assert [answer.status_code for answer in answers] == [200, 200]


def test_a_slow_answer_arrives_and_one_slower_than_nginx_waits_is_504_H12(tight: Server) -> None:
    before = tight.workers()
    assert tight.ask("sleep 2", Content_Type="text/csv").status_code == 200
    late = tight.ask("sleep 4", Content_Type="text/csv")
    assert (late.status_code, code_of(late)) == (504, "prediction_timeout")
    assert tight.workers() == before


@pytest.mark.parametrize("size", [6 * MEGABYTE + 1, 30 * MEGABYTE])
def test_a_body_over_the_limit_is_413_and_no_reset_H13_H30(tight: Server, size: int) -> None:
    answer = tight.ask(b"x" * size, Content_Type="text/csv")
    assert (answer.status_code, code_of(answer)) == (413, "payload_too_large")
    assert "6 MB" in answer.text
    assert tight.ask(b"x" * (6 * MEGABYTE), Content_Type="text/csv").status_code == 200


# --- one of two workers


def test_each_worker_answers_H32(pair: Server) -> None:
    workers = pair.workers()
    assert len(workers) == 2
    for stopped in workers:
        os.kill(stopped, signal.SIGSTOP)
        assert pair.ask("x").json()["probabilities"] == pytest.approx(probabilities("x"))
        os.kill(stopped, signal.SIGCONT)


def test_of_two_workers_either_may_take_the_next_request_so_no_connection_is_kept_H32(pair: Server) -> None:
    assert [pair.ask("x").status_code for _ in range(5)] == [200] * 5
    wait_until(lambda: kept_connections(pair) == 0)


def test_a_killed_worker_is_replaced_and_the_other_answers_meanwhile_H28(pair: Server) -> None:
    before = pair.workers()
    victim, survivor = sorted(before)
    os.kill(victim, signal.SIGKILL)
    assert any(pair.ask("x").status_code == 200 for _ in range(20))
    wait_until(lambda: pair.output().count('"event": "model_loaded"') == 3)
    assert survivor in pair.workers()
    assert len(pair.workers() - before) == 1
    assert [pair.ask("x").status_code for _ in range(5)] == [200] * 5


def loaded(server: Server) -> int:
    """How many models were loaded so far."""
    return server.output().count('"event": "model_loaded"')


def asked_at_once(server: Server, times: int = 60) -> list[int]:
    """The statuses of invocations on as many connections as both workers answer."""
    with ThreadPoolExecutor(16) as pool:
        return [answer.status_code for answer in pool.map(lambda _: server.ask("x"), range(times))]


def test_ping_is_200_when_every_worker_is_ready_and_then_no_request_is_told_to_wait_H05_H06(model: Path) -> None:
    with serving(model, TWO_WORKERS, ready=False) as running:
        wait_until(lambda: len(running.workers()) == 2)
        late = max(running.workers())
        os.kill(late, signal.SIGSTOP)
        wait_until(lambda: loaded(running) == 1)
        assert [running.ping() for _ in range(10)] == [503] * 10  # each within the two seconds of the platform
        assert code_of(running.ask("x")) == "model_loading"
        assert requests.get(f"{running.url}/execution-parameters", timeout=2).status_code == 503
        os.kill(late, signal.SIGCONT)
        wait_until(lambda: running.ping() == 200)
        assert asked_at_once(running) == [200] * 60
        assert loaded(running) == 2


def test_while_a_killed_worker_is_replaced_the_other_answers_its_share_H05_H28(model: Path) -> None:
    with serving(model, TWO_WORKERS) as running:
        victim = min(running.workers())
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: victim not in running.workers() and len(running.workers()) == 2)
        statuses = []
        while loaded(running) < 3:
            statuses += [running.ping(), *asked_at_once(running, 20)]
        assert len(statuses) > 20
        assert set(statuses) == {200}
        assert set(asked_at_once(running)) == {200}


def test_where_all_workers_are_replaced_requests_are_told_to_wait_until_all_are_ready_H06_H28(model: Path) -> None:
    with serving(model, TWO_WORKERS) as running:
        for worker in running.workers():
            os.kill(worker, signal.SIGKILL)
        wait_until(lambda: running.ping() == 503)
        answer = running.ask("x")
        assert (code_of(answer), answer.headers["Retry-After"]) == ("model_loading", "2")
        wait_until(lambda: running.ping() == 200)
        assert asked_at_once(running) == [200] * 60
        assert loaded(running) == 4


# --- ones of their own


def kill_workers_that_load(server: Server, times: int) -> None:
    """Kill this many workers, each as soon as it is there, as the kernel does when there is no memory for the model."""
    killed: set[int] = set()
    while len(killed) < times and server.process.poll() is None:
        for worker in server.workers() - killed:
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
        time.sleep(0.01)


def test_if_every_worker_is_killed_while_it_loads_the_model_it_gives_up_and_says_why_H06_H28(model: Path) -> None:
    with serving(model, ready=False) as running:
        kill_workers_that_load(running, 3)
        assert running.process.wait(PATIENCE_SECONDS) == 1
        (event,) = (event for event in running.events() if event["event"] == "workers_ended")
        assert event["times"] == 3
        assert "memory" in event["reason"]
        assert is_free(running.port)


def test_workers_that_are_killed_twice_while_they_load_the_model_are_started_again_H28(model: Path) -> None:
    with serving(model, ready=False) as running:
        for _ in range(2):  # more often than it may fail in a row, but it answers in between
            kill_workers_that_load(running, 2)
            wait_until(lambda: running.ping() == 200)
            assert running.ask("x").status_code == 200
            (worker,) = running.workers()
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: running.ping() == 503)


@pytest.mark.parametrize("prefix", [WITHOUT_RIGHTS, AS_ANOTHER_USER, ()], ids=["root", "another user", "as it is"])
def test_with_one_writable_folder_and_without_rights_it_serves_large_bodies_H14_H15_H37_S04_S05_S06(
    model: Path, prefix: tuple[str, ...], tmp_path: Path
) -> None:
    environ = {"TMPDIR": str(tmp_path), "PATH": os.environ["PATH"]}
    program = [*prefix, "sh", "-c", 'exec "$0" -c "import json"', sys.executable]
    probed = subprocess.run(program, env=environ, check=False, capture_output=True)
    if bool(prefix) != (os.geteuid() == 0) or probed.returncode:
        pytest.skip("needs root with all rights, or a Python that other users may run")
    assert subprocess.run([*prefix, "touch", str(model / "x")], env=environ, check=False).returncode != 0
    with serving(model, {"HOME": "/nonexistent"}, (*prefix, str(SERVE))) as running:
        assert running.ask(b"x" * 20 * MEGABYTE).status_code == 200
        assert running.stop() == 0
        assert list(running.temporary.iterdir()) == []


def test_a_stop_lets_requests_in_flight_finish_and_takes_no_new_ones_H27(model: Path) -> None:
    with serving(model) as running:
        with in_flight(running, "sleep 3") as answers:
            start = time.monotonic()
            running.process.terminate()
            wait_until(lambda: is_free(running.port), 2)
            assert running.process.poll() is None
            assert running.process.wait(30) == 0
            assert time.monotonic() - start < 28
        assert [answer.status_code for answer in answers] == [200]
        assert list(running.temporary.iterdir()) == []


def test_a_stop_does_not_wait_longer_than_the_platform_does_H27(model: Path) -> None:
    hurried = "import sys; from classifier.serving import program as p; p.STOP_SECONDS = 4; sys.exit(p.main())"
    environ = {"PYTHONPATH": str(SERVE.parent)}
    with serving(model, environ, (sys.executable, "-c", hurried)) as running:
        family = [*running.children("gunicorn"), *running.children("nginx")]
        with socket.create_connection(("127.0.0.1", running.port)) as connection:
            connection.sendall(b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 7\r\n\r\nsleep 9")
            time.sleep(0.7)
            assert running.stop() == 0
        # The processes of a killed group end when the kernel gets to them, not before ``serve`` has gone.
        wait_until(lambda: not any(alive(process) for process in family), 5)


def test_no_request_is_lost_on_a_connection_that_was_idle_for_as_long_as_nginx_keeps_it_H28(model: Path) -> None:
    """Requests come when connections are about to end, also while nginx is held up, and so sees both at once."""
    hasty = "import sys; from classifier.serving import program as p; p.IDLE_SECONDS = 1; sys.exit(p.main())"
    environ = {"PYTHONPATH": str(SERVE.parent)}
    with serving(model, environ, (sys.executable, "-c", hasty)) as running, requests.Session() as session:
        nginx = running.children("nginx")[1]

        def ask(pause: float) -> int:
            time.sleep(pause)
            return session.post(f"{running.url}/invocations", data="x", timeout=PATIENCE_SECONDS).status_code

        assert [ask(pause) for pause in (0, 0.98, 0.99, 1.0, 1.01, 1.02)] == [200] * 6
        with ThreadPoolExecutor(1) as pool:
            time.sleep(0.7)
            nginx.suspend()
            answer = pool.submit(ask, 0)
            time.sleep(1.8)
            nginx.resume()
            assert answer.result() == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_answers_503_while_the_model_loads_and_stops_at_once_when_told_H06_H27(
    model: Path, number: signal.Signals
) -> None:
    with serving(model, ready=False) as running:
        wait_until(lambda: running.ping() == 503)
        answer = running.ask("x")
        assert (answer.status_code, code_of(answer)) == (503, "model_loading")
        start = time.monotonic()
        assert running.stop(number) == 0
        assert time.monotonic() - start < 10


@pytest.mark.parametrize("name", ["gunicorn", "nginx"])
def test_it_ends_with_an_error_when_a_master_is_killed_and_can_start_again_H28(model: Path, name: str) -> None:
    with serving(model, ready=False) as running:
        wait_until(lambda: running.ping() == 503)
        family = [*running.children("gunicorn"), *running.children("nginx")]
        running.children(name)[0].kill()
        assert running.process.wait(10) == 1
        assert f'"event": "process_ended", "program": "{name}"' in running.output()
        assert is_free(running.port)
        wait_until(lambda: not any(alive(process) for process in family), 5)
        with serving(model, {"TMPDIR": str(running.temporary)}, ready=False) as again:
            wait_until(lambda: again.ping() == 503)


def alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def test_a_model_that_does_not_load_never_pings_and_ends_the_program_with_an_error_H08(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "1").mkdir(parents=True)
    (folder / "manifest.json").write_text('{"format_version": 1}')
    (folder / "labels_info.json").write_text('{"labels": ["a", "b"]}')
    (folder / "golden.json").write_text(json.dumps({"probes": [[0.5, 0.5]] * 5}))
    (folder / "1" / "saved_model.pb").write_bytes(b"not a model")
    with serving(folder, ready=False) as running:
        statuses = set()
        while running.process.poll() is None:
            statuses.add(running.ping())
        assert 200 not in statuses
        assert running.process.returncode == 1
        log = running.output()
    assert log.count('"event": "model_refused"') == 1
    assert "the SavedModel does not load" in log
    assert "Traceback" not in log


@pytest.mark.parametrize(
    ("environ", "reason"),
    [
        ({"CLASSIFIER_BASE_DIR": "/nonexistent"}, "/nonexistent/model: no model"),
        ({"TMPDIR": "/nonexistent"}, "environment variable TMPDIR: must name a writable folder"),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "environment variable SAGEMAKER_BIND_TO_PORT: must be"),
        ({"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/html"}, "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: must be one of"),
    ],
)
def test_a_missing_model_or_a_wrong_setting_is_one_line_and_an_error_H15_H30(
    model: Path, environ: dict[str, str], reason: str
) -> None:
    with serving(model, environ, ready=False) as running:
        assert running.process.wait(20) == 1
        (line,) = running.output().splitlines()
    assert '"level": "error", "event": "serve_refused"' in line
    assert reason in line


def test_a_taken_port_ends_the_program_with_an_error(model: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        environ = {"SAGEMAKER_BIND_TO_PORT": str(taken.getsockname()[1])}
        with serving(model, environ, ready=False) as running:
            assert running.process.wait(20) == 1
            assert "Address already in use" in running.output()


def test_it_works_through_a_link_from_anywhere_with_its_python_on_the_path_H01(tmp_path: Path) -> None:
    link = tmp_path / "serve"
    link.symlink_to(SERVE)
    environ = {"PATH": os.environ["PATH"], "CLASSIFIER_BASE_DIR": str(tmp_path)}
    done = subprocess.run([str(link)], env=environ, cwd=tmp_path, check=False, capture_output=True, timeout=20)
    assert done.returncode == 1
    assert b"no model" in done.stdout
