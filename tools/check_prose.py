"""Find phrases that this project avoids, in Markdown files, docstrings, messages and comments.

Usage: python tools/check_prose.py [FILE ...]; without files, all documents and Python code.
codespell checks the spelling.
"""

import re
import sys
import tokenize
from pathlib import Path

RULES = {
    r"(?<!there )\b(?:is|are|was|were)\s+no\s+(?!longer\b|more\b|less\b|better\b|worse\b)\w+": (
        'write "is not a"'
    ),
    r",\s+too\b(?!\s+\w)": 'write "also" before the verb',
    r"\bof\s+(?:its|his|her|their)\s+own\b": "leave it out",
    r"\bfor\s+(?:his|her)\s+own\b": "leave it out",
    r"\banew\b": 'write "again"',
    r"\bin\s+place\s+of\b": 'write "instead of"',
    r"\bmend(?:s|ed|ing)?\b": 'write "fix"',
}
DOCUMENTS = ["*.md", "docs/**/*.md", "docs/**/*.rst", "benchmarks/*.md", "benchmarks/pages/**/*.md"]
FOLDERS = ["sklenet", "tests", "benchmarks", "examples", "docs", "tools"]


def prose(path):
    """Return the prose of a file, each word on the line that it has there."""
    if path.suffix != ".py":
        text = re.sub(
            r"```.*?```", lambda code: "\n" * code[0].count("\n"), path.read_text(), flags=re.S
        )
    else:
        with tokenize.open(path) as file:
            tokens = list(tokenize.generate_tokens(file.readline))
        lines = [""] * (tokens[-1].end[0] + 1)
        for token in tokens:
            if tokenize.tok_name[token.type] in {"COMMENT", "STRING", "FSTRING_MIDDLE"}:
                for number, line in enumerate(token.string.splitlines(), token.start[0]):
                    lines[number - 1] += line.strip("# \"'") + " | "
        text = "\n".join(line.removesuffix(" | ") for line in lines)
    return re.sub(r"`[^`\n]+`", "code", text)


def main(names):
    patterns = DOCUMENTS + [f"{folder}/**/*.py" for folder in FOLDERS]
    found = [path for pattern in patterns for path in sorted(Path().glob(pattern))]
    n_hits = 0
    for path in map(Path, names) if names else found:
        text = prose(path)
        for pattern, hint in RULES.items():
            for match in re.finditer(pattern, text):
                line = text.count("\n", 0, match.start()) + 1
                print(f"{path}:{line}: {' '.join(match[0].split())!r}: {hint}")
                n_hits += 1
    return n_hits > 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
