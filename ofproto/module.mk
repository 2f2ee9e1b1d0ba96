# SPDX-License-Identifier: Apache-2.0
ofproto_ARCHIVE := $(BUILD)/ofproto/libofproto.a
ofproto_NEEDS := lib
ofproto_MODULES :=
$(eval $(call room,ofproto))
