"""Copies a finished run into the package, where `from_pretrained("gentwin/<name>")` finds it.

The shipped checkpoints were made by:

    make checkpoints
"""

import os
import re
import shutil
from pathlib import Path
from typing import Annotated

import typer
import yaml

CHECKPOINTS = Path(__file__).resolve().parent.parent / "gentwin" / "checkpoints"
FILES = ("README.md", "checksums.json", "config.json", "metrics.json", "model.safetensors", "training_arguments.yaml")
TOKENIZER = ("tokenizer_config.json", "vocabulary.json")  # of message twins


def main(
    run: Annotated[Path, typer.Argument(help="Output folder of recipes/train_twin.py.")],
    name: Annotated[str, typer.Argument(help="Name under gentwin/.")],
) -> None:
    """Copy the checkpoint, card, metrics and plots of RUN to gentwin/NAME; not the state of its training."""
    missing = [file for file in FILES if not (run / file).exists()]
    if missing:
        raise typer.BadParameter(
            f"`run` must be a finished run, got {run} without {', '.join(missing)}; train it first."
        )
    for key, value in yaml.safe_load((run / "training_arguments.yaml").read_text(encoding="utf-8")).items():
        if any(os.path.isabs(str(item)) for item in (value if isinstance(value, list) else [value])):
            raise typer.BadParameter(
                f"`run` must name no path of this machine, got `{key}` {value!r}; train it with relative paths."
            )
    destination = CHECKPOINTS / name
    shutil.rmtree(destination, ignore_errors=True)
    shutil.copytree(run / "plots", destination / "plots")
    for file in (*FILES, *(file for file in TOKENIZER if (run / file).exists())):
        shutil.copyfile(run / file, destination / file)
    card = destination / "README.md"
    text = card.read_text(encoding="utf-8").replace(
        f'from_pretrained("{run.as_posix()}")', f'from_pretrained("gentwin/{name}")'
    )
    card.write_text(re.sub(r"^# .*$", f"# gentwin/{name}", text, count=1, flags=re.MULTILINE), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
