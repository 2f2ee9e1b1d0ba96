/* SPDX-License-Identifier: Apache-2.0
 *
 * Port types that are a DPDK device: how each one's options become device arguments.
 */
#include "datapath/ethdev_devargs.h"

#include <errno.h>
#include <libgen.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datapath/providers.h"
#include "lib/alloc.h"
#include "lib/compiler.h"
#include "lib/error.h"
#include "lib/strbuf.h"
#include "lib/unix_socket.h"

#define SOCKET_PATH_MAX 107u

static const char *
find(const struct port_config *config, const char *key)
{
	return port_option_find(config->options, config->n_options, key);
}

/* DPDK's arguments know no quoting. */
static bool
check_word(const char *key, const char *value, struct weft_error *err)
{
	return !strpbrk(value, ",[]=\"' \t\n") ||
	       weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
		       "%s=%s: DPDK takes no comma, bracket, quote, space or = here; choose another name",
		       key, value);
}

/* --- ethdev --------------------------------------------------------------------------------------- */

/* As lspci -D shows it: 0000:03:00.0, or without the domain. */
static bool
is_pci_address(const char *text)
{
	unsigned domain, bus, slot, function;
	int len = 0;

	return (sscanf(text, "%4x:%2x:%2x.%1x%n", &domain, &bus, &slot, &function, &len) == 4 ||
		       sscanf(text, "%2x:%2x.%1x%n", &bus, &slot, &function, &len) == 3) &&
	       len && !text[len];
}

/* Those that DPDK drives together with the kernel, beside those made for user space. */
static bool
is_dpdk_driver(const char *driver)
{
	static const char *const drivers[] = {
		"vfio-pci", "uio_pci_generic", "igb_uio", "mlx4_core", "mlx5_core"};

	for (size_t i = 0; i < WEFT_ARRAY_SIZE(drivers); i++) {
		if (!strcmp(driver, drivers[i])) {
			return true;
		}
	}
	return false;
}

/* The kernel says what DPDK would not. And DPDK must not reach for a device that the kernel uses. */
static bool
check_pci(const char *address, struct weft_error *err)
{
	char path[128], target[256];
	const char *domain = strlen(address) < 12 ? "0000:" : "", *driver;
	ssize_t len;

	snprintf(path, sizeof path, "/sys/bus/pci/devices/%s%s", domain, address);
	if (access(path, F_OK)) {
		return weft_error_set(err, WEFT_ERR_INVALID, ENODEV,
			"there is no PCI device %s%s; see: lspci -D", domain, address);
	}
	snprintf(path, sizeof path, "/sys/bus/pci/devices/%s%s/driver", domain, address);
	len = readlink(path, target, sizeof target - 1);
	target[len > 0 ? len : 0] = '\0';
	driver = strrchr(target, '/') ? strrchr(target, '/') + 1 : target;
	return is_dpdk_driver(driver) ||
	       weft_error_set(err, WEFT_ERR_INVALID, EBUSY,
		       "PCI device %s%s is bound to %s%s, not to a driver for DPDK; bind it with: "
		       "dpdk-devbind.py -b vfio-pci %s%s",
		       domain, address, *driver ? "the kernel's driver " : "no driver", driver,
		       domain, address);
}

static char *
given_devargs(const struct port_config *config, struct weft_error *err)
{
	const char *devargs = find(config, "devargs");
	size_t len = strcspn(devargs, ",");
	char *name = xstrdup(devargs);
	bool ok;

	name[len] = '\0';
	/* A name first, then its arguments. DPDK's other form, bus=..,class=.., makes its iterator crash. */
	ok = len && !strchr(name, '=')
		     ? !is_pci_address(name) || check_pci(name, err)
		     : weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			       "devargs=\"%s\" must begin with the device's name", devargs);
	free(name);
	return ok ? xstrdup(devargs) : NULL;
}

/* --- af-xdp --------------------------------------------------------------------------------------- */

static char *
af_xdp_devargs(const struct port_config *config, struct weft_error *err)
{
	const char *ifname = find(config, "ifname"), *queues = find(config, "queues");

	if (!if_nametoindex(ifname)) {
		weft_error_set(
			err, WEFT_ERR_CONFLICT, ENODEV, "no interface %s; see: ip link", ifname);
		return NULL;
	}
	if (!check_word("ifname", ifname, err)) {
		return NULL;
	}
	return xasprintf("net_af_xdp_weft%u,iface=%s,start_queue=0,queue_count=%s", config->number,
		ifname, queues ? queues : "1");
}

/* --- pcap ----------------------------------------------------------------------------------------- */

/* A file, or nothing yet. Whoever opened a pipe would wait for its other end, and all ports with him. */
static bool
check_path(const char *key, const char *path, struct weft_error *err)
{
	struct stat st;

	if (path[0] != '/') {
		return weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"%s=%s must be a path from the root", key, path);
	}
	return stat(path, &st) || S_ISREG(st.st_mode) ||
	       weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
		       "%s=%s is there and is not a regular file; choose another path", key, path);
}

static bool
check_source(const char *path, struct weft_error *err)
{
	char why[PCAP_ERRBUF_SIZE] = "";
	pcap_t *file;
	bool ok;

	if (!check_path("rx", path, err)) {
		return false;
	}
	file = pcap_open_offline(path, why);
	ok = file && pcap_datalink(file) == DLT_EN10MB;
	if (!file) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"cannot read rx=%s as a capture file: %s", path, why);
	} else if (!ok) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"rx=%s holds no Ethernet frames; give a capture of an Ethernet interface",
			path);
	}
	if (file) {
		pcap_close(file);
	}
	return ok;
}

