# SPDX-License-Identifier: Apache-2.0
utilities/weft_ARCHIVE := $(BUILD)/utilities/weft/libcli.a
utilities/weft_NEEDS := lib
utilities/weft_MODULES := jansson libevent libpcap
utilities/weft_BINARY := weft
$(eval $(call room,utilities/weft))

utilities/bench_ARCHIVE := $(BUILD)/utilities/bench/libbench.a
utilities/bench_NEEDS := lib
utilities/bench_MODULES := libdpdk jansson libevent
utilities/bench_BINARY := weft-bench
$(eval $(call room,utilities/bench))
