/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: sockets of route netlink, questions and news.
 *
 * Place:    underlay_message.c takes the messages apart.
 */
#include "controller-agent/underlay_netlink.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/alloc.h"
#include "lib/error.h"

#define BUFFER_SIZE 65536u
/* What the kernel may keep for us while the loop is busy; it gives what it allows. */
#define NEWS_BYTES (8 << 20)

static const int groups[] = {
	RTNLGRP_LINK,
	RTNLGRP_NEIGH,
	RTNLGRP_IPV4_IFADDR,
	RTNLGRP_IPV6_IFADDR,
	RTNLGRP_IPV4_ROUTE,
	RTNLGRP_IPV6_ROUTE,
	RTNLGRP_IPV4_RULE,
	RTNLGRP_IPV6_RULE,
	RTNLGRP_NEXTHOP,
};

static int ask(struct underlay_netlink *nl, struct nl_msg *msg, struct nlmsghdr **reply);

/* --- sockets ------------------------------------------------------------------------------------- */

static int
open_news(void)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	struct sockaddr_nl own = {.nl_family = AF_NETLINK};
	int bytes = NEWS_BYTES, rc;

	if (fd < 0) {
		return -errno;
	}
	/* A socket without an address of its own hears nothing that the kernel itself has done. */
	if (bind(fd, (struct sockaddr *)&own, sizeof(own))) {
		rc = -errno;
		close(fd);
		return rc;
	}
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes))) {
		/* Without privilege as much as everybody gets. */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	}
	for (unsigned i = 0; i < WEFT_ARRAY_SIZE(groups); i++) {
		/* Kernels before 5.3 have no nexthop objects. */
		if (setsockopt(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &groups[i],
			    sizeof(groups[i])) &&
			groups[i] != RTNLGRP_NEXTHOP) {
			rc = -errno;
			close(fd);
			return rc;
		}
	}
	return fd;
}

bool
underlay_netlink_open(struct underlay_netlink *nl, struct weft_error *err)
{
	*nl = (struct underlay_netlink){.ask_fd = -1, .news_fd = -1, .dump_fd = -1};
	nl->ask_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	nl->dump_fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	if (nl->ask_fd < 0 || nl->dump_fd < 0) {
		underlay_netlink_close(nl);
		return weft_error_set(err, WEFT_ERR_SYSTEM, errno,
			"the kernel's routes: netlink socket: %s", strerror(errno));
	}
	nl->news_fd = open_news();
	if (nl->news_fd < 0) {
		int rc = nl->news_fd;

		underlay_netlink_close(nl);
		return weft_error_set(err, WEFT_ERR_SYSTEM, -rc,
			"the kernel's routes: news of netlink: %s", strerror(-rc));
	}
	nl->answer = xmalloc(BUFFER_SIZE);
	nl->news = xmalloc(BUFFER_SIZE);
	return true;
}

void
underlay_netlink_close(struct underlay_netlink *nl)
{
	if (nl->ask_fd >= 0) {
		close(nl->ask_fd);
	}
	if (nl->news_fd >= 0) {
		close(nl->news_fd);
	}
	if (nl->dump_fd >= 0) {
		close(nl->dump_fd);
	}
	free(nl->answer);
	free(nl->news);
	*nl = (struct underlay_netlink){.ask_fd = -1, .news_fd = -1, .dump_fd = -1};
}

/* --- questions ----------------------------------------------------------------------------------- */

static struct nl_msg *
message(int type, void *head, size_t size)
{
	struct nl_msg *msg = nlmsg_alloc_simple(type, NLM_F_REQUEST);

	if (!msg || nlmsg_append(msg, head, size, NLMSG_ALIGNTO)) {
		abort(); /* no memory */
	}
	return msg;
}

static void
put_addr(struct nl_msg *msg, int attribute, const struct of_underlay_addr *a)
{
	bool v4 = underlay_addr_is_v4(a);

	if (nla_put(msg, attribute, v4 ? 4 : 16, v4 ? a->v + 12 : a->v)) {
		abort(); /* no memory */
	}
}

static void
put_u32(struct nl_msg *msg, int attribute, uint32_t value)
{
	if (nla_put_u32(msg, attribute, value)) {
		abort(); /* no memory */
	}
}

static int
ask_route(struct underlay_netlink *nl, const struct of_underlay_addr *local,
	const struct of_underlay_addr *remote, uint32_t ifindex, unsigned flags,
	struct underlay_answer *answer)
{
	bool v4 = underlay_addr_is_v4(remote);
	struct rtmsg head = {.rtm_family = v4 ? AF_INET : AF_INET6,
		.rtm_dst_len = v4 ? 32 : 128,
		.rtm_src_len = local ? (v4 ? 32 : 128) : 0,
		.rtm_flags = flags};
	struct nl_msg *msg = message(RTM_GETROUTE, &head, sizeof(head));
	struct nlmsghdr *reply;
	int rc;

