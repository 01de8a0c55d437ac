"""Run by torchrun in two processes: a whole run, one that is stopped in one process only, and one that goes on from it.

Arguments: data folder, output folder. Rank 0 writes result.json. Afterwards it trains once more, alone.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import torch

from training.distill import processes
from training.distill.config import TrainConfig
from training.distill.finish import finish
from training.distill.log import RunLog
from training.distill.trainer import Trainer


def stop_rank_1_at(iteration: int) -> None:
    add = RunLog.add

    def add_and_stop(log: RunLog, values: Any) -> None:
        add(log, values)
        if processes.rank() == 1 and log.counts["step_s"] == iteration:
            os.kill(os.getpid(), signal.SIGTERM)

    RunLog.add = add_and_stop  # type: ignore[method-assign]


def main(data: str, out: Path) -> None:
    config = TrainConfig.model_validate(
        {
            "name": "two",
            "sources": [{"annotations": data}],
            "validation": {"sources": [{"annotations": data, "limit": 3}], "downsample": [1]},
            "stages": [{"until": 1, "size": (96, 64), "batch_size": 4}],
            "iterations": 4,
            "num_workers": 0,
            "threads": 1,
        }
    )
    logged = config.model_copy(update={"log_every": 1})
    with processes.process_group("cpu"):
        whole = Trainer(logged, out / "whole")
        finished = whole.train()
        average = {key: value.clone() for key, value in whole.average.model.state_dict().items()}
        weights = torch.cat([value.flatten().double() for value in whole.student.parameters()]).sum().item()
        card = finish(whole)
        add = RunLog.add
        stop_rank_1_at(2)
        stopped = Trainer(config, out / "stopped")
        stopped_early = not stopped.train()
        RunLog.add = add  # type: ignore[method-assign]
        resumed = Trainer(config, out / "stopped", resume=True)
        resumed.train()
        if processes.is_main():
            same = {k: torch.equal(v, average[k]) for k, v in resumed.average.model.state_dict().items()}
            result = {
                "finished": finished,
                "stopped_at": stopped.iteration,
                "stopped_early": stopped_early,
                "different": [key for key, value in same.items() if not value],
                "images": whole.position,
                "validation": card["metrics"]["validation"],
            }
        sums = processes.gather(weights)
        if processes.is_main():
            (out / "result.json").write_text(json.dumps({**result, "weights_of_ranks": sums}))
    if os.environ["RANK"] == "0":
        Trainer(logged, out / "alone").train()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
