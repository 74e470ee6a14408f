"""A training to be killed: ``python -m tests.contract.victim NAME FOLDER``, a checkpoint after every batch."""

import sys
from dataclasses import replace
from pathlib import Path

import torch
from tests.contract.vetted import vetted

from thresher.engine.combine import Combination
from thresher.engine.options import Options
from thresher.engine.study import Study
from thresher.testing.toy import TOY_OPTIONS, toy

OPTIONS: Options = replace(TOY_OPTIONS, epochs=6, checkpoint_minutes=0.0)


def study(name: str, folder: Path | None) -> Study:
    return Study(Combination([vetted(name)]), OPTIONS, toy(), folder=folder)


if __name__ == "__main__":
    torch.set_num_threads(1)
    study(sys.argv[1], Path(sys.argv[2])).run()
