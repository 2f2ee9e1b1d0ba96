/* SPDX-License-Identifier: Apache-2.0
 *
 * Sends and receives Ethernet frames byte for byte, in a guest where no scripting language is.
 *
 *	frames send DEVICE HEX..	sends each frame
 *	frames recv DEVICE SECONDS [N]	prints each frame that comes in as a line of hex digits, VLAN tags in their place;
 *					ends after N frames or SECONDS
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FRAME_MAX 65536

static void
die(const char *what)
{
	fprintf(stderr, "frames: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* A packet socket on @device. */
static int
open_device(const char *device)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(device),
	};
	if (!address.sll_ifindex) {
		die(device);
	}
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
	int on = 1;
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
		setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof(on)) < 0) {
		die(device);
	}
	return fd;
}

/* Bytes of the hex digits @text into @frame; how many. */
static size_t
parse_hex(const char *text, uint8_t *frame)
{
	size_t len = strlen(text) / 2;
	for (size_t i = 0; i < len; i++) {
		unsigned byte;
		if (i >= FRAME_MAX || sscanf(text + 2 * i, "%2x", &byte) != 1) {
			errno = EINVAL;
			die(text);
		}
		frame[i] = (uint8_t)byte;
	}
	return len;
}

/* Receives one frame; puts the outer VLAN tag, which the kernel took off, back. 0: the guest's own. */
static size_t
receive(int fd, uint8_t *frame)
{
	char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
	struct sockaddr_ll from;
	struct iovec iov = {frame, FRAME_MAX};
	struct msghdr msg = {
		.msg_name = &from,
		.msg_namelen = sizeof(from),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t len = recvmsg(fd, &msg, 0);
	if (len < 0) {
		die("recvmsg");
	}
	if (from.sll_pkttype == PACKET_OUTGOING || len < 14) {
		return 0;
	}
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		struct tpacket_auxdata aux;
		if (c->cmsg_level != SOL_PACKET || c->cmsg_type != PACKET_AUXDATA) {
			continue;
		}
		memcpy(&aux, CMSG_DATA(c), sizeof(aux));
		if (aux.tp_status & TP_STATUS_VLAN_VALID && len + 4 <= FRAME_MAX) {
			bool has_tpid = aux.tp_status & TP_STATUS_VLAN_TPID_VALID;
			uint16_t tag[2] = {htons(has_tpid ? aux.tp_vlan_tpid : ETH_P_8021Q),
				htons(aux.tp_vlan_tci)};
			memmove(frame + 16, frame + 12, (size_t)len - 12);
			memcpy(frame + 12, tag, sizeof(tag));
			len += 4;
		}
	}
	return (size_t)len;
}

static int
run_receive(int fd, int seconds, long n_frames)
{
	static uint8_t frame[FRAME_MAX];
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	time_t end_ms = now.tv_sec * 1000 + now.tv_nsec / 1000000 + seconds * 1000L;
	while (n_frames) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		time_t left_ms = end_ms - (now.tv_sec * 1000 + now.tv_nsec / 1000000);
		struct pollfd wait = {fd, POLLIN, 0};
		if (left_ms <= 0 || poll(&wait, 1, (int)left_ms) <= 0) {
			break;
		}
		size_t len = receive(fd, frame);
		for (size_t i = 0; i < len; i++) {
			printf("%02x", frame[i]);
		}
		if (len) {
			printf("\n");
			fflush(stdout);
			n_frames--;
		}
	}
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc >= 4 && strcmp(argv[1], "send") == 0) {
		static uint8_t frame[FRAME_MAX];
		int fd = open_device(argv[2]);
		for (int i = 3; i < argc; i++) {
			size_t len = parse_hex(argv[i], frame);
			if (send(fd, frame, len, 0) != (ssize_t)len) {
				die("send");
			}
		}
		return 0;
	}
	if (argc >= 4 && strcmp(argv[1], "recv") == 0) {
		return run_receive(
			open_device(argv[2]), atoi(argv[3]), argc > 4 ? atol(argv[4]) : -1);
	}
	fprintf(stderr, "usage: frames send DEVICE HEX.. | frames recv DEVICE SECONDS [N]\n");
	return 2;
}
