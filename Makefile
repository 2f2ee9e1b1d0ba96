# SPDX-License-Identifier: Apache-2.0
#
# One makefile for the whole tree. Each folder's module.mk says what the folder builds, by wildcard: a new file
# needs no edit here. `make help` lists the targets.
#
# BUILD=DIR keeps a second build beside the first, for another compiler or with sanitizers:
#	make BUILD=build/clang CC=clang
#	make BUILD=build/address SANITIZE=address,undefined

MAKEFLAGS += --no-builtin-rules --no-print-directory
.SUFFIXES:
.DELETE_ON_ERROR:

BUILD ?= build

# The first target; its prerequisites are complete when the folders have been read.
.PHONY: all
all:

# --- configuration ---------------------------------------------------------------------------------

NO_CONFIG_GOALS := clean distclean help

ifneq ($(filter-out $(NO_CONFIG_GOALS),$(or $(MAKECMDGOALS),all)),)
include config.mk
endif

config.mk: configure
	@./configure $(CONFIGURE_ARGS) $(if $(filter $(DEPS_GOALS),$(MAKECMDGOALS)),--install-deps)

# What tests and demo need besides the build's packages is installed (as root) when it is missing.
DEPS_GOALS := check check-tests check-unit check-fuzz check-system demo demo-overlay bench fuzz lint
# Such a goal makes others in turn, by further makes that would get into each other's way; each of these
# runs as many jobs as there are cores unless -j says otherwise.
ifneq ($(filter $(DEPS_GOALS),$(MAKECMDGOALS)),)
.NOTPARALLEL:
endif
JOBS = $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: deps
deps:
	$(Q)./configure --install-deps --deps-only

# --- flags -----------------------------------------------------------------------------------------

# An empty _GNU_SOURCE agrees with a file that defines it too.
CPPFLAGS_ALL := -I. -D_GNU_SOURCE= -DWEFT_VERSION='"$(VERSION)"'
CFLAGS_ALL = -std=gnu17 $(OPTIMISE) -fno-strict-aliasing -fno-common -pthread $(WARNINGS) $(COMPILER_CFLAGS) \
	$(SANITIZE_CFLAGS) $(if $(findstring thread,$(SANITIZE)),-DWEFT_RACE_POINTS) $(USER_CFLAGS)
LDFLAGS_ALL = -pthread -Wl,--as-needed $(SANITIZE_CFLAGS) $(USER_LDFLAGS)

IS_CLANG := $(if $(findstring clang,$(CC)),yes)
COMPILER_CFLAGS := $(if $(IS_CLANG),-Wthread-safety)
# gcc has no thread sanitizer model of fences and says so; the tests that use fences know.
SANITIZE_CFLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer \
	$(if $(IS_CLANG),,$(if $(findstring thread,$(SANITIZE)),-Wno-tsan)))

Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' '$(1)' '$(2)')

# $(call modules_cflags,MODULE..), $(call modules_libs,MODULE..): flags of pkg-config modules.
modules_cflags = $(foreach module,$(1),$($(module)_CFLAGS))
modules_libs = $(foreach module,$(1),$($(module)_LIBS))

# --- rooms -----------------------------------------------------------------------------------------
#
# A room is a folder with C files. Its module.mk sets, with ROOM the folder's path:
#	ROOM_ARCHIVE  the archive of its objects, without main.c
#	ROOM_NEEDS    rooms that it links with, in link order
#	ROOM_MODULES  pkg-config modules that it uses
#	ROOM_BINARY   the program made from its main.c, if it is one
# and calls $(eval $(call room,ROOM)).

ROOMS :=
BINARIES :=

# $(call room_modules,ROOM): its modules and those of the rooms that it needs.
room_modules = $(sort $($(1)_MODULES) $(foreach need,$($(1)_NEEDS),$($(need)_MODULES)))
room_archives = $(foreach part,$(1) $($(1)_NEEDS),$($(part)_ARCHIVE))

define room
ROOMS += $(1)
$(1)_SOURCES := $$(filter-out %/main.c,$$(wildcard $(1)/*.c $(1)/*/*.c))
$(1)_OBJECTS := $$($(1)_SOURCES:%.c=$$(BUILD)/%.o)
$$($(1)_ARCHIVE): $$($(1)_OBJECTS) $$(BUILD)/sources/$(subst /,-,$(1))
	$$(call say,AR,$$@)
	$$(Q)mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$($(1)_OBJECTS)
