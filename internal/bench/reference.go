package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"offboard/input"
)

// reference is what the product is compared with, and the product's own reader by
// itself. Each runs in a process of its own and prints the seconds that the work
// took, so that nothing before or after it counts.
func reference(ctx context.Context, args []string, stdout io.Writer) error {
	fs := flag.NewFlagSet("reference", flag.ContinueOnError)
	url := fs.String("url", "", "server of the loop")
	workers := fs.Int("workers", 1, "goroutines of the loop")
	log := fs.String("log", "", "file to which the loop appends twice a call, with fsync")
	work := map[string]func(path string) error{
		"print":  func(string) error { return nil },
		"loop":   func(list string) error { return loop(ctx, *url, *workers, *log, list) },
		"csv":    readCSV,
		"json":   readJSON,
		"ndjson": readNDJSON,
		"read":   readWhole,
		"input":  func(path string) error { return readInput(ctx, path) },
	}
	if err := fs.Parse(args); err != nil {
		return err
	}
	do := work[fs.Arg(0)]
	if do == nil {
		return fmt.Errorf("no reference %q", fs.Arg(0))
	}
	began := time.Now()
	if err := do(fs.Arg(1)); err != nil {
		return err
	}
	_, err := fmt.Fprintln(stdout, time.Since(began).Seconds())
	return err
}

// loop makes the calls of a list of ids with a plain client.
func loop(ctx context.Context, url string, workers int, log, list string) error {
	ids, err := idsOf(list)
	if err != nil {
		return err
	}
	note, closeLog, err := appender(log)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: workers}
	var next atomic.Int64
	var group sync.WaitGroup
	failed := make(chan error, workers)
	for range workers {
		group.Go(func() {
			for n := next.Add(1) - 1; n < int64(len(ids)); n = next.Add(1) - 1 {
				err := errors.Join(note(), post(ctx, transport, url, ids[n]), note())
				if err != nil {
					failed <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failed)
	return errors.Join(<-failed, closeLog())
}

// appender returns what appends a line to a log and syncs it; without a path, what
// does nothing.
func appender(path string) (note, closeLog func() error, err error) {
	none := func() error { return nil }
	if path == "" {
		return none, none, nil
	}
	f, err := os.Create(path) //nolint:gosec // the path is the harness's
	if err != nil {
		return nil, nil, err
	}
	line := make([]byte, 600)
	return func() error {
		_, err := f.Write(line)
		return errors.Join(err, f.Sync())
	}, f.Close, nil
}

func post(ctx context.Context, transport *http.Transport, url, id string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/api/machines/"+id+"/offboard", strings.NewReader(`{"Comment":"why"}`))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer none")
	request.Header.Set("Content-Type", "application/json")
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct{ ID, Status string }
	return json.NewDecoder(response.Body).Decode(&answer)
}

func idsOf(list string) ([]string, error) {
	f, err := os.Open(list) //nolint:gosec // the path is the harness's
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var ids []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if id, _, _ := strings.Cut(lines.Text(), ","); len(id) == 40 {
			ids = append(ids, id)
		}
	}
	return ids, lines.Err()
}

// readCSV keeps id and name, as a careful script would.
func readCSV(path string) error {
	f, err := os.Open(path) //nolint:gosec // the path is the harness's
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	r := csv.NewReader(bufio.NewReaderSize(f, 64<<10))
	r.ReuseRecord = true
	var kept [][2]string
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return expect(len(kept) > 1)
		}
		if err != nil {
			return err
		}
		kept = append(kept, [2]string{row[0], row[1]})
	}
}

// row is what the lists hold of a machine.
type row struct{ ID, ComputerDNSName, Owner, Site, Ticket, OSPlatform, OnboardingStatus, LastSeen string }

func readJSON(path string) error { return decode(path, 3) } // {, "value", [

func readNDJSON(path string) error { return decode(path, 0) }

// decode streams rows that begin after so many tokens, and keeps nothing.
func decode(path string, tokens int) error {
	f, err := os.Open(path) //nolint:gosec // the path is the harness's
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	d := json.NewDecoder(bufio.NewReaderSize(f, 64<<10))
	for range tokens {
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	rows := 0
	for d.More() {
		var r row
		if err := d.Decode(&r); err != nil {
			return err
		}
		rows++
	}
	return expect(rows > 1)
}

func readWhole(path string) error {
	f, err := os.Open(path) //nolint:gosec // the path is the harness's
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	buffer := make([]byte, 1<<20)
	for {
		if _, err := f.Read(buffer); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
	}
}

// readInput is the product's own reader, with everything that it checks.
func readInput(ctx context.Context, path string) error {
	list, err := input.Read(ctx, path, input.Options{})
	if err != nil {
		return err
	}
	return expect(list.Machines.Len() > 1)
}

func expect(read bool) error {
	if !read {
		return errors.New("nothing was read")
	}
	return nil
}
