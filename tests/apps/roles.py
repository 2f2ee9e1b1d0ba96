# SPDX-License-Identifier: Apache-2.0
"""One of two that fight for a switch: FIGHTER (1 or 2) is its number, ROUNDS how often it wants to win.

It writes one flow, its number and round in the cookie, as long as it may. Refused as a slave it asks for the generation
and becomes master with the next one; when that is stale it asks again. Having won its rounds it stays a slave.
"""

import os

from base import App
from os_ken.controller import ofp_event
from os_ken.controller.handler import CONFIG_DISPATCHER, MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub

NUMBER, ROUNDS = int(os.environ["FIGHTER"]), int(os.environ["ROUNDS"])


class Fighter(App):
    def connected(self, datapath):
        self.round = 0
        self.asked = None
        self.ask(datapath, datapath.ofproto.OFPCR_ROLE_NOCHANGE, 0)

    def ask(self, datapath, role, generation):
        self.asked = role
        self.send(datapath.ofproto_parser.OFPRoleRequest(datapath, role, generation))

    @set_ev_cls(ofp_event.EventOFPRoleReply, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def on_role(self, event):
        message = event.msg
        datapath, proto = message.datapath, message.datapath.ofproto
        self.tell("role", role=message.role, generation=message.generation_id)
        if self.asked == proto.OFPCR_ROLE_MASTER:
            self.round += 1
            self.tell("won", round=self.round, generation=message.generation_id)
            self.write(datapath)
        elif self.asked == proto.OFPCR_ROLE_NOCHANGE:
            # All ones: nobody has given one yet.
            generation = (message.generation_id + 1) % (1 << 64)
            self.ask(datapath, proto.OFPCR_ROLE_MASTER, generation)

    def write(self, datapath):
        parser = datapath.ofproto_parser
        self.flow(datapath, {"in_port": 1}, [self.apply(datapath, parser.OFPActionOutput(2))],
                  cookie=NUMBER << 32 | self.round)
        self.barrier = self.send(parser.OFPBarrierRequest(datapath))
        self.refused = False

    @set_ev_cls(ofp_event.EventOFPBarrierReply, MAIN_DISPATCHER)
    def on_written(self, event):
        datapath = event.msg.datapath
        if event.msg.xid != getattr(self, "barrier", None):
            return
        if not self.refused:
            self.tell("wrote", round=self.round)
            hub.spawn_after(0.05, self.write, datapath)
        elif self.round < ROUNDS:
            self.ask(datapath, datapath.ofproto.OFPCR_ROLE_NOCHANGE, 0)
        else:
            self.tell("rests")

    @set_ev_cls(ofp_event.EventOFPErrorMsg, [CONFIG_DISPATCHER, MAIN_DISPATCHER])
    def on_error(self, event):
        message, proto = event.msg, event.msg.datapath.ofproto
        if (message.type, message.code) == (proto.OFPET_BAD_REQUEST, proto.OFPBRC_IS_SLAVE):
            self.refused = True
            self.tell("refused", round=self.round)
        elif (message.type, message.code) == (proto.OFPET_ROLE_REQUEST_FAILED, proto.OFPRRFC_STALE):
            self.tell("stale")
            self.ask(message.datapath, proto.OFPCR_ROLE_NOCHANGE, 0)
        else:
            super().on_error(event)

    @set_ev_cls(ofp_event.EventOFPPacketIn, MAIN_DISPATCHER)
    def on_packet_in(self, event):
        self.tell("packet-in", port=event.msg.match["in_port"])
