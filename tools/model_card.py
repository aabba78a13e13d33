#!/usr/bin/env python3
"""Add a training to a bundled network's card, and bundle its weights if it is kept.

    tools/model_card.py flow_bundled RUN --kept --note "why"
    tools/model_card.py flow_bundled RUN --note "failed: ..."

Writes docs/model_cards/NAME.md and .json; with --kept also rcvd/assets/NAME.safetensors, and prints
what rcvd/checkpoint_table.py has to say of the new file.
"""

import argparse
import shutil
import sys
from pathlib import Path

from rcvd.checkpoints import ASSETS
from rcvd.errors import UserError
from rcvd.training.card import NETWORKS, add_run, read_run
from rcvd.training.loop import BEST
from rcvd.weights import sha256

CARDS = Path(__file__).parents[1] / "docs/model_cards"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=NETWORKS)
    parser.add_argument("run", type=Path, help="folder of the training")
    parser.add_argument("--kept", action="store_true", help="bundle the best weights")
    parser.add_argument("--note", required=True, help="what it was for, how it went")
    options = parser.parse_args()
    try:
        card = add_run(CARDS, options.name, read_run(options.run, options.kept, options.note))
        print(card)
        if options.kept:
            file = ASSETS / f"{options.name}.safetensors"
            shutil.copyfile(options.run / BEST, file)
            print(f"{file}: sha256 {sha256(file)}, size {file.stat().st_size}")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
