# SPDX-License-Identifier: Apache-2.0

# --- unit tests ------------------------------------------------------------------------------------
#
# tests/unit/ROOM/test_*.c: one cmocka program each, linked with the archives of its room and of the rooms that this
# one needs, so that a function which a test defines replaces the archive's. Other .c files in tests/unit/ROOM are
# helpers, linked into every test there. ROOM "utilities" is the command line tool.
#
# A test of lock-free code says "thread sanitizer" in its head and is run under that too.

unit_room = $(if $(filter utilities,$(1)),utilities/weft,$(1))

# $(call unit_tests,FOLDER,ROOM): the rules of the tests in tests/unit/FOLDER.
define unit_tests
UNIT_$(1)_HELPERS := $$(patsubst %.c,$$(BUILD)/%.o,$$(filter-out tests/unit/$(1)/test_%,$$(wildcard tests/unit/$(1)/*.c)))
UNIT_$(1)_TESTS := $$(patsubst %.c,$$(BUILD)/%,$$(wildcard tests/unit/$(1)/test_*.c))
UNIT_TESTS += $$(UNIT_$(1)_TESTS)
ALL_OBJECTS += $$(UNIT_$(1)_HELPERS) $$(UNIT_$(1)_TESTS:%=%.o)
ROOMS += tests/unit/$(1)
tests/unit/$(1)_MODULES := cmocka $$(call room_modules,$(2))
$$(UNIT_$(1)_TESTS): %: %.o $$(UNIT_$(1)_HELPERS) $$(call room_archives,$(2))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$^ $$(call modules_libs,$$(tests/unit/$(1)_MODULES)) -lm
endef

UNIT_TESTS :=
UNIT_FOLDERS := $(patsubst tests/unit/%/,%,$(wildcard tests/unit/*/))
$(foreach folder,$(UNIT_FOLDERS),$(eval $(call unit_tests,$(folder),$(call unit_room,$(folder)))))
THREAD_TESTS = $(patsubst %.c,$(BUILD)/%,$(shell grep -ls 'thread sanitizer' tests/unit/*/test_*.c))

# --- fuzz targets ----------------------------------------------------------------------------------
#
# tests/fuzz/fuzz_NAME.c holds LLVMFuzzerTestOneInput() and says "Room: ROOM" in its head; its corpus is the folder
# tests/fuzz/corpus/NAME. In a build with the fuzzer sanitizer it becomes a libFuzzer program, in any other one a
# program that replays the files and folders named on its command line.

FUZZ_SOURCES := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_TARGETS := $(FUZZ_SOURCES:%.c=$(BUILD)/%)
FUZZ_MAIN := $(if $(findstring fuzzer,$(SANITIZE)),,$(BUILD)/tests/fuzz/replay.o)
FUZZ_LDFLAGS = $(if $(FUZZ_MAIN),$(LDFLAGS_ALL),$(subst fuzzer-no-link,fuzzer,$(LDFLAGS_ALL)))
FUZZ_TIME ?= 10
fuzz_room = $(or $(shell sed -n '1,9s/^.*[Rr]oom: *\([a-z/-]*\).*/\1/p' $(1)),lib)

# $(call fuzz_target,SOURCE,ROOM)
define fuzz_target
$(1:%.c=$(BUILD)/%.o): MODULES := $$(call room_modules,$(2))
$(1:%.c=$(BUILD)/%): $(1:%.c=$(BUILD)/%.o) $$(FUZZ_MAIN) $$(call room_archives,$(2))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(FUZZ_LDFLAGS) -o $$@ $$^ $$(call modules_libs,$$(call room_modules,$(2))) -lm
endef
$(foreach source,$(FUZZ_SOURCES),$(eval $(call fuzz_target,$(source),$(call fuzz_room,$(source)))))
ALL_OBJECTS += $(FUZZ_SOURCES:%.c=$(BUILD)/%.o) $(BUILD)/tests/fuzz/replay.o

# --- the parser beside scapy ------------------------------------------------------------------------

PRINT_KEYS := $(BUILD)/tests/parser/print_keys
$(PRINT_KEYS).o: MODULES := $(call room_modules,lib)
$(PRINT_KEYS): $(PRINT_KEYS).o $(call room_archives,lib)
	$(call say,LINK,$@)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $^ $(call modules_libs,$(call room_modules,lib)) -lm
ALL_OBJECTS += $(PRINT_KEYS).o

# --- what to run -----------------------------------------------------------------------------------

# The second build of the tree: the other compiler, with the sanitizers that find bad memory accesses and undefined
# behaviour, and instrumented for the fuzzer.
ADDRESS_BUILD := BUILD=$(BUILD)/address CC=clang SANITIZE=fuzzer-no-link,address,undefined
THREAD_BUILD := BUILD=$(BUILD)/thread SANITIZE=thread
PYTEST := /usr/bin/python3 -B -m pytest -p no:cacheprovider --durations=25 $(if $(TESTS),-k '$(TESTS)')

.PHONY: unit-tests thread-tests fuzz-targets run-unit run-thread guest-image
.PHONY: check-tests broken-functions
.PHONY: check check-unit check-layers check-fuzz check-parser check-openflow check-system fuzz lint lint-format lint-tidy lint-cppcheck format

unit-tests: $(UNIT_TESTS)
thread-tests: $(THREAD_TESTS)
fuzz-targets: $(FUZZ_TARGETS)

run-unit: unit-tests
	$(Q)tests/run-unit $(UNIT_TESTS)

run-thread: thread-tests
	$(Q)tests/run-unit $(THREAD_TESTS)

check-unit: deps
	$(Q)$(MAKE) $(JOBS) run-unit
	$(Q)$(MAKE) $(JOBS) $(ADDRESS_BUILD) run-unit
	$(Q)$(MAKE) $(JOBS) $(THREAD_BUILD) run-thread

# Every unit test must have been seen to fail: each tested function is broken in turn. Takes long; not part of check.
BROKEN_BUILD := BUILD=$(BUILD)/broken OPTIMISE='-O0 -g' USER_CFLAGS=-finstrument-functions
$(BUILD)/break_function.so: tests/tools/break_function.c
	$(Q)$(CC) -D_GNU_SOURCE -O1 -Wall -Wextra -fPIC -shared -o $@ $< -ldl
check-tests: deps $(BUILD)/break_function.so
	$(Q)$(MAKE) $(JOBS) $(BROKEN_BUILD) broken-functions LIBRARY=$(BUILD)/break_function.so
broken-functions: unit-tests
	$(Q)tests/tools/break-functions --library $(LIBRARY) $(if $(V),--all) $(UNIT_TESTS)

check-layers: all
	$(Q)tests/check-layers --build $(BUILD)

check-fuzz: deps
	$(Q)$(MAKE) $(JOBS) fuzz-targets
	$(Q)$(MAKE) $(JOBS) $(ADDRESS_BUILD) fuzz-targets
	$(Q)tests/run-fuzz --replay $(FUZZ_TARGETS)
	$(Q)tests/run-fuzz --runs 5000 $(FUZZ_SOURCES:%.c=$(BUILD)/address/%)

fuzz: deps
	$(Q)$(MAKE) $(JOBS) $(ADDRESS_BUILD) fuzz-targets
	$(Q)tests/run-fuzz --time $(FUZZ_TIME) --keep $(FUZZ_SOURCES:%.c=$(BUILD)/address/%)

# The system tests run the daemons of the plain build; some of them also those of the second build.
check-system: deps
	$(Q)$(MAKE) $(JOBS) all guest-image
	$(Q)$(MAKE) $(JOBS) $(ADDRESS_BUILD) all
	$(Q)WEFT_BUILD=$(BUILD) $(PYTEST) tests

# The packet parser against scapy, PACKETS of them.
PACKETS ?= 3000
check-parser: deps
	$(Q)$(MAKE) $(JOBS) $(PRINT_KEYS)
	$(Q)/usr/bin/python3 -B tests/parser/compare.py --packets $(PACKETS) $(PRINT_KEYS)

# The Ryu project's conformance cases; OPENFLOW="--pairs N CASES.." runs some of them.
check-openflow: deps
	$(Q)$(MAKE) $(JOBS) all
	$(Q)WEFT_BUILD=$(BUILD) /usr/bin/python3 -B tests/openflow/check.py $(OPENFLOW)

check: deps
	$(Q)$(MAKE) $(JOBS) all unit-tests fuzz-targets
	$(Q)$(if $(IS_CLANG),$(MAKE) $(JOBS) BUILD=$(BUILD)/gcc CC=gcc all unit-tests fuzz-targets)
	$(Q)$(MAKE) $(JOBS) check-layers
	$(Q)$(MAKE) $(JOBS) check-unit
	$(Q)$(MAKE) $(JOBS) check-fuzz
	$(Q)$(MAKE) $(JOBS) check-parser
	$(Q)$(MAKE) $(JOBS) check-system
	$(Q)$(MAKE) $(JOBS) check-openflow

guest-image: deps
	$(Q)utilities/demo/guest-image

# --- lint ------------------------------------------------------------------------------------------

C_FILES := $(wildcard */*.[ch] utilities/*/*.[ch] utilities/demo/guest/*.c tests/*/*.[ch] tests/unit/*/*.[ch] controller-agent/*/*.[ch])

lint: deps lint-format lint-tidy lint-cppcheck

lint-format:
	$(Q)clang-format --dry-run -Werror $(C_FILES)

# $(call tidy,ROOM): the room's sources with its own flags.
tidy = printf '%s\n' $($(1)_SOURCES) $(wildcard $(1)/main.c) | xargs -r -P $$(nproc) -I FILE \
	clang-tidy --quiet FILE -- $(CPPFLAGS_ALL) -std=gnu17 $(call modules_cflags,$($(1)_MODULES)) || status=1;
lint-tidy:
	$(Q)status=0; $(foreach room,$(ROOMS),$(call tidy,$(room))) exit $$status

# The parser copies neighbouring members of the flow key at once, which cppcheck takes for an overflow.
lint-cppcheck:
	$(Q)cppcheck --quiet --error-exitcode=1 --inline-suppr --std=c11 --enable=warning,portability -j $$(nproc) \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=bufferAccessOutOfBounds -I. -D__GNUC__=12 \
		$(foreach room,$(ROOMS),$($(room)_SOURCES) $(wildcard $(room)/main.c))

format:
	$(Q)clang-format -i $(C_FILES)
