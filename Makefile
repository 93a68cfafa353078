# SPDX-License-Identifier: MIT
# The front door. The build itself is Meson's: meson.build; CONTRIBUTING.md says how to use it by hand.
# First thing in each: install from Debian what is missing (tools/deps; instant when nothing is).
PREFIX ?= /usr/local
NINJA = ninja $(if $(JOBS),-j$(JOBS))
TEST = meson test --print-errorlogs --no-suite soak
ASAN = -Db_sanitize=address,undefined -Db_lundef=false -Dslow_checks=true -Dbench=disabled -Dwerror=false
TSAN = -Db_sanitize=thread -Db_lundef=false -Dslow_checks=true -Dbench=disabled -Dwerror=false
FUZZ = --native-file tools/clang.ini $(ASAN) -Dfuzz=true
SECONDS = 60
# sh: configure $(1) with $(2), or leave it to ninja to reconfigure.
setup = test -f $(1)/build.ninja || meson setup $(1) $(2)

all:
	@tools/deps build
	@$(call setup,build,--prefix=$(PREFIX))
	@$(NINJA) -C build

check:
	@tools/deps build test
	@tools/check

demo: all
	@tools/demo build/src/cli/ramet

install: all
	@meson install --no-rebuild -C build $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@test -n "$(DESTDIR)" || ldconfig || true

bench:
	@tools/deps build bench
	@$(call setup,build,--prefix=$(PREFIX))
	@$(NINJA) -C build
	@meson test -C build --no-rebuild --benchmark --verbose

soak:
	@tools/deps build test
	@$(call setup,build,--prefix=$(PREFIX))
	@meson test -C build --suite soak --verbose --timeout-multiplier 0

tidy:
	@tools/deps build test tidy
	@$(call setup,build,--prefix=$(PREFIX))
	@tools/tidy --all build

asan:
	@tools/deps build test
	@$(call setup,build-asan,$(ASAN))
	@$(TEST) -C build-asan

tsan:
	@tools/deps build test
	@$(call setup,build-tsan,$(TSAN))
	@$(TEST) -C build-tsan

# SECONDS: for each fuzzer; FUZZERS: which, all if none are named
fuzz:
	@tools/deps build test fuzz
	@$(call setup,build-fuzz,$(FUZZ))
	@$(NINJA) -C build-fuzz fuzzers
	@tools/fuzz build-fuzz $(SECONDS) $(FUZZERS)

clean:
	rm -rf build build-asan build-tsan build-fuzz

.PHONY: all check demo install bench soak tidy asan tsan fuzz clean
