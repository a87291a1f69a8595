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
	what := p.renewedWords() + fmt.Sprintf("Campaign %q will offboard %s. This cannot be taken back once a machine has acted on it.", f.campaign, plural(len(p.send), "machine"))
	if n := len(p.doubted); n > 0 {
		what = fmt.Sprintf("%s in doubt will be asked about, and sent if nothing had arrived.\n", plural(n, "machine")) + what
	}
	return a.agree(ctx, len(p.send), f.yes, what)
}

// agree shows what is about to happen to so many machines, unless somebody said
// yes already.
func (a *app) agree(ctx context.Context, machines int, yes bool, what string) error {
	if yes || machines == 0 {
		return nil
	}
	if !a.env.interactive {
		return usageError("no terminal to confirm %s on; give --yes", plural(machines, "machine"))
	}
	_, _ = fmt.Fprintf(a.env.stderr, "%s\nType the number of machines to go on: ", what)
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
