package main

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"

	"github.com/spf13/pflag"

	"offboard/internal/failpoint"
	"offboard/journal"
	"offboard/limiter"
	"offboard/runner"
)

// campaignFlags are what run and resume have in common.
type campaignFlags struct {
	connectionFlags
	quotaFlags
	workFlags
	budgetFlags
	journalFlags
	outputFlag
	progressFlags
}

func (f *campaignFlags) bind(fs *pflag.FlagSet) {
	f.connectionFlags.bind(fs)
	f.quotaFlags.bind(fs)
	f.workFlags.bind(fs)
	f.budgetFlags.bind(fs)
	f.journalFlags.bind(fs)
	f.outputFlag.bind(fs)
	f.progressFlags.bind(fs)
}

func (f *campaignFlags) validate() error {
	return errors.Join(f.validateConnection(), f.workFlags.validate(), f.budgetFlags.validate(), f.outputFlag.validate(), f.progressFlags.validate())
}

// bindReading is bind for the commands that send nothing, validateReading is
// their validate.
func (f *campaignFlags) bindReading(fs *pflag.FlagSet) {
	f.connectionFlags.bind(fs)
	f.quotaFlags.bind(fs)
	f.journalFlags.bind(fs)
	f.outputFlag.bind(fs)
	f.bindRetryFor(fs)
}

func (f *campaignFlags) validateReading() error {
	return errors.Join(f.validateConnection(), f.validateRetryFor(), f.outputFlag.validate())
}

func (f *campaignFlags) validateConnection() error {
	_, err := f.limits()
	if f.timeout <= 0 {
		err = errors.Join(err, usageError("--timeout %s is not above 0", f.timeout))
	}
	return err
}

// session is everything that a campaign is carried out with.
type session struct {
	app *app
	f   *campaignFlags

	tenant  journal.Tenant
	path    string // of the journal
	reading bool   // nothing may be created or changed
	journal *journal.Journal
	*connection
	calls, lists *limiter.Limiter
	directory    *runner.Directory
	live         *live             // while the door is open
	inventory    *runner.Inventory // whole, if the list was made of it
	given        runTerms          // what a person gave for this run
	reportTo     string            // file to leave a report in; "" none
	pageFlags    *dashboardFlags
	pageListener net.Listener // of the live page until it is served; nil none
}

