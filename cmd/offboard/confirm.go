package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
)

// confirm has a person agree to what is about to be sent. A terminal is asked
// to type the number of machines, since a "y" is typed without reading; without
// one --yes is required.
func (a *app) confirm(f *listFlags, machines int, campaign string) error {
	if f.expect >= 0 && f.expect != machines {
		return guardError("check the list, or give --expect the number that is meant",
			"%s would be sent, not the %d that --expect allows", plural(machines, "machine"), f.expect)
	}
	if f.yes || machines == 0 {
		return nil
	}
	if !a.env.interactive {
		return usageError("no terminal to confirm %s on; give --yes", plural(machines, "machine"))
	}
	_, _ = fmt.Fprintf(a.env.stderr, "Campaign %q will offboard %s. This cannot be taken back once a machine has acted on it.\nType the number of machines to go on: ",
		campaign, plural(machines, "machine"))
	answer, err := bufio.NewReader(a.env.stdin).ReadString('\n')
	if err != nil && answer == "" {
		return usageError("not confirmed; nothing was sent")
	}
	typed, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(answer), ",", ""))
	if err != nil || typed != machines {
		return usageError("not confirmed: %q is not %d; nothing was sent", strings.TrimSpace(answer), machines)
	}
	return nil
}
