/* SPDX-License-Identifier: Apache-2.0
 *
 * Underlay: messages of route netlink, taken apart.
 *
 * Limits:   a multipath route's nexthops beyond OF_UNDERLAY_MAX_PATHS are left out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <string.h>

#include "controller-agent/underlay_netlink.h"

static void read_nexthops(const struct nlattr *multipath, struct underlay_answer *answer);
static void hand_out(struct nlmsghdr *m, const struct underlay_news_ops *ops, void *user);

/* --- attributes ----------------------------------------------------------------------------------- */

static bool
get_addr(const struct nlattr *attribute, struct of_underlay_addr *a)
{
	return attribute && underlay_addr_read(nla_data(attribute), (size_t)nla_len(attribute), a);
}

static uint32_t
get_u32(const struct nlattr *attribute)
{
	return attribute && nla_len(attribute) >= 4 ? nla_get_u32(attribute) : 0;
}

/* Of the route's family, or of another one. */
static void
get_gateway(struct nlattr **tb, struct underlay_nexthop *nh)
{
	nh->has_gateway = get_addr(tb[RTA_GATEWAY], &nh->gateway);
	if (!nh->has_gateway && tb[RTA_VIA] &&
		(size_t)nla_len(tb[RTA_VIA]) > sizeof(struct rtvia)) {
		const struct rtvia *via = nla_data(tb[RTA_VIA]);

		nh->has_gateway = underlay_addr_read(
			via->rtvia_addr, (size_t)nla_len(tb[RTA_VIA]) - sizeof(*via), &nh->gateway);
	}
}

/* --- routes --------------------------------------------------------------------------------------- */

int
underlay_parse_route(struct nlmsghdr *m, struct underlay_answer *answer)
{
	struct nlattr *tb[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	const struct rtmsg *head;

	memset(answer, 0, sizeof(*answer));
	if ((m->nlmsg_type != RTM_NEWROUTE && m->nlmsg_type != RTM_DELROUTE) ||
		nlmsg_parse(m, sizeof(*head), tb, RTA_MAX, NULL) < 0) {
		return -EPROTO;
	}
	head = nlmsg_data(m);
	if (head->rtm_family != AF_INET && head->rtm_family != AF_INET6) {
		return -EPROTO;
	}
	answer->type = head->rtm_type;
	answer->prefix_len = head->rtm_dst_len;
	answer->table = tb[RTA_TABLE] ? get_u32(tb[RTA_TABLE]) : head->rtm_table;
	answer->metric = get_u32(tb[RTA_PRIORITY]);
	answer->nexthop_id = get_u32(tb[RTA_NH_ID]);
	if (!get_addr(tb[RTA_DST], &answer->prefix) && head->rtm_family == AF_INET) {
		answer->prefix = (struct of_underlay_addr){{[10] = 0xff, 0xff}};
	}
	answer->has_source = get_addr(tb[RTA_PREFSRC], &answer->source);
	if (tb[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) >= 0) {
		answer->mtu = get_u32(metrics[RTAX_MTU]);
	}
	if (tb[RTA_MULTIPATH]) {
		read_nexthops(tb[RTA_MULTIPATH], answer);
	} else if (tb[RTA_OIF]) {
		answer->nexthops[0] = (struct underlay_nexthop){.ifindex = get_u32(tb[RTA_OIF]),
			.weight = 1,
			.is_dead = head->rtm_flags & RTNH_F_DEAD};
		get_gateway(tb, &answer->nexthops[0]);
		answer->n_nexthops = 1;
	}
	return 0;
}

static void
read_nexthops(const struct nlattr *multipath, struct underlay_answer *answer)
{
	const struct rtnexthop *at = nla_data(multipath);
	int left = nla_len(multipath);

	for (; answer->n_nexthops < OF_UNDERLAY_MAX_PATHS && left >= (int)sizeof(*at) &&
		at->rtnh_len >= sizeof(*at) && at->rtnh_len <= left;
		left -= (int)RTNH_ALIGN(at->rtnh_len), at = RTNH_NEXT(at)) {
		struct underlay_nexthop *nh = &answer->nexthops[answer->n_nexthops];
		struct nlattr *tb[RTA_MAX + 1];

		if (nla_parse(tb, RTA_MAX, (struct nlattr *)(void *)RTNH_DATA(at),
			    at->rtnh_len - (int)sizeof(*at), NULL) < 0) {
			return;
		}
		*nh = (struct underlay_nexthop){.ifindex = (uint32_t)at->rtnh_ifindex,
			.weight = (uint16_t)(at->rtnh_hops + 1),
			.is_dead = at->rtnh_flags & RTNH_F_DEAD};
		get_gateway(tb, nh);
		answer->n_nexthops++;
	}
}

/* --- links, neighbours ---------------------------------------------------------------------------- */

int
underlay_parse_link(struct nlmsghdr *m, struct underlay_link *link)
{
	struct nlattr *tb[IFLA_MAX + 1];
	const struct ifinfomsg *head;

	if ((m->nlmsg_type != RTM_NEWLINK && m->nlmsg_type != RTM_DELLINK) ||
		nlmsg_parse(m, sizeof(*head), tb, IFLA_MAX, NULL) < 0) {
		return -EPROTO;
	}
	head = nlmsg_data(m);
	if (head->ifi_family != AF_UNSPEC) {
		return -EPROTO; /* a bridge's view of its port */
	}
	*link = (struct underlay_link){.ifindex = (uint32_t)head->ifi_index,
		.mtu = get_u32(tb[IFLA_MTU]),
		.is_up = head->ifi_flags & IFF_UP,
		.has_carrier = (head->ifi_flags & IFF_UP) && (head->ifi_flags & IFF_RUNNING),
		.is_ethernet = head->ifi_type == ARPHRD_ETHER};
	if (tb[IFLA_ADDRESS] && nla_len(tb[IFLA_ADDRESS]) == 6) {
		memcpy(link->mac, nla_data(tb[IFLA_ADDRESS]), 6);
	}
	if (tb[IFLA_IFNAME]) {
		nla_strlcpy(link->name, tb[IFLA_IFNAME], sizeof(link->name));
	}
	return 0;
}

int
underlay_parse_neighbour(struct nlmsghdr *m, struct underlay_neighbour *n)
{
	struct nlattr *tb[NDA_MAX + 1];
	const struct ndmsg *head;

	if ((m->nlmsg_type != RTM_NEWNEIGH && m->nlmsg_type != RTM_DELNEIGH) ||
		nlmsg_parse(m, sizeof(*head), tb, NDA_MAX, NULL) < 0) {
		return -EPROTO;
	}
	head = nlmsg_data(m);
	*n = (struct underlay_neighbour){
		.ifindex = (uint32_t)head->ndm_ifindex, .state = head->ndm_state};
	if ((head->ndm_flags & NTF_PROXY) || !get_addr(tb[NDA_DST], &n->address)) {
		return -ENOENT;
	}
	n->has_mac = tb[NDA_LLADDR] && nla_len(tb[NDA_LLADDR]) == 6;
	if (n->has_mac) {
		memcpy(n->mac, nla_data(tb[NDA_LLADDR]), 6);
	}
	return 0;
}

/* --- news ----------------------------------------------------------------------------------------- */

void
underlay_hand_out_news(void *data, size_t size, const struct underlay_news_ops *ops, void *user)
{
	struct nlmsghdr *m = data;
	int left = (int)size;

	for (; left > 0 && nlmsg_ok(m, left); m = nlmsg_next(m, &left)) {
		hand_out(m, ops, user);
	}
}

static void
hand_out_address(struct nlmsghdr *m, const struct underlay_news_ops *ops, void *user)
{
	struct nlattr *tb[IFA_MAX + 1];
	const struct ifaddrmsg *head;
	struct of_underlay_addr address;

	if (nlmsg_parse(m, sizeof(*head), tb, IFA_MAX, NULL) < 0) {
		return;
	}
	head = nlmsg_data(m);
	/* IFA_ADDRESS is the other end's where IFA_LOCAL is ours. */
	if (get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], &address)) {
		ops->address(user, head->ifa_index, &address, m->nlmsg_type == RTM_DELADDR);
	}
}