ALL_OBJECTS += $$($(1)_OBJECTS)
ifneq ($$(wildcard $(1)/main.c),)
BINARIES += $$(BUILD)/bin/$$($(1)_BINARY)
ALL_OBJECTS += $$(BUILD)/$(1)/main.o
$$(BUILD)/bin/$$($(1)_BINARY): $$(BUILD)/$(1)/main.o $$($(1)_OBJECTS) \
		$$(foreach need,$$($(1)_NEEDS),$$($$(need)_ARCHIVE)) $$(BUILD)/sources/$(subst /,-,$(1))
	$$(call say,LINK,$$@)
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(LDFLAGS_ALL) -o $$@ $$(filter %.o %.a,$$^) $$(call modules_libs,$$(call room_modules,$(1))) -lm
endif
endef

include lib/module.mk
include vhost/module.mk
include datapath/module.mk
include ofproto/module.mk
include controller-agent/module.mk
include utilities/module.mk
include tests/module.mk

all: $(BINARIES) $(foreach room,$(ROOMS),$($(room)_ARCHIVE))

# The room of a source file: the deepest one that its path begins with.
room_of = $(lastword $(sort $(foreach room,$(ROOMS),$(if $(filter $(room)/%,$(1)),$(room)))))

# These files change only when their text does: flags of all objects, and the list of each room's sources (so
# that an archive loses the objects of a file that was removed).
.PHONY: always
update = mkdir -p $(@D); echo '$(1)' | cmp -s - $@ || echo '$(1)' >$@

FLAGS_TEXT = $(subst ','\'',$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(LDFLAGS_ALL) $(foreach room,$(ROOMS),$($(room)_MODULES)))
$(BUILD)/flags: always
	@$(call update,$(FLAGS_TEXT))

$(BUILD)/sources/%: always
	@$(call update,$(foreach room,$(ROOMS),$(if $(filter $*,$(subst /,-,$(room))),$($(room)_SOURCES))))

$(BUILD)/%.o: %.c $(BUILD)/flags
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(call modules_cflags,$(or $(MODULES),$($(call room_of,$<)_MODULES))) -MMD -MP -c -o $@ $<

# --- install ---------------------------------------------------------------------------------------

.PHONY: install
install: all
	$(Q)for file in $(filter %-datapath %-agent,$(BINARIES)); do \
		install -D -t $(DESTDIR)$(PREFIX)/sbin $$file || exit 1; done
	$(Q)for file in $(filter-out %-datapath %-agent,$(BINARIES)); do \
		install -D -t $(DESTDIR)$(PREFIX)/bin $$file || exit 1; done
	$(Q)for section in 1 5 7 8; do for file in utilities/man/*.$$section; do \
		[ ! -e "$$file" ] || install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/man/man$$section $$file || exit 1; \
	done; done
	$(Q)for file in utilities/completion/*; do [ ! -e "$$file" ] || \
		install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/bash-completion/completions $$file || exit 1; done
	$(Q)for file in utilities/systemd/*.service; do [ ! -e "$$file" ] || { \
		mkdir -p $(DESTDIR)$(PREFIX)/lib/systemd/system && \
		sed 's|@PREFIX@|$(PREFIX)|g' $$file >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${file##*/}; } || exit 1; done

# --- other -----------------------------------------------------------------------------------------

.PHONY: demo demo-overlay bench clean distclean help

demo: deps
	$(Q)$(MAKE) $(JOBS) all guest-image
	$(Q)utilities/demo/demo

demo-overlay: deps
	$(Q)$(MAKE) $(JOBS) all
	$(Q)utilities/demo/demo-overlay

bench: deps
	$(Q)$(MAKE) $(JOBS) all
	$(Q)utilities/bench/bench $(BENCH)

clean:
	rm -rf $(filter-out build/unpacked build/guest,$(wildcard build/*)) $(filter-out build,$(BUILD))

distclean: clean
	rm -rf build config.mk

help:
	@echo 'all           build everything (the default)'
	@echo 'install       install below PREFIX; DESTDIR is put before it'
	@echo 'check         every test: all below but lint and bench, in all builds'
	@echo 'check-unit    unit tests: plain, address and undefined sanitizers, thread sanitizer'
	@echo 'check-layers  the walls between the folders'
	@echo 'check-fuzz    replay the fuzz corpora, then a short run'
	@echo 'check-system  system tests; TESTS=EXPR picks some (pytest -k)'
	@echo 'check-tests   break each tested function in turn: which unit tests never notice?'
	@echo 'fuzz          run each fuzz target for FUZZ_TIME=10 seconds'
	@echo 'demo          two virtual machines talk through Weft under a controller'
	@echo 'demo-overlay  two tenants on two hosts over VXLAN under a controller'
	@echo 'bench         measure against testpmd; BENCH=OPTIONS: see utilities/bench/bench --help'
	@echo 'lint          clang-tidy, cppcheck, format check'
	@echo 'format        rewrite the sources by .clang-format'
	@echo 'clean         remove what was built; distclean: also what was downloaded and configured'
	@echo 'V=1 shows the commands; -jN builds in parallel'

-include $(ALL_OBJECTS:.o=.d)