	put_addr(msg, RTA_DST, remote);
	if (local) {
		put_addr(msg, RTA_SRC, local);
	}
	if (ifindex) {
		put_u32(msg, RTA_OIF, ifindex);
	}
	rc = ask(nl, msg, &reply);
	return rc ? rc : underlay_parse_route(reply, answer);
}

int
underlay_ask_route(struct underlay_netlink *nl, const struct of_underlay_addr *local,
	const struct of_underlay_addr *remote, struct underlay_answer *answer)
{
	return ask_route(nl, local, remote, 0, RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE, answer);
}

int
underlay_ask_source(struct underlay_netlink *nl, const struct of_underlay_addr *local,
	const struct of_underlay_addr *remote, uint32_t ifindex, struct underlay_answer *answer)
{
	return ask_route(nl, local, remote, ifindex, 0, answer);
}

int
underlay_ask_link(struct underlay_netlink *nl, uint32_t ifindex, struct underlay_link *link)
{
	struct ifinfomsg head = {.ifi_index = (int)ifindex};
	struct nl_msg *msg = message(RTM_GETLINK, &head, sizeof(head));
	struct nlmsghdr *reply;
	int rc;

	put_u32(msg, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
	rc = ask(nl, msg, &reply);
	return rc ? rc : underlay_parse_link(reply, link);
}

int
underlay_ask_neighbour(struct underlay_netlink *nl, uint32_t ifindex,
	const struct of_underlay_addr *address, struct underlay_neighbour *n)
{
	struct ndmsg head = {.ndm_family = underlay_addr_is_v4(address) ? AF_INET : AF_INET6,
		.ndm_ifindex = (int)ifindex};
	struct nl_msg *msg = message(RTM_GETNEIGH, &head, sizeof(head));
	struct nlmsghdr *reply;
	int rc;

	put_addr(msg, NDA_DST, address);
	rc = ask(nl, msg, &reply);
	return rc ? rc : underlay_parse_neighbour(reply, n);
}

/* --- nexthop objects ------------------------------------------------------------------------------ */

/* Asks for an object; its attributes stand in the buffer until the next question. */
static int
ask_object(struct underlay_netlink *nl, uint32_t id, struct nhmsg *object, struct nlattr **tb)
{
	struct nhmsg head = {0};
	struct nl_msg *msg = message(RTM_GETNEXTHOP, &head, sizeof(head));
	struct nlmsghdr *reply;
	int rc;

	put_u32(msg, NHA_ID, id);
	rc = ask(nl, msg, &reply);
	if (rc) {
		return rc;
	}
	if (reply->nlmsg_type != RTM_NEWNEXTHOP ||
		nlmsg_parse(reply, sizeof(*object), tb, NHA_MAX, NULL) < 0) {
		return -EPROTO;
	}
	*object = *(const struct nhmsg *)nlmsg_data(reply);
	return 0;
}

/* Appends a single object. */
static int
add_object(
	struct underlay_netlink *nl, uint32_t id, uint16_t weight, struct underlay_answer *answer)
{
	struct underlay_nexthop *nh = &answer->nexthops[answer->n_nexthops];
	struct nlattr *tb[NHA_MAX + 1];
	struct nhmsg object;
	int rc = ask_object(nl, id, &object, tb);

	if (rc) {
		return rc;
	}
	if (!tb[NHA_OIF] || nla_len(tb[NHA_OIF]) < 4) {
		return -EPROTO;
	}
	*nh = (struct underlay_nexthop){.ifindex = nla_get_u32(tb[NHA_OIF]),
		.weight = weight,
		.is_dead = object.nh_flags & RTNH_F_DEAD};
	nh->has_gateway =
		tb[NHA_GATEWAY] && underlay_addr_read(nla_data(tb[NHA_GATEWAY]),
					   (size_t)nla_len(tb[NHA_GATEWAY]), &nh->gateway);
	answer->n_nexthops++;
	return 0;
}

int
underlay_ask_nexthops(struct underlay_netlink *nl, struct underlay_answer *answer)
{
	struct nexthop_grp members[OF_UNDERLAY_MAX_PATHS];
	struct nlattr *tb[NHA_MAX + 1];
	struct nhmsg object;
	unsigned n;
	int rc = ask_object(nl, answer->nexthop_id, &object, tb);

	answer->n_nexthops = 0;
	if (rc) {
		return rc;
	}
	if (!tb[NHA_GROUP]) {
		return add_object(nl, answer->nexthop_id, 1, answer);
	}
	n = WEFT_MIN((unsigned)nla_len(tb[NHA_GROUP]) / (unsigned)sizeof(members[0]),
		(unsigned)OF_UNDERLAY_MAX_PATHS);
	memcpy(members, nla_data(tb[NHA_GROUP]), n * sizeof(members[0]));
	for (unsigned i = 0; i < n; i++) {
		rc = add_object(nl, members[i].id, (uint16_t)(members[i].weight + 1), answer);
		if (rc) {
			return rc;
		}
	}
	return 0;
}

/* --- asking --------------------------------------------------------------------------------------- */

/* Sends the question and takes its answer, which stands in the buffer. Frees @msg. */
static int
ask(struct underlay_netlink *nl, struct nl_msg *msg, struct nlmsghdr **reply)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct nlmsghdr *head = nlmsg_hdr(msg);
	ssize_t got;
	int rc = 0;

	head->nlmsg_seq = ++nl->sequence;
	nl->n_asked++;
	if (sendto(nl->ask_fd, head, head->nlmsg_len, 0, (struct sockaddr *)&kernel,
		    sizeof(kernel)) < 0) {
		rc = -errno;
	}
	nlmsg_free(msg);
	while (!rc) {
		/* The answer is there already: if it were not, something is wrong, and waiting for
		 * it would stop the loop. */
		got = recv(nl->ask_fd, nl->answer, BUFFER_SIZE, MSG_DONTWAIT);
		if (got < 0) {
			rc = errno == EINTR ? 0 : errno == EAGAIN ? -EPROTO : -errno;
			continue;
		}
		*reply = (struct nlmsghdr *)(void *)nl->answer;
		if (!nlmsg_ok(*reply, (int)got) || (*reply)->nlmsg_seq != nl->sequence) {
			continue; /* of a question that was given up */
		}
		if ((*reply)->nlmsg_type != NLMSG_ERROR) {
			return 0;
		}
		rc = nlmsg_datalen(*reply) >= (int)sizeof(struct nlmsgerr)
			     ? ((const struct nlmsgerr *)nlmsg_data(*reply))->error
			     : -EPROTO;
		return rc < 0 ? rc : -EPROTO;
	}
	return rc;
}

