package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/pflag"

	"offboard/internal/dashboard"
	"offboard/journal"
	"offboard/runner"
)

// dashboardFlags say where the live page is served.
type dashboardFlags struct {
	dashboard string // "": nowhere
	remote    bool
}

func (f *dashboardFlags) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.dashboard, "dashboard", "", "serve a live page of the campaign at this `address`, such as 127.0.0.1:8765; port 0 takes a free one")
	f.bindRemote(fs)
}

func (f *dashboardFlags) bindRemote(fs *pflag.FlagSet) {
	fs.BoolVar(&f.remote, "dashboard-remote", false, "let the live page's address be one that other hosts reach; the link and all that it shows go there without encryption")
}

// listen opens the address before anything is sent. It is nil when none was given.
func (f *dashboardFlags) listen(ctx context.Context) (net.Listener, error) {
	if f.dashboard == "" {
		return nil, nil //nolint:nilnil // nobody asked for a page
	}
	exposed, err := f.exposed()
	if err != nil {
		return nil, usageError("the live page's address: %w", err)
	}
	if !f.remote && exposed {
		return nil, &commandError{
			code: exitUsage, hint: "serve it at 127.0.0.1 and reach it by 'ssh -L', or add --dashboard-remote",
			err: fmt.Errorf("the live page's address %s can be reached from other hosts", f.dashboard),
		}
	}
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", f.dashboard)
	if err != nil {
		return nil, &commandError{code: exitUsage, err: fmt.Errorf("the live page: %w", err), hint: "give another port, or 0 for a free one"}
	}
	return l, nil
}

// exposed says whether other hosts reach the address. Of names localhost alone is
// known to stay.
func (f *dashboardFlags) exposed() (bool, error) {
	host, _, err := net.SplitHostPort(f.dashboard)
	if err != nil {
		return false, err
	}
	address, notOne := netip.ParseAddr(host)
	return !strings.EqualFold(host, "localhost") && (notOne != nil || !address.IsLoopback()), nil
}

// host is the name that was given, "" for an address.
func (f *dashboardFlags) host() string {
	host, _, _ := net.SplitHostPort(f.dashboard)
	if _, err := netip.ParseAddr(host); err == nil {
		return ""
	}
	return host
}

// tellPage tells a person where the page is. The link goes to standard error alone,
// and to no file: who has it can stop the run.
func (a *app) tellPage(f *dashboardFlags, page *dashboard.Server, l net.Listener) {
	if exposed, _ := f.exposed(); exposed {
		a.log.Warn().Str("address", l.Addr().String()).Msg("the live page can be reached from other hosts, and goes there without encryption: who sees the traffic can read it and stop the run")
	}
	link := page.Link(f.host())
	if onConsole(a.env, a.logFormat) {
		_, _ = fmt.Fprintf(a.env.stderr, "Live page: %s\n", link)
	} else {
		log := newLogger(a.raw, a.logFormat, zerolog.InfoLevel)
		log.Info().Str("link", link).Msg("live page")
	}
	if a.logFile != "" {
		a.log.Info().Str("address", l.Addr().String()).Msg("live page")
	}
}

// pageAt has the live page listen; it is served when there is a campaign to show.
func (s *session) pageAt(ctx context.Context, f *dashboardFlags) (err error) {
	s.pageFlags = f
	s.pageListener, err = f.listen(ctx)
	return err
}

// servePage serves the campaign that the process works at, until the function that
// it returns is called.
func (s *session) servePage(c *journal.Campaign, kind string) (done func()) {
	l := s.pageListener
	if l == nil {
		return func() {}
	}
	s.pageListener = nil // the server closes it
	shown := newShownRun(s, c, kind)
	o := dashboard.Options{Host: s.pageFlags.host(), Who: operator() + " on the live page", States: stateNames()}
	if kind == pageOfRun {
		o.Controls = s.live
	} else {
		o.Why = "Nothing is sent, so there is nothing to pause; 'offboard stop' ends it."
	}
	if m := s.app.metrics; m != nil && m.beside {
		o.Handlers = map[string]http.Handler{"/metrics": m.handler()}
	}
	page := dashboard.Serve(l, shown, o)
	s.live.watch(func(e runner.Event) {
		shown.note(e)
		switch {
		case e.MachineID != "":
			page.Changed(e.MachineID)
		case e.Kind == runner.EventTenantRead && e.Adopted > 0:
			page.Refill()
		}
	})
	s.app.tellPage(s.pageFlags, page, l)
	return func() { _ = page.Close() }
}

func stateNames() (names []string) {
	for _, s := range journal.States() {
		names = append(names, s.String())
	}
	return names
}
