package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"offboard/limiter"
)

// A worker takes a token, makes one call and reports how it ended. The deferred
// report counts only if no better one came before it.
func Example() {
	l, err := limiter.New(limiter.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()

	call := func(send func() (status int, err error)) error {
		t, err := l.Take(context.Background())
		if err != nil {
			return err
		}
		defer t.GivenUp()
		status, err := send()
		switch {
		case err != nil:
			return err
		case status == http.StatusTooManyRequests:
			t.Refused(limiter.Throttle{Wait: 8 * time.Second, Period: time.Minute})
		default:
			t.Answered()
		}
		return nil
	}
	fmt.Println(call(func() (int, error) { return http.StatusCreated, nil }))
	fmt.Println(call(func() (int, error) { return 0, errors.New("connection reset") }))
	for _, q := range l.Status().Quotas {
		fmt.Printf("%d of %s\n", q.Used, q.Quota)
	}
	// Output:
	// <nil>
	// connection reset
	// 2 of 100 per 1m0s
	// 2 of 1500 per 1h0m0s
}

// A campaign is planned before it begins: 10,000 calls take six hours and nine
// minutes and a few seconds, with a guard of a second on every window.
func ExampleLimiter_Forecast() {
	l, err := limiter.New(limiter.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	for _, calls := range []int{100, 1500, 10000} {
		fmt.Println(calls, l.Forecast(calls).Round(time.Second))
	}
	// Output:
	// 100 0s
	// 1500 14m14s
	// 10000 6h9m15s
}

// A context bounds the wait.
func ExampleLimiter_Take() {
	l, err := limiter.New(limiter.Config{Quotas: []limiter.Quota{{N: 1, Per: time.Hour}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	t, err := l.Take(ctx)
	fmt.Println(err)
	_, again := l.Take(ctx)
	fmt.Println(errors.Is(again, context.DeadlineExceeded))
	t.Answered()
	// Output:
	// <nil>
	// true
}

// Two runs share one account through the ledger, here one after the other.
func ExampleOpenLedger() {
	dir, err := os.MkdirTemp("", "ledger")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	for range 2 {
		g, err := limiter.OpenLedger(filepath.Join(dir, "offboard.ledger"), nil)
		if err != nil {
			fmt.Println(err)
			return
		}
		l, err := limiter.New(limiter.Config{Ledger: g})
		if err != nil {
			fmt.Println(err)
			return
		}
		for range 30 {
			t, err := l.Take(context.Background())
			if err != nil {
				fmt.Println(err)
				return
			}
			t.Answered()
		}
		fmt.Println(l.Status().Quotas[0].Used)
		_ = l.Close()
	}
	// Output:
	// 30
	// 60
}
