# Every target works on a fresh machine that has Python 3.11: the environment is made on the way.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo smollm2 serve test test-long test-tasks check audit sbom dist fuzz pin help bench-assembly bench-distillation bench-memory bench-publishing \
	bench-quality bench-recipes bench-play bench-pages bench-scale chaos chaos-kills chaos-catalog screenshots lock format clean

demo: $(READY)  ## distil the small teacher, serve every size, show the table
	$(BIN)/boomerang demo

serve: $(READY)  ## keep the demo's service and its dashboard running, and have its sizes tried
	BOOMERANG_HOME=.demo BOOMERANG_MODELS=examples BOOMERANG_PLAY=true $(BIN)/boomerang serve

test: $(READY)  ## the tests, but for the long ones
	$(BIN)/pytest -n 2 --dist worksteal

test-long: $(READY)  ## the tests that are too long for every run
	BOOMERANG_TEST_EXAMPLES=120 $(BIN)/pytest -n 2 --dist worksteal -m long

test-tasks: $(READY)-tasks  ## the tests that need lm-eval, which is 450 MB
	$(BIN)/pytest tests/quality/tasks/test_tasks.py

check: $(READY)  ## format, lint, types, and who may import whom
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench-assembly: $(READY)  ## what making one size costs, beside cp, nginx, mergekit, transformers
	$(BIN)/python -m benchmarks.assembly

bench-distillation: $(READY)  ## speed, memory and loss beside a plain loop of the published method
	$(BIN)/python -m benchmarks.distillation

bench-memory: $(READY)  ## the memory that is estimated beside measured peaks, in eleven shapes
	$(BIN)/python -m benchmarks.distillation.memory

bench-publishing: $(READY)  ## bytes, memory and kills of publishing to a local Hub: an hour and 40 GB
	$(BIN)/python -m benchmarks.publishing $(PUBLISHING)

bench-recipes: $(READY)  ## recipes at equal time on the small teacher: hours
	$(BIN)/python -m benchmarks.recipes

bench-pages: $(READY)  ## how fast the home page is with many families, and what open tabs cost: 3 minutes
	$(BIN)/python -m benchmarks.pages

bench-scale: $(READY)  ## many trainers, many downloads, a simulated team, a large catalog: an hour or more
	$(BIN)/python -m benchmarks.scale $(SCALE)

bench-play: $(READY)  ## sizes of one pair in memory beside each of them loaded alone: speed, memory, text
	$(BIN)/python -m benchmarks.play $(PLAY)

bench-quality: $(READY)-examples  ## every size beside pruning, own students, the published recipe: hours
	$(BIN)/python -m benchmarks.quality
	$(BIN)/python -m benchmarks.teachers

smollm2: $(READY)-examples  ## a real teacher and text for it, in build/teachers: 3 minutes
	$(BIN)/python examples/smollm2/make_teacher.py build/teachers
	$(BIN)/python examples/smollm2/make_text.py build/teachers

chaos: $(READY)  ## the whole service under 200 faults of a seed, with clients meanwhile: 15 minutes
	$(BIN)/python -m benchmarks.chaos $(CHAOS)

chaos-kills: $(READY)  ## children of `boomerang serve` killed at random while it distils: ten seeds, half an hour
	$(BIN)/python -m benchmarks.chaos.kills $(CHAOS)

chaos-catalog: $(READY)  ## random interleavings of workers over the catalog, and every mutation of it
	BOOMERANG_TEST_INTERLEAVINGS=20 $(BIN)/pytest -n 2 tests/interleavings/test_interleavings.py

fuzz: $(READY)  ## ten thousand generated requests, right and wrong, against what /openapi.json says
	$(BIN)/python -m benchmarks.fuzz $(FUZZ)

audit: $(READY)  ## flaws of our own code (bandit), and of what the locks name (where advisories can be reached)
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive boomerang app workers
	$(BIN)/python -m tools.audit

sbom: $(READY)  ## build/sbom.json: what is installed, its licences and what needs what (CycloneDX)
	mkdir -p build
	$(BIN)/cyclonedx-py environment $(BIN)/python --pyproject pyproject.toml --output-reproducible \
		--validate --output-file build/sbom.json

dist: $(READY)  ## build sdist and wheel in dist/, and try the wheel in an environment of its own
	$(BIN)/python -m tools.dist

pin: $(READY)  ## write the digests of the images that are built from or run, where registries answer
	$(BIN)/python -m tools.pin

format: $(READY)  ## format, and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# pip, because it takes the build of torch that fits the machine: see docs/decisions/project/lock.md.
$(READY): pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(READY)-tasks: $(READY) requirements-tasks.lock
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --requirement requirements-tasks.lock
	touch $@

$(READY)-examples: $(READY) requirements-examples.lock
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --requirement requirements-examples.lock
	touch $@

screenshots: $(READY)  ## pictures of every page, of families that are made up, into docs/images/pages
	$(BIN)/python -m tools.screenshots

lock:  ## write all locks anew from pyproject.toml; two have what only tasks and examples need
	$(PYTHON) -m venv .lock-venv
	.lock-venv/bin/python -m pip install --quiet torch==2.13.0
	.lock-venv/bin/python -m pip install --quiet '.[dev]' 'setuptools>=77' wheel
	.lock-venv/bin/python -m pip freeze --all --exclude boomerang --exclude pip | sed 's/+cpu$$//' > requirements.lock
	.lock-venv/bin/python -m pip install --quiet --constraint requirements.lock '.[tasks-dev]'
	.lock-venv/bin/python -m pip freeze --all --exclude boomerang --exclude pip | sed 's/+cpu$$//' \
		| grep -vxFf requirements.lock > requirements-tasks.lock
	$(PYTHON) -m venv --clear .lock-venv
	.lock-venv/bin/python -m pip install --quiet --constraint requirements.lock torch==2.13.0
	.lock-venv/bin/python -m pip install --quiet --constraint requirements.lock '.[dev,examples]' 'setuptools>=77' wheel
	.lock-venv/bin/python -m pip freeze --all --exclude boomerang --exclude pip | sed 's/+cpu$$//' \
		| grep -vxFf requirements.lock > requirements-examples.lock
	rm -rf .lock-venv

clean:  ## remove the environment and everything that was built or run
	rm -rf $(VENV) .bench .demo build dist *.egg-info

help:  ## these targets
	@sed -n 's/^\([a-z0-9-]*\):.*  ## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20
