"""The benchmarks: what is made of figures, and that the parts which measure see what is there."""

import http.server
import json
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from serving_helpers import model_folder

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import bare
import batch_rows
import growth
import growth_tables
import images
import kit
import machine
import tables
import targets
from growth import Point
from kit import Record, Rows
from load import wrk
from report import PAGE, WRITERS
from servers import Contender
from start import running
from targets import FLASKS, Target, at, of
from training_jobs import told

needs_wrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
# Answers well to all, once it has waited a moment; or ends with a word.
STUB = """
import http.server, os, sys, time

if sys.argv[1] == "ends":
    sys.exit("it lacks a thing\\nwhich /nobody/has")


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


time.sleep(0.3)
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
"""


def served(turn: int, who: str, speed: float, p99: float = 1.0) -> Record:
    load = {"requests": 9, "requests_per_second": speed, "p50_ms": 1.0, "p99_ms": p99, "cpu_seconds_per_1000": 1.0}
    levels = {count: {**load, "memory_bytes": 2**20, "refused": 0, "broken": 0} for count in ("1", "8", "32")}
    return {"round": turn, "who": who, "levels": levels, "setup": {}}


def looped(turn: int, who: str, speed: float, equal: float) -> Record:
    return {"round": turn, "who": who, "texts_per_second": speed, "labels_equal": equal}


SPEED = Target("speed", "ours", FLASKS, at(8, "requests_per_second"), 3.0, more_is_better=True)


def test_a_ratio_is_of_one_round_and_the_better_of_the_peers_settings_counts() -> None:
    records = [
        *(served(1, "flask", 10), served(1, "flask-1-thread", 20), served(1, "ours", 80)),
        *(served(2, "flask", 40), served(2, "flask-1-thread", 30), served(2, "ours", 80)),
        *(served(3, "ours", 1000), {"round": 3, "who": "flask", "refused": "no"}),
    ]
    assert targets.ratios(records, SPEED) == [4.0, 2.0]
    slowness = Target("p99", "ours", FLASKS, at(8, "p99_ms"))
    assert targets.ratios([served(1, "flask", 1, 8), served(1, "flask-1-thread", 1, 4), *records[2:3]], slowness) == [
        0.25
    ]


def test_a_load_that_nothing_answered_gives_no_figure() -> None:
    nothing = served(1, "flask", 0, 0)
    nothing["levels"]["8"]["requests"] = 0
    assert targets.ratios([nothing, served(1, "ours", 80)], SPEED) == []


def test_a_loop_that_changes_labels_is_no_limit() -> None:
    records = [looped(1, "bare-a", 100, 1.0), looped(1, "bare-b", 400, 0.99), served(1, "ours", 80)]
    limit = Target("limit", "ours", ("bare-",), at(32, "requests_per_second"), more_is_better=True)
    assert targets.ratios(records, limit) == [0.8]


def test_every_target_of_a_round_of_servers_and_loops_is_told() -> None:
    records = [served(1, "flask", 10), served(1, "toolkit", 5), served(1, "ours", 80)]
    for record in records:
        record |= {"ready_seconds": 2.0}
    records += [looped(1, "bare-a", 100, 1.0), looped(1, "batch", 80, 1.0)]
    lines = targets.table(records, targets.SERVING)
    assert lines[0] == "| requests/s, 8 connections, ÷ Flask's | ≥ 4.00 | 8.00 (one round) | reached |"
    assert any(line.startswith("| rows/s of `batch` ÷") and "| 0.80 (one round) | **not" in line for line in lines)
    written = tables.serving_table(records, {}), tables.bare_table(records)
    assert ["batch" in table for table in written] == [False, True]
    assert not any("not measured" in line for line in lines)


def test_the_median_of_the_rounds_says_whether_a_target_was_reached() -> None:
    assert targets.verdict([2.0, 3.1, 9.0], SPEED) == "reached"
    assert targets.verdict([2.0, 2.9, 9.0], SPEED) == "**not reached**"
    assert targets.verdict([], SPEED) == targets.NONE
    less = Target("less", "ours", FLASKS, of("seconds"), 0.5)
    assert targets.verdict([0.4], less) == "reached"
    assert targets.verdict([0.6], less) == "**not reached**"


def test_tables_name_what_failed_and_what_was_not_measured() -> None:
    failing = served(1, "ours", 1234, 5)
    failing["levels"]["1"]["refused"] = 7
    written = tables.serving_table([failing, {"round": 1, "who": "flask", "refused": "no such file"}], {"ours": "Ours"})
    assert "| Ours (7 requests failed) | 1,234, 1,234, 1,234 |" in written
    assert "| flask (not measured: no such file) | –, –, – |" in written


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_power_law_is_found(power: float) -> None:
    found = growth_tables.exponent({count: 3 * count**power for count in (10, 100, 1000)})
    assert found == pytest.approx(power)