/* Without making it: that is left to the driver, when all else is right. */
static bool
check_target(const char *path, struct weft_error *err)
{
	char *copy = xstrdup(path);
	const char *directory = dirname(copy);
	struct stat st;
	int rc = 0;

	if (!stat(path, &st)) {
		rc = access(path, W_OK) ? errno : 0;
	} else if (errno != ENOENT || access(directory, W_OK | X_OK)) {
		rc = errno;
	}
	free(copy);
	return check_path("tx", path, err) &&
	       (!rc || weft_error_set(err, WEFT_ERR_INVALID, rc,
			       "cannot write tx=%s: %s; its directory must exist", path,
			       strerror(rc)));
}

static char *
pcap_devargs(const struct port_config *config, struct weft_error *err)
{
	const char *rx = find(config, "rx"), *tx = find(config, "tx");
	struct strbuf text = STRBUF_INIT;

	if (!rx && !tx) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"port type pcap needs rx= or tx=: a file to read or to write");
		return NULL;
	}
	if ((rx && (!check_word("rx", rx, err) || !check_source(rx, err))) ||
		(tx && (!check_word("tx", tx, err) || !check_target(tx, err)))) {
		return NULL;
	}
	strbuf_printf(&text, "net_pcap_weft%u", config->number);
	if (rx) {
		strbuf_printf(&text, ",rx_pcap=%s", rx);
	}
	if (tx) {
		strbuf_printf(&text, ",tx_pcap=%s", tx);
	}
	return strbuf_take(&text);
}

/* --- memif ---------------------------------------------------------------------------------------- */

/* Several ports may share one socket, told apart by id: whether one of ours listens there already. */
static bool
is_own_listener(const char *path)
{
	char *socket = xasprintf(",socket=%s,", path);
	bool found = false;

	/* Its iterator for users leaves out devices that have an owner, as ours have. */
	for (unsigned id = rte_eth_find_next(0); id < RTE_MAX_ETHPORTS;
		id = (unsigned)rte_eth_find_next((uint16_t)(id + 1))) {
		struct rte_eth_dev_info info;
		const struct rte_devargs *given = rte_eth_dev_info_get((uint16_t)id, &info)
							  ? NULL
							  : rte_dev_devargs(info.device);

		found |= given && !strncmp(given->name, "net_memif", strlen("net_memif")) &&
			 strstr(given->args, "role=server,") && strstr(given->args, socket);
	}
	free(socket);
	return found;
}

/* The driver connects once, when it starts. */
static bool
check_socket(const char *path, bool is_client, struct weft_error *err)
{
	char *copy = xstrdup(path);
	const char *directory = dirname(copy);
	bool ok = true;

	if (is_client && access(path, F_OK)) {
		ok = weft_error_set(err, WEFT_ERR_INVALID, errno,
			"nobody listens on socket=%s: %s; start the other end first", path,
			strerror(errno));
	} else if (access(directory, F_OK)) {
		ok = weft_error_set(err, WEFT_ERR_INVALID, errno,
			"no directory %s for the socket: %s; make it first, or choose another path",
			directory, strerror(errno));
	}
	free(copy);
	return ok;
}

static char *
memif_devargs(const struct port_config *config, struct weft_error *err)
{
	const char *path = find(config, "socket"), *role = find(config, "role");
	const char *id = find(config, "id");
	bool is_client = role && !strcmp(role, "client");

	if (path[0] != '/' || strlen(path) > SOCKET_PATH_MAX) {
		weft_error_set(err, WEFT_ERR_INVALID, EINVAL,
			"socket=%.120s must be a path from the root, of at most %u characters",
			path, SOCKET_PATH_MAX);
		return NULL;
	}
	if (!check_word("socket", path, err) || !check_socket(path, is_client, err) ||
		(!is_client && !is_own_listener(path) && !unix_take_over(path, err))) {
		return NULL;
	}
	return xasprintf("net_memif_weft%u,role=%s,id=%s,socket=%s,socket-abstract=no",
		config->number, is_client ? "client" : "server", id ? id : "0", path);
}

/* --- null ----------------------------------------------------------------------------------------- */

static char *
null_devargs(const struct port_config *config, struct weft_error *err)
{
	(void)err;
	return xasprintf("net_null_weft%u,no-rx=1", config->number);
}

/* --- the table ------------------------------------------------------------------------------------ */

static const char *const af_xdp_peer[] = {"ifname", NULL};
static const char *const pcap_peer[] = {"rx", "tx", NULL};
static const char *const memif_peer[] = {"socket", "id", NULL};
static const char *const null_peer[] = {NULL};

/* To add a type: a row here, its options in ethdev_port.c, a test, docs/guide.md. */
static const struct ethdev_kind kinds[] = {
	{"ethdev", given_devargs, NULL, false, false},
	{"af-xdp", af_xdp_devargs, af_xdp_peer, false, false},
	{"pcap", pcap_devargs, pcap_peer, false, true},
	{"memif", memif_devargs, memif_peer, false, false},
	{"null", null_devargs, null_peer, true, false},
};

const struct ethdev_kind *
ethdev_kind_find(const char *type)
{
	for (size_t i = 0; i < WEFT_ARRAY_SIZE(kinds); i++) {
		if (!strcmp(kinds[i].type, type)) {
			return &kinds[i];
		}
	}
	return NULL;
}
