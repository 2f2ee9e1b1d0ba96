# SPDX-License-Identifier: Apache-2.0
"""A user of meters: one drops beyond a rate, one remarks from the first packet on; their counters, told again and again."""

from base import App
from os_ken.controller import ofp_event
from os_ken.controller.handler import MAIN_DISPATCHER, set_ev_cls
from os_ken.lib import hub

DROP, REMARK = 1, 2
UDP = {DROP: 1000, REMARK: 2000}


class Meters(App):
    def connected(self, datapath):
        parser, proto = datapath.ofproto_parser, datapath.ofproto
        flags = proto.OFPMF_PKTPS | proto.OFPMF_BURST | proto.OFPMF_STATS
        bands = {
            DROP: [parser.OFPMeterBandDrop(rate=1, burst_size=10)],
            REMARK: [parser.OFPMeterBandDscpRemark(rate=1, burst_size=1, prec_level=1)],
        }
        for meter, of_meter in bands.items():
            self.send(parser.OFPMeterMod(datapath, proto.OFPMC_ADD, flags, meter, of_meter))
            self.flow(datapath, {"eth_type": 0x0800, "ip_proto": 17, "udp_dst": UDP[meter]},
                      [parser.OFPInstructionMeter(meter, proto.OFPIT_METER),
                       self.apply(datapath, parser.OFPActionOutput(2))])
        self.send(parser.OFPMeterFeaturesStatsRequest(datapath, 0))
        self.send(parser.OFPMeterConfigStatsRequest(datapath, 0, proto.OFPM_ALL))
        # A meter that is there, one that is not, and a flow through that.
        self.send(parser.OFPMeterMod(datapath, proto.OFPMC_ADD, flags, DROP, bands[DROP]))
        self.send(parser.OFPMeterMod(datapath, proto.OFPMC_MODIFY, flags, 9, bands[DROP]))
        self.flow(datapath, {"in_port": 2}, [parser.OFPInstructionMeter(9, proto.OFPIT_METER)])
        hub.spawn(self.ask, datapath)

    def ask(self, datapath):
        while True:
            hub.sleep(0.2)
            self.send(datapath.ofproto_parser.OFPMeterStatsRequest(datapath, 0, datapath.ofproto.OFPM_ALL))

    @set_ev_cls(ofp_event.EventOFPMeterStatsReply, MAIN_DISPATCHER)
    def on_stats(self, event):
        self.tell("stats", meters={meter.meter_id: [meter.packet_in_count, meter.byte_in_count, meter.flow_count, [
            [band.packet_band_count, band.byte_band_count] for band in meter.band_stats]] for meter in event.msg.body})

    @set_ev_cls(ofp_event.EventOFPMeterConfigStatsReply, MAIN_DISPATCHER)
    def on_config(self, event):
        self.tell("config", meters={meter.meter_id: [meter.flags, [[band.type, band.rate, band.burst_size] for band in
                                                                   meter.bands]] for meter in event.msg.body})

    @set_ev_cls(ofp_event.EventOFPMeterFeaturesStatsReply, MAIN_DISPATCHER)
    def on_meter_features(self, event):
        for features in event.msg.body:
            self.tell("features", bands=features.band_types, capabilities=features.capabilities)
