# The words of the project. CI says the same ones: see .ci/run. `just` alone lists them.
# Without just, the line under a word is the command.

default:
    @just --list

# Everything for work on FARO, into the active environment
setup:
    python -m pip install -c constraints.txt -e '.[test,dev]'

# The tests, as in the README
test *ARGS:
    python -m pytest {{ARGS}}

# All tests, the long ones too, with coverage
coverage:
    python -m pytest -m 'long or not long' --cov --cov-report=term

# Lint, format, types on two platforms, layers
gates:
    bash .ci/gates

# Put the code into its format, and mend what ruff can mend
fix:
    python -m ruff check --fix .
    python -m ruff format .

# A whole feedback experiment on the simulated microscope
demo *ARGS:
    python -m faro demo {{ARGS}}

# One benchmark by its name in benchmarks/, for example: just bench import_time
bench NAME *ARGS:
    python benchmarks/{{NAME}}.py {{ARGS}}

# All of CI, or some of its stages, for example: just ci dev gates
ci *STAGES:
    bash .ci/run {{STAGES}}

# Pin anew what '.[test,dev,docs]' takes today; run it with the oldest Python we support
pin:
    python .ci/pin.py
