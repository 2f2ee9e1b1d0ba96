# SPDX-License-Identifier: Apache-2.0
lib_ARCHIVE := $(BUILD)/lib/libweft.a
lib_NEEDS :=
lib_MODULES := jansson libevent
$(eval $(call room,lib))
