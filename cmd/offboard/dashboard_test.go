package main

import "testing"

// TestExposed: only what is certainly loopback counts as such.
func TestExposed(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"127.0.0.1:8765": false, "127.9.9.9:0": false, "[::1]:8765": false, "localhost:1": false, "LocalHost:1": false, "[::ffff:127.0.0.1]:1": false,
		"0.0.0.0:1": true, ":1": true, "[::]:1": true, "10.0.0.5:1": true, "jump.example:1": true, "localhost.example:1": true, "127.1:1": true,
	} {
		if got, err := (&dashboardFlags{dashboard: address}).exposed(); err != nil || got != want {
			t.Errorf("%s: %t, %v; want %t", address, got, err, want)
		}
	}
	for _, address := range []string{"", "8765", "127.0.0.1", "::1:80:90"} {
		if _, err := (&dashboardFlags{dashboard: address}).exposed(); err == nil {
			t.Errorf("%q is an address", address)
		}
	}
}
