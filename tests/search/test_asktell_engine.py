# SPDX-License-Identifier: Apache-2.0
"""The ask/tell engine: the same study on any workers, after any death, or one line and an untouched file."""
from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from random import Random

import optuna
import pytest

from mcunas.cli import explain
from mcunas.errors import InputError
from mcunas.search.asktell import cluster as cluster_module
from mcunas.search.asktell.cluster import connected
from mcunas.search.asktell.fidelity import Fidelity
from mcunas.search.asktell.storage import FILE, forget, opened
from mcunas.search.asktell.workers import Job, Workers
from tests.kills import KILLS
from tests.search.asktell_toy import DIRECTIONS, EVALUATIONS, Counted, Outcome, Toy, genotype, nsga2, searched


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Outcome]:
    """A search in this process, uninterrupted."""
    out = tmp_path_factory.mktemp("whole")
    return out, searched(out)


def same(a: Outcome, b: Outcome) -> bool:
    return a.trials == b.trials and a.front == b.front and a.nets == b.nets


def test_a_search_evaluates_as_many_networks_as_asked_and_counts_each(whole: tuple[Path, Outcome]) -> None:
    _, found = whole
    assert len(found.nets) == len({n.genotype.key for n in found.nets}) == found.spent.evaluations == EVALUATIONS
    assert found.spent.samples == 10 * EVALUATIONS and found.spent.cpu_seconds == pytest.approx(0.5 * EVALUATIONS)
    assert found.spent.lost == 0 and all(n.figures["ram_bytes"] <= 30 for n in found.nets)


def test_nothing_on_the_front_is_beaten(whole: tuple[Path, Outcome]) -> None:
    _, found = whole
    for net in found.front:
        assert not any(m.figures["accuracy"] > net.figures["accuracy"] and m.figures["cycles"] <= net.figures["cycles"]
                       for m in found.nets)