def test_no_exponent_is_told_of_fewer_than_two_costs() -> None:
    assert growth_tables.exponent({10: 1.0, 100: 0.0}) is None


def grown(plot: str, count: int, seconds: float, **more: Any) -> Record:
    return {"round": 1, "plot": plot, "series": "head", "grown": count, "seconds": seconds, **more}


def test_what_starting_costs_is_taken_off_before_growth_is_fitted() -> None:
    records = [grown("start", 0, 10.0), grown("rows", 10, 11.0), grown("rows", 100, 20.0), grown("rows", 1000, 110.0)]
    (curve,) = growth_tables.curves(records)
    assert curve.exponent == pytest.approx(1.0)
    assert curve.last_exponent == pytest.approx(1.0)
    assert growth_tables.targets_table(records) == [
        "| exponent of seconds in rows, top layer | ≤ 1.05 | 1.00 | reached |"
    ]


def test_latency_that_grows_with_classes_does_not_pass() -> None:
    records = [
        grown("classes", count, 1.0, serving={"p50_ms": p50, "p99_ms": 9.0}) for count, p50 in ((2, 1.0), (1000, 1.3))
    ]
    assert growth_tables.targets_table(records) == [
        "| p50 with 1,000 classes ÷ with 2 | ≤ 1.20 | 1.30 | **not reached** |"
    ]


def test_results_of_another_setup_are_kept_apart(tmp_path: Path) -> None:
    path = tmp_path / "some" / "results.jsonl"
    for number, setup in enumerate(({"seconds": 2}, {"seconds": 10}, {"seconds": 2}, {"seconds": 10})):
        kit.add(path, {"setup": setup, "number": number})
    assert [record["number"] for record in kit.of_setup(path, {"seconds": 2})] == [0, 2]
    assert [record["number"] for record in kit.newest(path)] == [1, 3]
    assert kit.newest(tmp_path / "none.jsonl") == []


def refuse(reason: str) -> None:
    raise ValueError(reason)


def test_a_refusal_is_told_by_its_last_line_without_this_machines_folders() -> None:
    record: Record = {}
    with kit.refusals(record):
        refuse(f"much\n{kit.ROOT}/build/x is missing\n")
    assert record == {"refused": "/build/x is missing"}


def test_what_a_job_logs_of_its_speed_and_accuracy_is_read() -> None:
    log = (
        "INFO event=epoch epoch=1/2 loss=0.4 examples_per_second=100.0 val_loss=0.3 seconds=1.0\n"
        "INFO event=epoch epoch=2/2 loss=0.4 examples_per_second=50.0 val_loss=0.3 seconds=2.0\n"
        "INFO event=test rows=8 test_accuracy=0.875000 test_macro_f1=0.8\n"
    )
    found = told(log)
    assert found == {"examples_per_second": pytest.approx(2 / (1 / 100 + 1 / 50)), "accuracy": 0.875}
    assert told("") == {}


def test_texts_that_are_made_have_as_many_words_as_tokens_and_every_class(monkeypatch: pytest.MonkeyPatch) -> None:
    sentences = Rows([0, 1], ["a b c d e f", "g h"])
    monkeypatch.setattr(growth, "sst2", lambda _part: sentences)
    rows = growth.made(Point("tokens", "head", rows=50, tokens=7, classes=5))
    assert {len(text.split()) for text in rows.texts} == {7}
    assert set(rows.labels) == set(range(5))
    assert rows == growth.made(Point("tokens", "head", rows=50, tokens=7, classes=5))
    two = growth.made(Point("rows", "head", rows=50, tokens=3))
    assert all((text[0] == "a") == (label == 0) for label, text in zip(two.labels, two.texts, strict=True))


def test_points_of_one_curve_differ_in_what_grows() -> None:
    names = [point.name for point in growth.POINTS]
    assert len(set(names)) == len(names)
    assert {point.plot for point in growth.POINTS} == {"start", *growth_tables.PLOTS}


def lengths_seen(seen: list[list[int]]) -> Callable[[Sequence[str]], Any]:
    """Return what computes the lengths of a batch's texts, and notes each batch."""

    def compute(batch: Sequence[str]) -> Any:
        seen.append([len(text) for text in batch])
        return np.array(seen[-1])

    return compute


def test_a_loop_computes_every_text_once_a_pass_in_batches_of_like_lengths(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "SECONDS", 0.0)
    seen: list[list[int]] = []
    texts = ["x" * (37 * number % 64 + 1) for number in range(64)]
    _, labels = bare.speed(bare.Engine(list, len, lengths_seen(seen)), texts, at_once=1)
    assert labels == [len(text) for text in texts]
    assert seen == [list(range(1, 33)), list(range(33, 65))]


@pytest.mark.slow  # it loads TensorFlow
def test_batch_is_asked_for_its_speed_and_labels() -> None:
    found = batch_rows.predicted(model_folder(), ["a", "some words"], ["neutral, or so", "negative"])
    assert found["texts_per_second"] > 0
    assert found["labels_equal"] == 0.5


