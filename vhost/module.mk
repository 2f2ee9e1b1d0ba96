# SPDX-License-Identifier: Apache-2.0
vhost_ARCHIVE := $(BUILD)/vhost/libvhost.a
vhost_NEEDS := lib
vhost_MODULES := libdpdk
$(eval $(call room,vhost))