static void
hand_out(struct nlmsghdr *m, const struct underlay_news_ops *ops, void *user)
{
	struct underlay_answer route;
	struct underlay_neighbour n;
	struct underlay_link link;

	switch (m->nlmsg_type) {
	case RTM_NEWLINK:
	case RTM_DELLINK:
		if (!underlay_parse_link(m, &link)) {
			ops->link(user, &link, m->nlmsg_type == RTM_DELLINK);
		}
		return;
	case RTM_NEWADDR:
	case RTM_DELADDR:
		hand_out_address(m, ops, user);
		return;
	case RTM_NEWROUTE:
	case RTM_DELROUTE:
		if (!underlay_parse_route(m, &route)) {
			ops->route(user, &route.prefix, route.prefix_len);
		}
		return;
	case RTM_NEWNEIGH:
	case RTM_DELNEIGH:
		if (!underlay_parse_neighbour(m, &n)) {
			ops->neighbour(user, &n, m->nlmsg_type == RTM_DELNEIGH);
		}
		return;
	case RTM_NEWRULE:
	case RTM_DELRULE:
		ops->rule(user);
		return;
	case RTM_NEWNEXTHOP:
	case RTM_DELNEXTHOP:
		ops->nexthop(user);
		return;
	default:
		return;
	}
}

/* --- addresses ------------------------------------------------------------------------------------ */

bool
underlay_addr_read(const void *bytes, size_t size, struct of_underlay_addr *a)
{
	*a = (struct of_underlay_addr){{[10] = 0xff, 0xff}};
	if (size == 4) {
		memcpy(a->v + 12, bytes, 4);
	} else if (size == 16) {
		memcpy(a->v, bytes, 16);
	}
	return size == 4 || size == 16;
}

const char *
underlay_addr_text(const struct of_underlay_addr *a, char *text)
{
	bool v4 = underlay_addr_is_v4(a);

	return inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? a->v + 12 : a->v, text, UNDERLAY_ADDR_SIZE);
}

bool
underlay_addr_parse(const char *text, struct of_underlay_addr *a)
{
	*a = (struct of_underlay_addr){{[10] = 0xff, 0xff}};
	return inet_pton(AF_INET, text, a->v + 12) == 1 || inet_pton(AF_INET6, text, a->v) == 1;
}
