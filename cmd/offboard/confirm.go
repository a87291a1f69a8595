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
	what := p.renewedWords() + fmt.Sprintf("Campaign %q will offboard %s. This cannot be taken back once a machine has acted on it.", f.campaign, plural(p.send.Len(), "machine"))
	if n := len(p.doubted); n > 0 {
		what = fmt.Sprintf("%s in doubt will be asked about, and sent if nothing had arrived.\n", plural(n, "machine")) + what
	}
	return a.agree(ctx, p.send.Len(), f.yes, what)
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
	typed, same, err := a.typeNumber(ctx, machines, what)
	if err == nil && !same {
		err = usageError("not confirmed: %q is not %d; nothing was sent", typed, machines)
	}
	return err
}

// typeNumber shows what is about to happen and has a person type how many machines
// it happens to. It returns what was typed, and whether that is the number.
func (a *app) typeNumber(ctx context.Context, machines int, what string) (typed string, same bool, err error) {
	if a.foot != nil {
		defer a.foot.hide()()
	}
	_, _ = fmt.Fprintf(a.env.stderr, "%s\nType the number of machines to go on: ", what)
	if typed, err = a.answer(ctx); err != nil {
		return "", false, err
	}
	typed = strings.TrimSpace(typed)
	n, err := strconv.Atoi(strings.ReplaceAll(typed, ",", ""))
	return typed, err == nil && n == machines, nil
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
