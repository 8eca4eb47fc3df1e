# SPDX-License-Identifier: Apache-2.0
# mcunas: `make help` lists the targets. BOARD, MODEL, TASK, METHOD, OPTIMIZE and OUT choose what they act on.

BOARD    ?= mps2-an386
TASK     ?= digits
METHOD   ?= diffprune
OPTIMIZE ?= balanced
ENGINE   ?= aot
# A run of one's own model is named after it; otherwise the model is what the search of TASK left.
NAME     := $(if $(MODEL),$(basename $(notdir $(MODEL))),$(TASK)-$(METHOD))
OUT      ?= runs/$(NAME)-$(basename $(notdir $(BOARD)))
MODEL    ?= $(OUT)/model.tflite
ARGS     ?=
# Recipes read these from the environment, so that names with spaces or quotes arrive whole.
export BOARD TASK METHOD OPTIMIZE ENGINE OUT MODEL PROBE PORT

# Only relative paths from here on: make cannot hold a path with spaces in a prerequisite.
PYTHON ?= python3
PY     := .venv/bin/python
MCUNAS := $(PY) -m mcunas
READY  := .venv/ready
IMPORT := .venv-import/ready
PACKAGES := gcc-arm-none-eabi libnewlib-arm-none-eabi qemu-system-arm gcc g++ libc6-dev make python3-venv python3-dev
PACKAGES += $(if $(filter test,$(MAKECMDGOALS)),clang chromium)
PACKAGES += $(if $(filter lint-c,$(MAKECMDGOALS)),cppcheck clang-tidy)
PACKAGES += $(if $(filter fuzz,$(MAKECMDGOALS)),clang libclang-rt-dev)

