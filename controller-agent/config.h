/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration: what the user wants.
 *
 * What:     the one model of switches, ports and controllers. The command line and the file
 *           /etc/weft/weft.json are sources of it today; apply.c makes what is present equal to it.
 * Names:    map to the Open_vSwitch schema: a switch is a Bridge (datapath-id, fail-mode,
 *           protocols), a port is a Port (tag, trunks, vlan-mode) with one Interface (type,
 *           of-port as ofport_request, mtu as mtu_request, options), a controller a Controller.
 * Keys:     every property has a key and a value in text, the same on the command line and in the
 *           file; an empty value takes a property back. What config.c does not know of a port is an
 *           option of its type, which the datapath judges.
 * Threads:  the loop.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct config_mirror;
struct of_allow;
struct of_flood;
struct of_tunnel;
struct weft_error;

#define CONFIG_NAME_MAX 63
#define CONFIG_KERNEL_NAME_MAX 15
#define CONFIG_VALUE_MAX 1024
#define CONFIG_MAX_OPTIONS 64
#define CONFIG_MAX_FILE (16u << 20)
#define CONFIG_OF_PORT_MAX 0xfeffu

enum config_fail_mode {
	CONFIG_STANDALONE,
	CONFIG_SECURE,
};

enum config_vlan_mode {
	CONFIG_VLAN_UNSET, /* access with a tag, else trunk */
	CONFIG_VLAN_ACCESS,
	CONFIG_VLAN_TRUNK,
	CONFIG_VLAN_NATIVE_TAGGED,
	CONFIG_VLAN_NATIVE_UNTAGGED,
	CONFIG_VLAN_DOT1Q_TUNNEL,
};

/* OpenFlow versions, as bits. */
enum config_protocol {
	CONFIG_OF10 = 1 << 0,
	CONFIG_OF13 = 1 << 1,
	CONFIG_OF14 = 1 << 2,
	CONFIG_OF15 = 1 << 3,
};

struct config_option {
	char *key;
	char *value;
};

struct config_port {
	char name[CONFIG_NAME_MAX + 1];
	char *type;
	uint16_t of_port; /* wanted OpenFlow number; 0: given automatically */
	int tag;          /* VLAN; -1: none */
	bool has_trunks;
	uint64_t trunks[64]; /* bitmap of VLANs */
	enum config_vlan_mode vlan_mode;
	bool admin_down;
	bool underlay;
	bool mcast_router;             /* there is a multicast router behind it, heard of or not */
	char *allow;                   /* MAC[/IP[/LENGTH]],..; NULL: everything */
	struct config_option *options; /* sorted by key; "mtu" is one of them */
	size_t n_options;
};

#define CONFIG_NO_PROBE UINT32_MAX /* inactivity-probe=0 */

struct config_controller {
	char *target;
	char *key; /* NULL: none */
	char *cert;
	char *ca;
	unsigned rate_limit; /* packet-ins a second; 0: none */
	unsigned burst;      /* of them; 0: what packet_queue.h says */
	uint32_t probe_ms;   /* inactivity-probe; 0: of_service.h's */
};

struct config_switch {
	char name[CONFIG_NAME_MAX + 1];
	bool has_dpid;
	uint64_t dpid;
	enum config_fail_mode fail_mode;
	uint32_t protocols;         /* enum config_protocol; 0: all that there are */
	unsigned mac_ageing_s;      /* 0: ofproto/'s default */
	unsigned mac_table_size;    /* 0: ofproto/'s default */
	struct config_port **ports; /* in the order of creation */
	size_t n_ports;
	struct config_controller **controllers;
	size_t n_controllers;
	bool mcast_snooping;
	bool mcast_no_flood;            /* groups that nobody has asked for: to routers alone */
	uint32_t mcast_ageing;          /* s; 0: the default */
	struct config_mirror **mirrors; /* config_mirror.h */
	size_t n_mirrors;
};

struct config {
	struct config_switch **switches;
	size_t n_switches;
};

struct config *config_create(void);
void config_destroy(struct config *c);
struct config *config_clone(const struct config *c);

/* Reads @path; a file that does not exist is an empty configuration. NULL and @err, with file, place
 * and cause, on anything that is not right: nothing is taken in halves. */
struct config *config_load(const char *path, struct weft_error *err) WEFT_MUST_CHECK;
/* The same from text. */
struct config *config_parse(const char *text, size_t len, struct weft_error *err) WEFT_MUST_CHECK;

/* Replaces @path in one step, with all of @c. */
bool config_save(const struct config *c, const char *path, struct weft_error *err) WEFT_MUST_CHECK;
/* JSON text; the caller frees it. */
char *config_format(const struct config *c);

/* Finding. NULL: none. Pointers live as long as the element. Port names are unique over all
 * switches; @sw (may be NULL) gets the port's. */
struct config_switch *config_switch_find(const struct config *c, const char *name);
struct config_port *config_port_find(
	const struct config *c, const char *name, struct config_switch **sw);
struct config_controller *config_controller_find(
	const struct config_switch *sw, const char *target);

