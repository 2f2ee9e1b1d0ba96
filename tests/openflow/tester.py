# SPDX-License-Identifier: Apache-2.0
"""os-ken's switch tester as one of several workers: an application for os_ken.cmd.manager, which takes cases from a list
that all share and writes down results.

Environment: CASES_LIST, a file of "PATH INDEX" lines, INDEX being the number of the case in that file; CASES_CLAIMS, a
folder: a worker claims line N by making the file N there; CASES_RESULTS, the file to which it appends a JSON object for
each case.

Corrected here are faults of the tester, none of the switch: the checksum of SCTP, frames that a real link would pad,
waits that are longer than they need be, and a sender that falls behind its rate.
"""

import json
import os
import time

from os_ken.lib import hub
from os_ken.lib.packet import sctp
from os_ken.tests.switch import tester

PAUSE = 0.04  # between the last flow-mod and the packet
MIN_FRAME = 60


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC32C = crc32c_table()


def sctp_checksum(self, data):
    """RFC 4960, appendix B: the sum's lowest byte is sent first."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ CRC32C[(crc ^ byte) & 0xFF]
    return int.from_bytes((crc ^ 0xFFFFFFFF).to_bytes(4, "little"), "big")


sctp.sctp._checksum = sctp_checksum


tester.INTERVAL = 0.3  # from a packet to the counters of tables, which are read every half second at the latest


def is_same_frame(got, wanted):
    """A link pads short frames; a veth does not. What was padded before it was changed may be longer than that."""
    longest = max(len(got), len(wanted))
    if longest > MIN_FRAME + 32:
        return got == wanted
    shortest = min(len(got), len(wanted))
    same = got[:shortest] == wanted[:shortest]
    return same and not any(got[shortest:] + wanted[shortest:]) and (longest == shortest or shortest <= MIN_FRAME + 14)


class Worker(tester.OfTester):
    def _set_logger(self):
        self.logger.propagate = False

    def _test_sequential_execute(self, _):
        with open(os.environ["CASES_LIST"], encoding="ascii") as lines:
            units = [line.split() for line in lines]
        files = {}
        with open(os.environ["CASES_RESULTS"], "a", encoding="utf-8") as results:
            for number, (path, index) in enumerate(units):
                try:
                    os.close(os.open(os.path.join(os.environ["CASES_CLAIMS"], str(number)), os.O_CREAT | os.O_EXCL))
                except FileExistsError:
                    continue
                if path not in files:
                    files[path] = tester.TestFile(path, self.logger)
                results.write(json.dumps(self._run_unit(path, files[path], int(index))) + "\n")
                results.flush()
        self._test_end()

    def _run_unit(self, path, file, index):
        result = {"path": path, "case": index, "tries": 0}
        for _ in range(2):
            began = time.monotonic()
            result["tries"] += 1
            if index >= len(file.tests):
                result.update(ok=False, description=str(file.description), detail="the file has no such case")
                break
            test = file.tests[index]
            outcome = []
            self.logger.info = lambda text, *words: outcome.append(text % words if words else text)
            verdict = self._test_execute(test, None)
            result.update(
                ok=verdict == tester.TEST_OK,
                description=test.description,
                detail="" if verdict == tester.TEST_OK else outcome[-1].strip(),
                seconds=round(time.monotonic() - began, 2),
            )
            if result["ok"]:
                break
        return result

    def _one_time_packet_send(self, pkt):
        hub.sleep(PAUSE)
        super()._one_time_packet_send(pkt)

    def _continuous_packet_send(self, pkt):
        hub.sleep(PAUSE)
        super()._continuous_packet_send(pkt)

    def _send_packet_thread(self, arg):
        """By the clock: the original counts on a timer that is always in time."""
        event, rate = self.ingress_event, arg["packet_counter_inc"] / tester.CONTINUOUS_THREAD_INTVL
        began, sent = time.monotonic(), 0
        while self.ingress_event is event:
            for _ in range(int((time.monotonic() - began) * rate) - sent):
                data = arg["packet_binary"]
                if arg["randomize"]:
                    packet = eval("/".join(arg["packet_text"]), vars(tester))
                    packet.serialize()
                    data = packet.data
                self.tester_sw.send_packet_out(data)
                sent += 1
            hub.sleep(tester.CONTINUOUS_THREAD_INTVL)

    def _test_flow_matching_check(self, pkt):
        key = tester.KEY_EGRESS if tester.KEY_EGRESS in pkt else tester.KEY_PKT_IN
        wanted = pkt[key]
        original = self.packet_in_filter
        self.packet_in_filter = lambda data: wanted if is_same_frame(data, wanted) else data
        try:
            return super()._test_flow_matching_check(pkt)
        finally:
            self.packet_in_filter = original

    packet_in_filter = None

    def _wait(self):
        super()._wait()
        if self.packet_in_filter and self.state == tester.STATE_FLOW_MATCH_CHK:
            for message in self.rcv_msgs:
                if hasattr(message, "data") and isinstance(message.data, (bytes, bytearray)):
                    message.data = self.packet_in_filter(bytes(message.data))
