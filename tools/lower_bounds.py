"""Print the lower bounds of pyproject.toml as constraints for pip: `name>=1.2` as `name==1.2`.

Usage: python tools/lower_bounds.py [EXTRA ...]; without extras, those of the dependencies alone.
"""

import sys
import tomllib
from pathlib import Path


def main(extras):
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    groups = [project["dependencies"], *(project["optional-dependencies"][name] for name in extras)]
    for requirement in sorted(line for group in groups for line in group):
        if ">=" in requirement:
            print(requirement.replace(">=", "=="))


if __name__ == "__main__":
    main(sys.argv[1:])
