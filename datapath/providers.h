/* SPDX-License-Identifier: Apache-2.0
 *
 * The kinds of ports there are, and the check of their options.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "datapath/port_provider.h"

struct strbuf;

extern const struct port_provider vhost_provider;     /* vhost-user */
extern const struct port_provider veth_provider;      /* veth */
extern const struct port_provider internal_provider;  /* internal */
extern const struct port_provider tap_provider;       /* tap */
extern const struct port_provider af_packet_provider; /* af-packet */
extern const struct port_provider ethdev_provider;    /* ethdev */
extern const struct port_provider af_xdp_provider;    /* af-xdp */
extern const struct port_provider pcap_provider;      /* pcap */
extern const struct port_provider memif_provider;     /* memif */
extern const struct port_provider null_provider;      /* null */
extern const struct port_provider bond_provider;      /* bond */
extern const struct port_provider vxlan_provider;     /* tunnels */
extern const struct port_provider geneve_provider;
extern const struct port_provider gre_provider;
extern const struct port_provider erspan_provider;

/* The provider of that type, or NULL with the known types in @err. */
const struct port_provider *provider_find(const char *type, struct weft_error *err);

/* The types whose ports may be a bond's members, like "veth, ethdev". */
void provider_list_joining(struct strbuf *types);

/* Checks names, kinds, ranges and required ones; @set: only settable ones may be there. */
bool provider_check_options(const struct port_provider *provider, const struct port_option *options,
	size_t n, bool set, struct weft_error *err) WEFT_MUST_CHECK;

/* The option's value, or NULL. */
const char *port_option_find(const struct port_option *options, size_t n, const char *key);
