# SPDX-License-Identifier: Apache-2.0
controller-agent_ARCHIVE := $(BUILD)/controller-agent/libagent.a
controller-agent_NEEDS := ofproto lib
controller-agent_MODULES := libevent_openssl libevent openssl libnl-3.0 libnl-route-3.0 jansson
controller-agent_BINARY := weft-agent
$(eval $(call room,controller-agent))