/* Adding checks name and uniqueness. The port has no type yet: config_port_check() wants one. */
struct config_switch *config_switch_add(
	struct config *c, const char *name, struct weft_error *err) WEFT_MUST_CHECK;
void config_switch_del(struct config *c, struct config_switch *sw);
struct config_port *config_port_add(struct config *c, struct config_switch *sw, const char *name,
	struct weft_error *err) WEFT_MUST_CHECK;
void config_port_del(struct config_switch *sw, struct config_port *p);
struct config_controller *config_controller_add(
	struct config_switch *sw, const char *target, struct weft_error *err) WEFT_MUST_CHECK;
void config_controller_del(struct config_switch *sw, struct config_controller *ctl);
void config_controller_free(struct config_controller *ctl);
/* All of a switch: it has none then. */
void config_controllers_free(struct config_switch *sw);
/* All but the target. */
void config_controller_copy(struct config_controller *to, const struct config_controller *from);
/* Whether what a connection begins with is the same, and what can change while there is one. */
bool config_controller_same_files(
	const struct config_controller *a, const struct config_controller *b);
bool config_controller_same_limits(
	const struct config_controller *a, const struct config_controller *b);

/* Sets one property from text. */
bool config_switch_set(struct config_switch *sw, const char *key, const char *value,
	struct weft_error *err) WEFT_MUST_CHECK;
bool config_port_set(struct config_port *p, const char *key, const char *value,
	struct weft_error *err) WEFT_MUST_CHECK;
bool config_controller_set(struct config_controller *ctl, const char *key, const char *value,
	struct weft_error *err) WEFT_MUST_CHECK;

/* Whether the properties agree with each other and with the rest of the switch. */
bool config_port_check(const struct config_switch *sw, const struct config_port *p,
	struct weft_error *err) WEFT_MUST_CHECK;

/* VLANs, as a bitmap: "1,5,10-20". */
bool config_vlans_parse(const char *key, const char *value, uint64_t vlans[64],
	struct weft_error *err) WEFT_MUST_CHECK;
/* @yes or @no. */
bool config_bool_parse(const char *key, const char *value, const char *yes, const char *no,
	bool *flag, struct weft_error *err) WEFT_MUST_CHECK;
/* A decimal number; else an error that names @key. */
bool config_number_parse(const char *key, const char *value, unsigned min, unsigned max,
	unsigned *n, struct weft_error *err) WEFT_MUST_CHECK;

/* What is in force when nothing is said. */
enum config_vlan_mode config_port_vlan_mode(const struct config_port *p);

const char *config_port_option(const struct config_port *p, const char *key);
const char *config_vlan_mode_name(enum config_vlan_mode mode);
const char *config_fail_mode_name(enum config_fail_mode mode);
/* "1.0,1.3": @protocols in text; 0: "all". @size at least 32. */
void config_protocols_format(uint32_t protocols, char *text, size_t size);
/* "1,5,10-20"; the caller frees it. */
char *config_trunks_format(const uint64_t trunks[64]);

/* Bonds. Whether port @name is one of bond @p's members; and which bond's it is (NULL: none's). */
bool config_bond_has(const struct config_port *p, const char *name);
const struct config_port *config_bond_of(const struct config_switch *sw, const char *name);
/* Whether each bond of the switch has members, which are ports of the switch and of no other bond. */
bool config_bonds_check(const struct config_switch *sw, struct weft_error *err) WEFT_MUST_CHECK;

/* allow= as a list, which the caller frees; NULL and @err if it is not one. */
struct of_allow *config_allow_parse(const char *text, struct weft_error *err) WEFT_MUST_CHECK;

/* Tunnel ports: vxlan, geneve, gre, erspan; what their options say, if it makes sense by itself. */
bool config_port_is_tunnel(const struct config_port *p);
/* Whether an option of the type is for the datapath. */
bool config_option_is_datapaths(const struct config_port *p, const char *key);
bool config_tunnel_parse(
	const struct config_port *p, struct of_tunnel *t, struct weft_error *err) WEFT_MUST_CHECK;
/* flood=: the remotes that NORMAL floods to, which the caller frees; NULL: the port has none. @t: what the other
 * options say. */
bool config_flood_parse(const struct config_port *p, const struct of_tunnel *t,
	struct of_flood **flood, struct weft_error *err) WEFT_MUST_CHECK;
/* Whether all of them make sense, and packets from outside can tell them apart. @last: the one that is added or
 * changed; NULL: the last one. */
bool config_tunnels_check(const struct config *c, const struct config_port *last,
	struct weft_error *err) WEFT_MUST_CHECK;
/* Patch ports. The name of the other end; NULL: no patch port, or none is said. */
bool config_port_is_patch(const struct config_port *p);
const char *config_patch_peer(const struct config_port *p);
/* Whether every patch port has a peer, which is on another switch and names it back, or is not there. */
bool config_patches_check(const struct config *c, struct weft_error *err) WEFT_MUST_CHECK;

/* Whether a switch, port or other thing may have this name. */
bool config_name_check(const char *what, const char *name, struct weft_error *err) WEFT_MUST_CHECK;