# A board that does not exist is said at once, before anything is installed. A file of one's own may have spaces in its name.
WORD := '$(subst ','\'',$(BOARD))'
ifeq ($(wildcard boards/$(BOARD).toml)$(shell case $(WORD) in (*.toml) [ ! -f $(WORD) ] || echo found; esac),)
BOARDS := $(sort $(basename $(notdir $(wildcard boards/*.toml))))
CLOSE  := $(shell "$(PYTHON)" -c 'import difflib, sys; print(*difflib.get_close_matches(sys.argv[1], sys.argv[2:], n=1))' \
    '$(subst ',,$(BOARD))' $(BOARDS))
$(error unknown board '$(BOARD)'$(if $(CLOSE),; did you mean $(CLOSE)?); known: $(BOARDS))
endif

.DEFAULT_GOAL := help
.PHONY: help setup setup-import tools quickstart test test-import coverage style lint lint-c fuzz mutate boards search compile firmware flash run validate compare tune profile calibrate report lock clean
.DELETE_ON_ERROR:

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'
	@echo "  for example: make BOARD=mps2-an386 MODEL=mine.tflite firmware validate"

setup: $(READY)  ## install everything (Debian packages, .venv) and do nothing else

# Debian packages: only the missing ones, and the package lists only where they are too old to know them.
tools:
	@missing=; \
	if command -v dpkg-query >/dev/null; then \
	    for package in $(PACKAGES); do \
	        dpkg-query -W -f='$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed || missing="$$missing $$package"; \
	    done; \
	fi; \
	if [ -n "$$missing" ]; then \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    apt="$$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq"; \
	    echo "installing:$$missing"; \
	    $$apt install -y --no-install-recommends $$missing >/dev/null 2>&1 || \
	    { $$apt update && $$apt install -y --no-install-recommends $$missing >/dev/null; } || exit 1; \
	fi; \
	for tool in arm-none-eabi-gcc qemu-system-arm cc; do \
	    command -v $$tool >/dev/null || { echo "error: $$tool is missing; install it with your system's packages" >&2; exit 2; }; \
	done

# The lock is installed with hashes, and as it stands: it names all that there is to install but torch, of which
# requirements-torch.txt says why it comes after it.
$(READY): requirements.lock requirements-torch.txt pyproject.toml | tools
	@"$(PYTHON)" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	{ echo "error: $(PYTHON) is not version 3.11 to 3.13; name another one: make PYTHON=python3.12 setup" >&2; exit 2; }
	@[ -x $(PY) ] || "$(PYTHON)" -m venv .venv
	@echo "installing Python packages into .venv: 1.7 GB, some minutes"
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-torch.txt
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(PY) -m pip check
	@touch $(READY)

setup-import: $(IMPORT)  ## install TensorFlow and onnx2tf for `mcunas import` (.venv-import, 1.7 GB)

# Without dependencies: tf-keras asks for tensorflow, and tensorflow-cpu does.
$(IMPORT): requirements-import.lock
	@[ -x .venv-import/bin/python ] || "$(PYTHON)" -m venv .venv-import
	.venv-import/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	    -r requirements-import.lock
	@touch $(IMPORT)

quickstart: setup  ## search, quantize, build, run in QEMU and prove it, on handwritten digits (under 5 minutes)
	@$(MCUNAS) quickstart --board "$$BOARD" $(ARGS)

test: setup style  ## install and run all tests (under 10 minutes)
	@$(PY) -m pytest -n 2 $(ARGS)

test-import: setup setup-import  ## install TensorFlow too, and test what needs it
	@$(PY) -m pytest -n 2 tests/convert/test_foreign.py tests/convert/test_writer.py $(ARGS)

# Without the tests in which the disk is full: what is measured could not be written either.
coverage: setup  ## run all tests once more and list the lines of mcunas/ that none of them runs
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -n 2 -k "not full_disk" $(ARGS)
	@$(PY) -m coverage combine -q
	@$(PY) -m coverage report --fail-under 90

style: setup
	@$(PY) -m ruff check .

lint: setup style  ## style and types
	@$(PY) -m mypy --cache-dir build/mypy

lint-c: setup  ## the firmware and a generated model under cppcheck and clang-tidy
	@$(PY) -m tests.lint_c

fuzz: setup  ## whatever reads bytes of others, for a minute (ARGS="--runs 250000 --keep" for the long run)
	@$(PY) -m tests.fuzz.run $(ARGS)

mutate: setup  ## small changes to the planner and the arithmetic, of which each has to fail a test
	@[ -x build/mutmut/bin/python ] || $(PY) -m venv build/mutmut
	@$(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' > \
	    "$$(build/mutmut/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/of-the-project.pth"
	@build/mutmut/bin/python -m pip install --quiet --disable-pip-version-check mutmut==3.8.1
	@build/mutmut/bin/python -m tests.mutation $(ARGS)

boards: setup  ## what there is: memory, clock, core
	@$(MCUNAS) boards $(ARGS)

# Several goals in one call run in this order, also under -j: search, compile, firmware, run, validate, profile, report.
search: setup  ## find a network for TASK that fits BOARD
	@$(MCUNAS) search --task "$$TASK" --board "$$BOARD" --method "$$METHOD" --out "$$OUT" $(ARGS)

compile: setup $(filter search,$(MAKECMDGOALS))  ## MODEL.tflite to C
	@$(MCUNAS) compile "$$MODEL" --board "$$BOARD" --out "$$OUT/c" --optimize "$$OPTIMIZE" --engine "$$ENGINE" $(ARGS)

firmware: setup $(filter search compile,$(MAKECMDGOALS))  ## MODEL.tflite to an ELF for BOARD
	@$(MCUNAS) build "$$MODEL" --board "$$BOARD" --out "$$OUT/firmware" --optimize "$$OPTIMIZE" --engine "$$ENGINE" $(ARGS)

run: setup $(filter search compile firmware,$(MAKECMDGOALS))  ## run MODEL once on BOARD
	@$(MCUNAS) run "$$MODEL" --board "$$BOARD" --optimize "$$OPTIMIZE" --engine "$$ENGINE" $(ARGS)

flash: setup $(filter search compile firmware,$(MAKECMDGOALS))  ## put MODEL's firmware into a connected board (PROBE=serial of several)
	@$(MCUNAS) flash "$$MODEL" --board "$$BOARD" --out "$$OUT/firmware" --optimize "$$OPTIMIZE" --engine "$$ENGINE" \
	    $(if $(PROBE),--probe "$$PROBE") $(ARGS)

validate: setup $(filter search compile firmware flash run,$(MAKECMDGOALS))  ## compare every output byte, in QEMU or on PORT=/dev/ttyACM0
	@$(MCUNAS) validate "$$MODEL" --board "$$BOARD" --out "$$OUT" --optimize "$$OPTIMIZE" --engine "$$ENGINE" \
	    $(if $(PORT),--port "$$PORT") $(if $(PROBE),--probe "$$PROBE") $(ARGS)

compare: setup $(filter search compile firmware,$(MAKECMDGOALS))  ## MODEL under mcunas and under TFLM (TFLM_ROOT) side by side
	@$(MCUNAS) compare "$$MODEL" --board "$$BOARD" $(ARGS)

tune: setup $(filter search,$(MAKECMDGOALS))  ## measure the kernels of MODEL's layers on BOARD's core
	@$(MCUNAS) tune "$$MODEL" --board "$$BOARD" --out "$$OUT" --optimize cycles $(ARGS)

profile: setup $(filter search compile firmware flash run validate,$(MAKECMDGOALS))  ## where instructions and cycles go, by layer and kernel
	@$(MCUNAS) profile "$$MODEL" --board "$$BOARD" --out "$$OUT" --optimize "$$OPTIMIZE" --engine "$$ENGINE" \
	    $(if $(PORT),--port "$$PORT") $(if $(PROBE),--probe "$$PROBE") $(ARGS)

calibrate: setup  ## measure BOARD's instruction timings (ARGS="--port PORT" on hardware, else QEMU)
	@$(MCUNAS) calibrate --board "$$BOARD" $(ARGS)

report: setup $(filter search compile firmware flash run validate profile,$(MAKECMDGOALS))  ## write OUT/report.html
	@$(MCUNAS) report "$$OUT" $(ARGS)

lock: setup  ## resolve pyproject.toml again into requirements.lock
	@$(PY) -m pip install --quiet --disable-pip-version-check --upgrade --target build/lock uv==0.13.9
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --extra test --no-emit-package torch --custom-compile-command "make lock" \
	    --output-file requirements.lock pyproject.toml
	@$(PY) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["tensorflow"], sep="\n")' \
	    | sed 's/^tensorflow==/tensorflow-cpu==/' > build/lock/import.in
	@echo "tensorflow; python_version < '3'" > build/lock/override.txt
	@build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-annotate --override build/lock/override.txt --custom-compile-command "make lock" \
	    --output-file requirements-import.lock build/lock/import.in

clean:  ## remove build products (not .venv, not runs)
	@rm -rf build dist