// open locks the journal and signs in, in this order: a second run learns at once
// that there is a first. A journal that does not exist is created by prepare, and
// not before somebody has confirmed; mayLack says that this is no error.
func (a *app) open(ctx context.Context, f *campaignFlags, o journal.Options, mayLack bool) (*session, error) {
	s, err := a.lock(f, o, mayLack)
	if err != nil {
		return nil, err
	}
	if s.connection, err = a.connect(ctx, f, s.tenant); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// lock is open without the sign-in.
func (a *app) lock(f *campaignFlags, o journal.Options, mayLack bool) (*session, error) {
	s := &session{app: a, f: f, tenant: a.journalTenant(&f.connectionFlags), reading: o.ReadOnly}
	if err := s.locate(); err != nil {
		return nil, err
	}
	err := s.openJournal(o)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !mayLack:
		return nil, usageError("there is no journal at %s; start a campaign with 'offboard run LIST'", s.path)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	if err := a.metrics.locked(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// prepare opens everything that a campaign is carried out with, and creates
// what is missing.
func (s *session) prepare() error {
	if s.journal == nil {
		if err := s.createJournal(journal.Options{}); err != nil {
			return err
		}
		if !s.journal.Created() {
			return guardError("run again, to see what is left to do", "another run has begun in %s meanwhile; nothing was sent", s.path)
		}
	}
	s.app.log.Info().Str("journal", s.journal.Path()).Bool("new", s.journal.Created()).Msg("journal open")
	if err := s.recoverKilled(); err != nil {
		return err
	}
	return errors.Join(s.openCalls(limiter.OpenLedger), s.openLists())
}

// recoverKilled turns what a killed run left as sending into doubts.
func (s *session) recoverKilled() error {
	interrupted, err := s.journal.Recover()
	failpoint.Hit(failpoint.Recovered)
	for _, e := range interrupted {
		s.app.log.Warn().Str("machine_id", e.MachineID).Str("campaign", e.Campaign).Msg("in doubt: the last run ended during the request")
	}
	return err
}

func (s *session) locate() (err error) {
	if s.tenant.ID == "" {
		return usageError("which tenant? give --tenant%s or set AZURE_TENANT_ID", s.app.config.choice())
	}
	s.path, err = s.app.journalPath(s.f.journal, s.tenant)
	return err
}

// openJournal opens the journal if it exists; the error is fs.ErrNotExist if not.
func (s *session) openJournal(o journal.Options) error {
	if _, err := os.Stat(s.path); err != nil {
		return err
	}
	return s.createJournal(o)
}

func (s *session) createJournal(o journal.Options) (err error) {
	o.Operator = operator()
	s.journal, err = journal.Open(s.path, s.tenant, o)
	if err == nil && s.app.env.opened != nil {
		s.app.env.opened(s.journal)
	}
	return err
}

// openCalls opens the quota of the offboard API. What the journal knows of the
// last hour is merged in, so a ledger that was lost is made again.
func (s *session) openCalls(open opener) (err error) {
	s.calls, err = s.openLimiter("offboard", s.recentCalls, open)
	return err
}

// openLists opens the quota of the list APIs. A command that may create nothing
// does without a ledger where there is none yet.
func (s *session) openLists() (err error) {
	if s.lists != nil {
		return nil
	}
	open := limiter.OpenLedger
	if s.reading {
		open = existingLedger
	}
	if s.lists, err = s.openLimiter("list", unrecorded, open); err != nil {
		return err
	}
	s.directory = runner.NewDirectory(s.client, s.lists, s.f.retryFor, (&progress{log: s.app.log, tell: func(e runner.Event) { s.live.event(e) }}).event)
	return nil
}

func existingLedger(path string, recent limiter.Recent) (*limiter.Ledger, error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // the limiter then counts in memory
	}
	return limiter.OpenLedger(path, recent)
}

// unrecorded is what the journal knows of the calls to list.
func unrecorded(limiter.Mark) ([]limiter.Call, error) { return nil, nil }

// opener is [limiter.OpenLedger] or [limiter.ReadLedger].
type opener func(path string, recent limiter.Recent) (*limiter.Ledger, error)

func (s *session) openLimiter(api string, recent limiter.Recent, open opener) (*limiter.Limiter, error) {
	config, err := s.f.limits()
	if err != nil {
		return nil, err
	}
	path, err := s.app.ledgerPath(s.tenant, s.appID, api)
	if err != nil {
		return nil, err
	}
	if s.f.mayBeAlone() {
		config.Alone = s.warnAlone
	}
	var unread error
	known := func(m limiter.Mark) ([]limiter.Call, error) {
		calls, err := recent(m)
		unread = err
		return calls, err
	}
	config.Ledger, err = open(path, known)
	switch {
	case unread != nil:
		return nil, unread // the journal's, and nothing that could be done without
	case err != nil:
		if err := s.beginAlone(&config, known, err); err != nil {
			return nil, err
		}
	}
	if config.Ledger != nil {
		if d := config.Ledger.Damage(); d.Header || d.Slots > 0 {
			s.app.log.Warn().Str("ledger", path).Bool("begun_anew", d.Header).Int("slots", d.Slots).Msg("the quota ledger was damaged")
		}
	}
	return limiter.New(config)
}

// close releases everything; what was promised to be on disk is there already.
func (s *session) close() {
	for _, l := range []*limiter.Limiter{s.calls, s.lists} {
		if l != nil {
			_ = l.Close()
		}
	}
	if s.pageListener != nil {
		_ = s.pageListener.Close()
	}
	if s.journal != nil {
		_ = s.journal.Close()
	}
}
