package main

import (
	"strings"
	"time"

	"github.com/spf13/pflag"

	"offboard/defender"
	"offboard/limiter"
	"offboard/runner"
)

// connectionFlags say which tenant of which cloud is spoken to, and as whom.
// Secrets are never flags: they come from the environment or a file.
type connectionFlags struct {
	tenant, clientID, auth                  string
	cloud, region, apiURL, authority, scope string
	caFile                                  string
	timeout                                 time.Duration
}

func (f *connectionFlags) bind(fs *pflag.FlagSet) {
	f.bindTenant(fs)
	fs.StringVar(&f.clientID, "client-id", "", "app registration's `id` (default $AZURE_CLIENT_ID)")
	fs.StringVar(&f.auth, "auth", "auto", "sign in by `method`: "+strings.Join(defender.AuthMethods(), ", "))
	fs.StringVar(&f.region, "region", "", "regional API host: us, eu, uk, au, swa, ina")
	fs.StringVar(&f.authority, "authority-url", "", "sign-in `URL` (overrides --cloud)")
	fs.StringVar(&f.scope, "scope", "", "token `scope` (overrides --cloud)")
	fs.StringVar(&f.caFile, "ca-file", "", "PEM `file` with certificates to trust beside the system's")
	fs.DurationVar(&f.timeout, "timeout", defender.DefaultTimeout, "bound on one request, from connection to the last byte")
}

// bindTenant binds what a command needs that only finds the journal.
func (f *connectionFlags) bindTenant(fs *pflag.FlagSet) {
	fs.StringVar(&f.tenant, "tenant", "", "Entra tenant `id` (default $AZURE_TENANT_ID)")
	fs.StringVar(&f.cloud, "cloud", "public", "public, gcc, gcc-high or dod")
	fs.StringVar(&f.apiURL, "api-url", "", "root `URL` of the API, to which /api/... is appended (overrides --cloud and --region)")
}

// quotaFlags say how much of the service's quota may be used.
type quotaFlags struct {
	perMinute, perHour int
	share              float64
	pace               string
}

func (f *quotaFlags) bind(fs *pflag.FlagSet) {
	fs.IntVar(&f.perMinute, "per-minute", 100, "calls a minute that the service allows")
	fs.IntVar(&f.perHour, "per-hour", 1500, "calls an hour that the service allows")
	fs.Float64Var(&f.share, "share", 1, "part of the quota to take (0 to 1); other tools may use the same app registration")
	fs.StringVar(&f.pace, "pace", "burst", "burst (as fast as the quota allows) or even")
}

// limits is what the flags make of the service's quotas.
func (f *quotaFlags) limits() (limiter.Config, error) {
	c := limiter.Config{
		Quotas: []limiter.Quota{{N: f.perMinute, Per: time.Minute}, {N: f.perHour, Per: time.Hour}},
		Share:  f.share,
	}
	var err error
	if c.Pace, err = limiter.ParsePace(f.pace); err != nil {
		return c, usageError("--pace %q is not burst or even", f.pace)
	}
	if f.perMinute < 1 || f.perHour < 1 {
		return c, usageError("--per-minute and --per-hour are at least 1")
	}
	if f.share <= 0 || f.share > 1 {
		return c, usageError("--share %g is not above 0 and at most 1", f.share)
	}
	return c, nil
}

// workFlags say how a campaign is carried out; run and resume share them.
type workFlags struct {
	workers              int
	settleWait, retryFor time.Duration
	newJournal, wait     bool
}

func (f *workFlags) bind(fs *pflag.FlagSet) {
	fs.IntVar(&f.workers, "workers", runner.DefaultWorkers, "calls in flight at the same time, 1 to 64")
	fs.DurationVar(&f.settleWait, "settle-wait", runner.DefaultSettleWait, "time after which absence from the action list is believed")
	f.bindRetryFor(fs)
	fs.BoolVar(&f.wait, "wait", false, "when all are sent, follow them until every action has ended (see 'offboard follow')")
	f.bindNewJournal(fs)
}

func (f *workFlags) bindNewJournal(fs *pflag.FlagSet) {
	fs.BoolVar(&f.newJournal, "new-journal", false, "begin a new journal without permission to list what other hosts did")
}

func (f *workFlags) bindRetryFor(fs *pflag.FlagSet) {
	fs.DurationVar(&f.retryFor, "retry-for", runner.DefaultRetryFor, "how long an unreachable service is waited for")
}

func (f *workFlags) validate() error {
	switch {
	case f.workers < 1 || f.workers > runner.MaxWorkers:
		return usageError("--workers %d is not 1 to %d", f.workers, runner.MaxWorkers)
	case f.settleWait <= 0:
		return usageError("--settle-wait %s is not above 0", f.settleWait)
	}
	return f.validateRetryFor()
}

func (f *workFlags) validateRetryFor() error {
	if f.retryFor <= 0 {
		return usageError("--retry-for %s is not above 0", f.retryFor)
	}
	return nil
}

// journalFlags find the journal and the campaign in it.
type journalFlags struct{ journal, campaign string }

func (f *journalFlags) bind(fs *pflag.FlagSet) {
	f.bindJournal(fs)
	fs.StringVar(&f.campaign, "campaign", "", "`name` of the campaign")
}

// bindJournal is bind for the commands that are about the whole journal.
func (f *journalFlags) bindJournal(fs *pflag.FlagSet) {
	fs.StringVar(&f.journal, "journal", "", "journal `file` (default: one per tenant and cloud in the state directory)")
}

// outputFlag chooses the form of the result on stdout.
type outputFlag struct{ output string }

func (f *outputFlag) bind(fs *pflag.FlagSet) {
	fs.StringVar(&f.output, "output", "text", "result on stdout as `text` or json")
}

func (f *outputFlag) validate() error {
	if f.output != "text" && f.output != "json" {
		return usageError("--output %q is not text or json", f.output)
	}
	return nil
}
