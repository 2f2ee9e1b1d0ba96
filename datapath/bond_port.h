/* SPDX-License-Identifier: Apache-2.0
 *
 * Port type bond: what the ports thread tells it of other ports.
 */
#pragma once

#include "datapath/port.h"
#include "lib/compiler.h"

/* A port was made: the bond that names it takes it. */
void bond_port_added(struct port *port) WEFT_REQUIRES(weft_ports);
/* A port is about to be removed: its bond gives it up, and takes it again when it is made anew. */
void bond_port_removed(struct port *port) WEFT_REQUIRES(weft_ports);
