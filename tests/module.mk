# SPDX-License-Identifier: Apache-2.0
#
# Unit tests: tests/unit/ROOM/test_*.c, one cmocka program each, linked with the archives of its room and of the rooms
# that this one needs, so that what a test defines itself replaces the archive's. Other .c files in tests/unit/ROOM
# are helpers, linked into every test there. ROOM "utilities" is the command line tool.

unit_room = $(if $(filter utilities,$(1)),utilities/weft,$(1))

# $(call unit_tests,FOLDER): the rules of the tests in tests/unit/FOLDER.
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

.PHONY: unit-tests
unit-tests: $(UNIT_TESTS)

.PHONY: check check-unit
check-unit: all unit-tests
	$(Q)tests/run-unit $(UNIT_TESTS)

check: check-unit