def test_a_killed_worker_costs_its_own_trial_which_is_run_again(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    Counted.packed = 0
    found = searched(tmp_path, jobs=2, evaluator=Counted(tmp_path / "killed"))
    assert (tmp_path / "killed").exists() and same(found, whole[1])
    assert found.spent.lost == 1 and found.spent.lost_seconds > 0
    assert Counted.packed == 3          # with the data: once for each process, of which there were three
    assert (found.spent.samples, found.spent.evaluations) == (whole[1].spent.samples, EVALUATIONS)


def test_a_network_that_kills_every_worker_is_left_out_and_counted(tmp_path: Path) -> None:
    jobs = [Job(k, genotype({"a.op": op, "a.width": 1, "b.op": "x", "b.width": 1}), Toy(tmp_path / "killed", always=True),
                Fidelity(), 0) for k, op in enumerate("xy")]
    begun: list[int] = []
    with Workers(2) as workers:
        found = sorted(workers.results(jobs, begun.append), key=lambda o: o.number)
    assert found[0].figures and found[0].lost == 0 and found[1].figures is None and found[1].lost == 3
    assert sorted(begun) == [0, 1, 1, 1]


def test_the_front_is_the_same_on_dask_workers_of_which_one_is_killed(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster, \
            connected(cluster.scheduler_address) as executor:
        Counted.packed = 0
        found = searched(tmp_path, executor=executor, evaluator=Counted(tmp_path / "killed"))
    assert Counted.packed == 1          # a worker that begins anew has it from the scheduler
    assert (tmp_path / "killed").exists() and same(found, whole[1])
    assert found.spent.lost == 1 and found.spent.samples == whole[1].spent.samples


def test_a_cluster_that_does_not_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(cluster_module, "TIMEOUT_S", 1)
    for address in ("tcp://127.0.0.1:9", "nonsense"):
        with pytest.raises(InputError, match="no dask scheduler answers"), connected(address):
            pass


def test_nsga2_gives_the_same_generations_when_it_resumes(tmp_path: Path) -> None:
    whole = searched(tmp_path / "whole", sampler_of=nsga2)

    def stop(done: int, of: int, figures: dict) -> None:
        if done == 7:
            raise TimeoutError

    with pytest.raises(TimeoutError):
        searched(tmp_path / "resumed", sampler_of=nsga2, progress=stop)
    assert same(searched(tmp_path / "resumed", sampler_of=nsga2), whole)


def _search_slowly(out: str) -> None:
    searched(Path(out), progress=lambda *unused: time.sleep(0.05))


def test_a_search_killed_at_any_moment_resumes_to_the_same_study(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    context, random, left = multiprocessing.get_context("forkserver"), Random(0), KILLS or 3
    for number in count():
        out = tmp_path / str(number)
        for _ in range(min(left, 3)):
            process = context.Process(target=_search_slowly, args=(str(out),))
            process.start()
            while process.is_alive() and not (out / FILE).exists():
                time.sleep(0.02)
            process.join(random.uniform(0, 0.6))
            process.kill()
            process.join()
            assert process.exitcode in (0, -signal.SIGKILL)
            left -= process.exitcode != 0
        found = searched(out)
        assert same(found, whole[1]) and found.spent.samples == whole[1].spent.samples
        if left <= 0 or not KILLS:
            break


def half_written(study: Path, into: Path) -> None:
    """Copies of a study and its journal, as a kill in the middle of a transaction leaves them."""
    writer = sqlite3.connect(study, isolation_level=None)
    for statement in ("PRAGMA cache_size=1", "BEGIN IMMEDIATE", "UPDATE trial_params SET param_value = 0",
                      "UPDATE trial_values SET value = 0", "UPDATE trials SET state = 'FAIL'"):
        writer.execute(statement)
    for end in ("", "-journal"):
        shutil.copy(f"{study}{end}", f"{into / study.name}{end}")
    writer.execute("ROLLBACK")
    writer.close()
    assert (into / study.name).read_bytes() != study.read_bytes()


def test_a_transaction_killed_half_way_is_rolled_back(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    half_written(whole[0] / FILE, tmp_path)
    assert same(searched(tmp_path), whole[1])


def test_a_journal_left_over_does_not_reach_a_new_study(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    half_written(whole[0] / FILE, tmp_path)
    shutil.copy(tmp_path / f"{FILE}-journal", tmp_path / f".{FILE}.part-journal")
    (tmp_path / FILE).unlink()
    assert same(searched(tmp_path), whole[1])
    half_written(whole[0] / FILE, tmp_path)
    forget(tmp_path)
    assert not list(tmp_path.glob(f"{FILE}*"))


@pytest.mark.parametrize("harm", ["garbage", "empty", "cut", "scratched"])
def test_a_damaged_study_is_one_line_and_stays_as_it_is(harm: str, whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    path = tmp_path / FILE
    shutil.copy(whole[0] / FILE, path)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes({"garbage": b"not a study" * 100, "empty": b"", "cut": data[:middle],
                      "scratched": data[:4096] + bytes(range(256)) * 64 + data[20480:]}[harm])
    before = path.read_bytes()
    with pytest.raises(InputError) as caught:
        searched(tmp_path)
    line, status = explain(caught.value)
    assert status == 2 and "\n" not in line and str(path) in line and "cannot use the study" in line
    assert path.read_bytes() == before
    forget(tmp_path)
    assert same(searched(tmp_path), whole[1])


def test_the_study_of_another_search_is_refused_and_stays(whole: tuple[Path, Outcome]) -> None:
    before = (whole[0] / FILE).read_bytes()
    with pytest.raises(InputError, match="belongs to a search with other settings"):
        searched(whole[0], fingerprint="another")
    assert (whole[0] / FILE).read_bytes() == before


def test_one_search_at_a_time_writes_into_a_study(tmp_path: Path) -> None:
    with opened(tmp_path, "toy", DIRECTIONS), pytest.raises(InputError, match="another process is at work"):
        searched(tmp_path)


@pytest.mark.parametrize("name", ["is it?x=1", "100 %41", "{a}", "a#b"])
def test_a_study_lies_in_its_folder_whatever_that_is_called(name: str, tmp_path: Path) -> None:
    for _ in range(2):
        with opened(tmp_path / name, "toy", DIRECTIONS) as study:
            assert study.user_attrs["fingerprint"] == "toy"
    assert [p.name for p in tmp_path.iterdir()] == [name] and (tmp_path / name / FILE).stat().st_size


def test_any_optuna_storage_holds_a_study_by_its_url(whole: tuple[Path, Outcome], tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    assert same(searched(tmp_path / "a", url=url), whole[1])
    assert same(searched(tmp_path / "b", url=url, fingerprint="toy"), whole[1])      # found there, finished
    searched(tmp_path / "c", url=url, fingerprint="another", seed=1)
    assert len(optuna.get_all_study_names(url)) == 2 and not (tmp_path / "a" / FILE).exists()
    with pytest.raises(InputError, match="cannot use the study"):
        searched(tmp_path, url="sqlite:////nowhere/at/all.db")


def test_workers_end_when_their_driver_is_killed(tmp_path: Path) -> None:
    program = ("import sys, time\nfrom pathlib import Path\nfrom tests.search.asktell_toy import searched\n"
               "if __name__ == '__main__':\n    searched(Path(sys.argv[1]), jobs=2, "
               "progress=lambda *unused: (print('on', flush=True), time.sleep(60)))\n")
    (tmp_path / "driver.py").write_text(program)
    driver = subprocess.Popen([sys.executable, str(tmp_path / "driver.py"), str(tmp_path)], stdout=subprocess.PIPE,
                              env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    driver.stdout.readline()
    workers = subprocess.run(["ps", "--ppid", str(driver.pid), "-o", "pid="], capture_output=True, text=True).stdout.split()
    assert len(workers) >= 2
    driver.kill()
    driver.wait()
    until = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
