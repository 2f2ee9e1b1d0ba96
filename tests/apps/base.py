# SPDX-License-Identifier: Apache-2.0
"""What the applications here have in common: they tell what they see as lines of JSON, for the test to read."""

import json

from os_ken.base import app_manager
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.ofproto import ofproto_v1_3


class App(app_manager.OSKenApp):
    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]

    def tell(self, what, **facts):
        print(json.dumps({"what": what, **facts}), flush=True)

    @set_ev_cls(ofp_event.EventOFPSwitchFeatures, CONFIG_DISPATCHER)
    def on_features(self, event):
        self.connected(event.msg.datapath)
        self.send(event.msg.datapath.ofproto_parser.OFPBarrierRequest(event.msg.datapath))

    @set_ev_cls(ofp_event.EventOFPBarrierReply, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def on_barrier(self, event):
        self.tell("barrier", xid=event.msg.xid)

    @set_ev_cls(ofp_event.EventOFPErrorMsg, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def on_error(self, event):
        self.tell("error", type=event.msg.type, code=event.msg.code, xid=event.msg.xid)

    def connected(self, datapath):
        """The switch has come; for applications to do their part."""

    @staticmethod
    def send(message):
        """Returns the transaction id that it got."""
        message.datapath.send_msg(message)
        return message.xid

    def flow(self, datapath, match, instructions, priority=1, table=0, **more):
        parser = datapath.ofproto_parser
        return self.send(parser.OFPFlowMod(datapath, table_id=table, priority=priority, match=parser.OFPMatch(**match),
                                           instructions=instructions, **more))

    @staticmethod
    def apply(datapath, *actions):
        return datapath.ofproto_parser.OFPInstructionActions(datapath.ofproto.OFPIT_APPLY_ACTIONS, list(actions))

    def packet_out(self, datapath, data, in_port, *actions):
        proto = datapath.ofproto
        return self.send(datapath.ofproto_parser.OFPPacketOut(datapath, buffer_id=proto.OFP_NO_BUFFER, in_port=in_port,
                                                              actions=list(actions), data=data))
