# SPDX-License-Identifier: Apache-2.0
datapath_ARCHIVE := $(BUILD)/datapath/libdatapath.a
datapath_NEEDS := vhost lib
datapath_MODULES := libdpdk dpdk_drivers libpcap libnl-3.0 libnl-route-3.0 jansson libevent
# Drivers with functions of their own, which libdpdk.pc does not name.
dpdk_drivers_LIBS := -lrte_net_bond -lrte_net_ring -lrte_bus_vdev
datapath_BINARY := weft-datapath
$(eval $(call room,datapath))
