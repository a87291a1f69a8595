package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"offboard/internal/ratio"
)

// parallel compares a campaign with what one types who has GNU parallel and curl,
// in real time and so with few machines: the delay keeps to the limit of a minute,
// and the server answers at once. Without the two it is left out, and that is said.
func (b *bench) parallel(ctx context.Context) error {
	const machines, delay = 50, "0.6"
	parallel, err := exec.LookPath("parallel")
	if _, lacking := exec.LookPath("curl"); err != nil || lacking != nil {
		_, err = fmt.Fprintln(b.log, "GNU parallel and curl are not both to be had: their row is left out")
		return err
	}
	list, err := b.list("csv", machines)
	if err != nil {
		return err
	}
	ids, err := idsOf(list)
	if err != nil {
		return err
	}
	s, err := serve()
	if err != nil {
		return err
	}
	defer func() { _ = s.http.Close() }()
	state := filepath.Join(b.dir, "beside-parallel")
	defer func() { _ = os.RemoveAll(state) }()
	args := []string{"--delay", delay, "--jobs", "8", "curl", "--silent", "--fail", "--request", "POST", s.url + "/api/machines/{}/offboard", ":::"}
	theirs, err := measureProcess(ctx, []string{"HOME=" + b.dir}, []int{0}, parallel, append(args, ids...)...)
	if err != nil {
		return err
	}
	if calls := s.count() - 1; calls != machines {
		return fmt.Errorf("GNU parallel made %d calls of %d", calls, machines)
	}
	ours, err := measureProcess(ctx, s.environment(state), []int{0}, b.offboard, "run", list, "--comment", "CHG-4711 retired", "--yes", "--log-level", "error")
	if err != nil {
		return err
	}
	return b.report(ratio.Row{
		What: fmt.Sprintf("%d machines in real time", machines), Reference: "GNU parallel --delay " + delay + " with curl",
		Measured: ours.wall.Seconds() / theirs.wall.Seconds(), AtMost: 1,
		Note: fmt.Sprintf("%.3g s, against %.3g s, one turn; so few calls meet no 429 either way", ours.wall.Seconds(), theirs.wall.Seconds()),
	})
}
