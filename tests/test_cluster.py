"""A real Ray cluster of two nodes on this machine: what is scored there is what is scored here, though a node dies."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from convsmith.data import ImageData
from convsmith.jobs.search.scores import Examiner, examined
from convsmith.jobs.studies.farm import Farm
from convsmith.supernet import T32, Supernet
from convsmith.tasks import Classify
from data_food import labelled

ray = pytest.importorskip("ray", reason="needs Ray: pip install 'convsmith[cluster]'")

# Ray's own code, on Python's newer versions.
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    # Ray gives its workers the least of the processor, and a silent node half a minute; here others work beside them.
    config = {"worker_niceness": 0, "health_check_period_ms": 500, "health_check_failure_threshold": 4}
    head = {"num_cpus": 1, "include_dashboard": False, "_system_config": config}
    made = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield made
    finally:
        ray.shutdown()
        made.shutdown()


def test_a_cluster_scores_as_this_process_does_though_a_node_dies(cluster: object) -> None:
    second = cluster.add_node(num_cpus=1)
    examiner = small_examiner()
    asked = {str(i): (T32.genes(T32.sample(random.Random(i))), 1) for i in range(16)}
    here = {name: examined(examiner, one) for name, one in asked.items()}
    assert len(set(here.values())) > 4, "children differ in their scores"

    there = {}
    with Farm(examined, examiner, cluster=cluster.address) as farm:
        for name, scores in farm(asked):
            there[name] = scores
            if len(there) == 3:
                for one in second.all_processes[ray._private.ray_constants.PROCESS_TYPE_RAYLET]:
                    os.kill(one.process.pid, signal.SIGKILL)
    assert there == here


def small_examiner() -> Examiner:
    """A supernet with weights at random, and images enough that no two children are right on the same."""
    noise = np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), np.uint8)
    images = labelled(noise, np.arange(200, dtype=np.int64) % 10)
    data = ImageData("noise", tuple("0123456789"), images, images, "the same")
    supernet = Supernet(T32, seed=0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in supernet.model.parameters():  # residual branches start at 0, and the classifier near it
            if not parameter.any():
                parameter.normal_(generator=generator)
        supernet.model.get_parameter("head.fc.weight").normal_(generator=generator)
    calibration = [torch.randn(64, 3, 32, 32, generator=generator)]
    return Examiner(supernet, data, calibration, Classify(), device=torch.device("cpu"))
