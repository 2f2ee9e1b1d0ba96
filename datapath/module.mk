# SPDX-License-Identifier: Apache-2.0
datapath_ARCHIVE := $(BUILD)/datapath/libdatapath.a
datapath_NEEDS := vhost lib
datapath_MODULES := libdpdk libpcap libnl-3.0 libnl-route-3.0 jansson libevent
datapath_BINARY := weft-datapath
$(eval $(call room,datapath))