/* --- news ----------------------------------------------------------------------------------------- */

int
underlay_read_news(struct underlay_netlink *nl, const struct underlay_news_ops *ops, void *user)
{
	ssize_t got;

	do {
		got = recv(nl->news_fd, nl->news, BUFFER_SIZE, MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0) {
		return -errno;
	}
	underlay_hand_out_news(nl->news, (size_t)got, ops, user);
	return 0;
}

/* --- listing -------------------------------------------------------------------------------------- */

int
underlay_list_addresses(struct underlay_netlink *nl)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	struct ifaddrmsg head = {0};
	struct nl_msg *msg = message(RTM_GETADDR, &head, sizeof(head));
	struct nlmsghdr *h = nlmsg_hdr(msg);
	int rc = 0;

	h->nlmsg_flags |= NLM_F_DUMP;
	h->nlmsg_seq = ++nl->dump_sequence;
	nl->n_asked++;
	if (sendto(nl->dump_fd, h, h->nlmsg_len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) <
		0) {
		rc = -errno;
	}
	nlmsg_free(msg);
	return rc;
}

int
underlay_read_addresses(
	struct underlay_netlink *nl, const struct underlay_news_ops *ops, void *user)
{
	struct nlmsghdr *m = (struct nlmsghdr *)(void *)nl->answer;
	ssize_t got = recv(nl->dump_fd, nl->answer, BUFFER_SIZE, MSG_DONTWAIT);
	int left = (int)got;
	bool done = false;

	if (got < 0 && (errno == EINTR || errno == ENOBUFS)) {
		/* A part is lost, the others come. */
		nl->dump_is_torn |= errno == ENOBUFS;
		return 0;
	}
	if (got < 0) {
		return -errno;
	}
	for (; left > 0 && nlmsg_ok(m, left) && !done; m = nlmsg_next(m, &left)) {
		if (m->nlmsg_seq != nl->dump_sequence) {
			continue;
		}
		nl->dump_is_torn |= (m->nlmsg_flags & NLM_F_DUMP_INTR) != 0;
		done = m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR;
		if (m->nlmsg_type == RTM_NEWADDR) {
			underlay_hand_out_news(m, m->nlmsg_len, ops, user);
		}
		nl->dump_is_torn |= m->nlmsg_type == NLMSG_ERROR;
	}
	if (done && nl->dump_is_torn) {
		nl->dump_is_torn = false;
		return -EINTR;
	}
	return done;
}
