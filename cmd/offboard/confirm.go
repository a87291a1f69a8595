package main

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"
)

// confirm has a person agree to what is about to be sent. A terminal is asked
// to type the number of machines, since a "y" is typed without reading; without
// one --yes is required.
func (a *app) confirm(ctx context.Context, p preview, f *runFlags) error {
	machines := len(p.send)
	if f.yes || machines == 0 {
		return nil
	}
	if !a.env.interactive {
		return usageError("no terminal to confirm %s on; give --yes", plural(machines, "machine"))
	}
	if n := len(p.doubted); n > 0 {
		_, _ = fmt.Fprintf(a.env.stderr, "%s in doubt will be asked about, and sent if nothing had arrived.\n", plural(n, "machine"))
	}
	_, _ = fmt.Fprintf(a.env.stderr, "Campaign %q will offboard %s. This cannot be taken back once a machine has acted on it.\nType the number of machines to go on: ",
		f.campaign, plural(machines, "machine"))
	answer, err := a.answer(ctx)
	if err != nil {
		return err
	}
	typed, err := strconv.Atoi(strings.ReplaceAll(strings.TrimSpace(answer), ",", ""))
	if err != nil || typed != machines {
		return usageError("not confirmed: %q is not %d; nothing was sent", strings.TrimSpace(answer), machines)
	}
	return nil
}

// answer reads a line, unless the operator interrupts first. The read itself
// cannot be interrupted and is left behind; the command ends anyway.
func (a *app) answer(ctx context.Context) (string, error) {
	lines := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(a.env.stdin).ReadString('\n')
		lines <- line
	}()
	select {
	case line := <-lines:
		if line == "" {
			return "", usageError("not confirmed; nothing was sent")
		}
		return line, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
