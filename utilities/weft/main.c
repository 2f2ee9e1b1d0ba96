/* SPDX-License-Identifier: Apache-2.0
 *
 * weft(8).
 */
#include <signal.h>
#include <stdio.h>

#include "utilities/weft/cli.h"

int
main(int argc, char **argv)
{
	signal(SIGPIPE, SIG_DFL);
	return cli_main(argc, argv, stdin, stdout, stderr);
}