def test_a_loop_over_packed_texts_fills_every_pack_in_the_order_of_the_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare, "SECONDS", 0.0)
    seen: list[list[int]] = []
    lengths = [200, 300, 12, 1, 500, 12, 600, 3]
    _, labels = bare.speed(
        bare.Engine(list, len, lengths_seen(seen), packs=True), ["x" * each for each in lengths], at_once=1
    )
    assert labels == lengths
    assert seen == [[200, 300, 12], [1, 500], [12], [600], [3]]


def test_the_share_of_equal_labels_is_of_those_that_were_asked() -> None:
    assert bare.share_equal(["a", "b"], ["a", "c", "d"]) == 0.5


def test_the_machine_is_told_by_what_matters(tmp_path: Path) -> None:
    information = tmp_path / "cpuinfo"
    flags = "fpu avx2 avx512f avx512_bf16 secret"
    information.write_text(f"cpu family\t: 26\nmodel name\t: Some CPU\nflags\t\t: {flags}\n", encoding="utf-8")
    assert machine.describe(information).startswith("Some CPU (family 26), avx2 avx512f avx512_bf16, ")


def test_the_most_memory_of_a_child_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "SAMPLE_SECONDS", 0.05)
    program = "import time; kept = b'x' * 50_000_000; time.sleep(1)"
    with machine.most_memory() as most, psutil.Popen([sys.executable, "-c", program]) as child:
        child.wait()
    assert 50_000_000 < most[0] < 100_000_000


def test_a_server_is_timed_until_it_is_ready_and_gone_afterwards(tmp_path: Path) -> None:
    contender = stub(tmp_path, "serves")
    with running(contender, tmp_path) as started:
        assert 0.3 < started.ready_seconds < 20
        assert started.server.port < 32_768
        processes = started.server.family()
    assert processes
    assert not any(process.is_running() for process in processes)


def test_a_server_that_ends_is_told_by_its_last_word(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^which /nobody/has$"), running(stub(tmp_path, "ends"), tmp_path):
        pass
    absent = Contender("absent", "", (str(tmp_path / "absent"),))
    with pytest.raises(ValueError, match=r"bench/setup\.sh"), running(absent, tmp_path):
        pass


def stub(folder: Path, manner: str) -> Contender:
    program = folder / "stub.py"
    program.write_text(STUB, encoding="utf-8")
    return Contender("stub", "a stub", (sys.executable, str(program), manner))


@contextmanager
def listening(status: int) -> Iterator[tuple[int, list[bytes]]]:
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(0.01)
            self.send_response(status if self.headers["Content-Type"] == "application/x-text" else 500)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1], bodies
        server.shutdown()


@needs_wrk
@pytest.mark.parametrize(("status", "all_refused"), [(200, False), (503, True)])
def test_wrk_asks_the_texts_in_turn_and_counts_what_is_refused(tmp_path: Path, status: int, all_refused: bool) -> None:
    texts = [f"text {number}" for number in range(5)]
    (tmp_path / "bodies").write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    with listening(status) as (port, bodies):
        found = wrk(port, tmp_path / "bodies", "application/x-text", connections=1, seconds=1)
    # wrk takes the first for itself, to see how long a request is.
    assert [body.decode() for body in bodies[:10]] == [*texts[1:], *texts, texts[0]]
    assert 0 < found["requests"] <= len(bodies)
    assert found["refused"] == (found["requests"] if all_refused else 0)
    assert found["broken"] == 0
    assert 10 <= found["p50_ms"] <= found["p99_ms"] < 1000


def test_every_part_has_its_place_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for name in WRITERS:
        for part in (name, f"{name}-gpu"):
            assert page.count(f"<!-- {part} -->\n") == page.count(f"<!-- /{part} -->") == 1


def test_servers_of_images_are_sent_the_same_image_and_their_labels_are_found() -> None:
    servers = images.servers()
    assert {name.partition("-")[0] for name in servers} == {"flask", "ours"}
    answers = {"flask": b'[{"label": "rose", "score": 0.9}]', "ours": b'{"predicted_label": "rose", "labels": []}'}
    for name, server in servers.items():
        assert list(json.loads(server.body("aGVsbG8=")).values()) == ["aGVsbG8="]
        assert server.content_type == "application/json"
        assert server.label(answers[name.partition("-")[0]]) == "rose"
    assert servers["flask-1-thread"].environ == {"OMP_NUM_THREADS": "1", "BENCH_APP": "flask_images:app"}


def test_the_last_line_of_json_is_what_a_program_found() -> None:
    assert kit.last_json('noise\n{"a": 1}\n' + json.dumps({"b": 2}) + "\nmore noise") == {"b": 2}
    with pytest.raises(ValueError, match="no result"):
        kit.last_json("noise")
