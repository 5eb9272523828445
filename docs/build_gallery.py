"""Make the gallery: every figure of ``sgdlimits list`` by ``sgdlimits reproduce``, and its page.

    python docs/build_gallery.py            # what is missing, in the quick form
    python docs/build_gallery.py --force    # everything again
    python docs/build_gallery.py --full     # the papers' own sizes
    python docs/build_gallery.py bgj-1      # some figures only

Writes docs/gallery/ID/ (figure, checks, data); the site makes a page of each by ``page``. Figures
and their checks are kept in git, because all of them together take more than half an hour; whoever
changes what a figure shows makes it again.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from sgdlimits.reproduce.captions import CAPTIONS
from sgdlimits.reproduce.registry import ENTRIES, Entry
from sgdlimits.reproduce.symbols import symbols

GALLERY = Path(__file__).parent / "gallery"


def is_made(identifier: str) -> bool:
    """Whether the figure and its checks are there."""
    folder = GALLERY / identifier
    return all((folder / name).is_file() for name in ("figure.png", "checks.md"))


def reproduce(identifier: str, size: str) -> bool:
    """Run ``sgdlimits reproduce`` into the gallery; False if it failed or a check did."""
    if not (GALLERY / identifier / "reproduction.json").exists():
        shutil.rmtree(GALLERY / identifier, ignore_errors=True)  # nothing there to resume
    command = [sys.executable, "-c", "from sgdlimits.cli import main; main()"]
    command += ["reproduce", identifier, size, "--out", str(GALLERY / identifier)]
    print(f"== sgdlimits reproduce {identifier} {size}", flush=True)
    return subprocess.run(command, check=False).returncode == 0


def page(entry: Entry) -> str:
    """The figure's page: title, picture, caption, then checks.md without its own heading."""
    checks = (GALLERY / entry.id / "checks.md").read_text(encoding="utf-8")
    body = "\n".join(line for line in checks.splitlines() if not line.startswith("# "))
    body = body.replace(f"{entry.title}.", "", 1).strip()
    rows = [symbols(line) if line.startswith("|") else line for line in body.splitlines()]
    body, title, caption = "\n".join(rows), symbols(entry.title), CAPTIONS[entry.id]
    return (
        f"---\ntitle: {entry.id}, {caption.name}\n---\n\n# {title}\n\n"
        f"![{entry.title}]({entry.id}/figure.png)\n\n*{symbols(caption.text)}*\n\n{body}\n\n"
        "A check passes when theory and simulation differ by less than the rule in its last column "
        "allows; *within stated bias* means that noise alone would not explain the difference, and "
        "that the rule says how much theory leaves out and why.\n\n"
        "To make this page's figure yourself:\n\n"
        f"```bash\nsgdlimits reproduce {entry.id} --quick --out {entry.id}\n```\n\n"
        "and with the paper's own sizes:\n\n"
        f"```bash\nsgdlimits reproduce {entry.id} --full --out {entry.id}-full\n```\n"
    )


def main() -> int:
    """Build what is asked for; exit status 1 if a figure failed or one of its checks did."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids", nargs="*", metavar="ID", help="figures; default: all")
    parser.add_argument("--force", action="store_true", help="make again what is there")
    parser.add_argument("--full", action="store_true", help="the papers' own sizes")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.ids) - ENTRIES.keys())
    if unknown:
        parser.error(f"unknown {', '.join(unknown)}; expected some of {', '.join(ENTRIES)}")
    failed = []
    for identifier in arguments.ids or ENTRIES:
        if arguments.force:
            shutil.rmtree(GALLERY / identifier, ignore_errors=True)
        size = "--full" if arguments.full else "--quick"
        if not is_made(identifier) and not reproduce(identifier, size):
            failed.append(identifier)
    if failed:
        print(f"failed, or with a failing check: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
