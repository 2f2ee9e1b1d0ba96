# SPDX-License-Identifier: Apache-2.0
"""A user of groups: each type behind a UDP port, and their descriptions and counters, told again and again."""

from base import App
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub

SELECT, FAST_FAILOVER, ALL, INDIRECT, CHAIN = range(1, 6)
UDP = {SELECT: 1000, FAST_FAILOVER: 2000, ALL: 3000, INDIRECT: 4000, CHAIN: 5000}


class Groups(App):
    def connected(self, datapath):
        parser, proto = datapath.ofproto_parser, datapath.ofproto

        def output(port, *before, **more):
            return parser.OFPBucket(actions=[*before, parser.OFPActionOutput(port)], **more)

        none = {"watch_port": proto.OFPP_ANY, "watch_group": proto.OFPG_ANY}
        to = {"watch_group": proto.OFPG_ANY}
        groups = {
            SELECT: (proto.OFPGT_SELECT, [output(2, weight=1, **none), output(3, weight=3, **none)]),
            FAST_FAILOVER: (proto.OFPGT_FF, [output(2, watch_port=2, **to), output(3, watch_port=3, **to)]),
            ALL: (proto.OFPGT_ALL, [output(2, parser.OFPActionSetField(eth_dst="02:00:00:00:00:22"), **none),
                                    output(3, parser.OFPActionPushVlan(0x8100),
                                           parser.OFPActionSetField(vlan_vid=0x1000 | 33), **none)]),
            INDIRECT: (proto.OFPGT_INDIRECT, [output(3, **none)]),
            CHAIN: (proto.OFPGT_ALL, [parser.OFPBucket(actions=[parser.OFPActionGroup(FAST_FAILOVER)], **none),
                                      parser.OFPBucket(actions=[parser.OFPActionGroup(INDIRECT)], **none)]),
        }
        for group, (kind, buckets) in groups.items():
            self.send(parser.OFPGroupMod(datapath, proto.OFPGC_ADD, kind, group, buckets))
            self.flow(datapath, {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": UDP[group]},
                      [self.apply(datapath, parser.OFPActionGroup(group))])
        self.send(parser.OFPGroupFeaturesStatsRequest(datapath, 0))
        self.send(parser.OFPGroupDescStatsRequest(datapath, 0))
        # A loop of groups and a group that is there are refused.
        self.send(parser.OFPGroupMod(datapath, proto.OFPGC_ADD, proto.OFPGT_INDIRECT, INDIRECT, [output(2, **none)]))
        self.send(parser.OFPGroupMod(datapath, proto.OFPGC_MODIFY, proto.OFPGT_INDIRECT, INDIRECT,
                                     [parser.OFPBucket(actions=[parser.OFPActionGroup(CHAIN)], **none)]))
        hub.spawn(self.ask, datapath)

    def ask(self, datapath):
        while True:
            hub.sleep(0.2)
            self.send(datapath.ofproto_parser.OFPGroupStatsRequest(datapath, 0, datapath.ofproto.OFPG_ALL))

    @set_ev_cls(ofp_event.EventOFPGroupStatsReply, MAIN_DISPATCHER)
    def on_stats(self, event):
        self.tell("stats", groups={group.group_id: [group.packet_count, group.byte_count, group.ref_count, [
            bucket.packet_count for bucket in group.bucket_stats]] for group in event.msg.body})

    @set_ev_cls(ofp_event.EventOFPGroupDescStatsReply, MAIN_DISPATCHER)
    def on_desc(self, event):
        self.tell("desc", groups={group.group_id: [group.type, len(group.buckets)] for group in event.msg.body})

    @set_ev_cls(ofp_event.EventOFPGroupFeaturesStatsReply, MAIN_DISPATCHER)
    def on_group_features(self, event):
        self.tell("features", types=event.msg.body.types, max_groups=event.msg.body.max_groups)

    @set_ev_cls(ofp_event.EventOFPPortStatus, MAIN_DISPATCHER)
    def on_port_status(self, event):
        desc = event.msg.desc
        self.tell("port", reason=event.msg.reason, port=desc.port_no, state=desc.state, config=desc.config)
