package simulator

import (
	"cmp"
	"time"
)

// Window is the way in which the service counts calls against a quota. Which one the real service
// uses is documented nowhere.
type Window int

// The windows that a tenant can count with.
const (
	Sliding     Window = iota // a log: at most N in any rolling window (default)
	Fixed                     // counts from the first call of a window and starts anew when it is over
	WholeSecond               // a log whose times are cut to whole seconds
	TokenBucket               // full at first, and refilled evenly over a window
)

// RetryAfter is the way in which a 429 says how long to wait.
type RetryAfter int

// The ways in which a 429 can say how long to wait.
const (
	RetryAfterSeconds RetryAfter = iota // whole seconds, rounded up (default)
	RetryAfterFloor                     // whole seconds, rounded down: obeyed to the letter it is too early
	RetryAfterDate                      // an HTTP date
	RetryAfterMissing                   // no header, and the message of 2021 without a wait
)

// Defaults of [Config]. The quotas are the documented ones of every endpoint that is served here;
// the token's life is the documented one hour. No document says how long an offboard action of an
// unreachable machine is kept: three days is what is documented for isolation.
const (
	DefaultPerMinute    = 100
	DefaultPerHour      = 1500
	DefaultSettleAfter  = 20 * time.Second
	DefaultTimeOutAfter = 72 * time.Hour
	DefaultTokenLife    = time.Hour
	DefaultPageSize     = 10_000

	DefaultTenantID = "5a1e7c3d-0f42-4b8e-9d61-2c7b3f80a914"
	DefaultClientID = "c9d2b6f0-71a3-4e55-8b0c-64e1f7a2d38b"
	// DefaultClientSecret opens nothing but a simulated tenant.
	DefaultClientSecret = "simulated-secret"
)

// Config describes a tenant. The zero value is a tenant without machines that has the real
// service's limits and answers at once.
type Config struct {
	Machines int   // how many machines the tenant is born with
	Seed     int64 // the same seed makes the same machines, the same action ids and the same chances

	TenantID     string // default [DefaultTenantID]
	ClientID     string // the app registration, default [DefaultClientID]
	ClientSecret string // default [DefaultClientSecret]

	PerMinute    int        // calls of one class and app a minute; 0 means [DefaultPerMinute], negative no limit
	PerHour      int        // the same for an hour; 0 means [DefaultPerHour], negative no limit
	Window       Window     // how calls are counted, default [Sliding]
	CountRefused bool       // calls that are answered 429 count as well
	RetryAfter   RetryAfter // how a 429 says how long to wait, default [RetryAfterSeconds]

	Latency time.Duration // of a call, half of it before the call is counted and half after; default 0
	Jitter  time.Duration // the latency varies by as much as this in both directions; default 0
	ListLag time.Duration // the list of actions shows the tenant as it was so long ago; default 0

	Offline      float64       // share of machines that cannot be reached: their actions stay Pending
	Failing      float64       // share of machines whose actions end Failed
	SettleAfter  time.Duration // from Pending to Succeeded, InProgress half way; 0 means [DefaultSettleAfter], negative never
	CancelRace   time.Duration // what a device would have done within this time of a cancellation it has done, though the action says Cancelled; default 0
	TimeOutAfter time.Duration // an unreachable machine's action is TimeOut then; 0 means [DefaultTimeOutAfter]

	TokenLife time.Duration // 0 means [DefaultTokenLife]
	Roles     []string      // application permissions; nil means Machine.Offboard and Machine.Read.All

	ReturnActive     float64 // share of duplicate offboards that are answered 200 with the pending action, not 400
	AcceptDuplicates bool    // a duplicate offboard makes a second action, and so a second effect
	CommentLimit     int     // characters of a comment that an action keeps; 0 means all, negative none
	PageSize         int     // the most rows in a page; 0 means [DefaultPageSize]

	Faults  []Fault          // what goes wrong; of several that match a request the first is taken
	Now     func() time.Time // default [time.Now]
	Observe func(Request)    // told twice of every request to the API, in the request's own goroutine; may be nil
}

// Stage is how far a request has come when [Config].Observe is told of it.
type Stage int

// The stages of a request.
const (
	Arrived   Stage = iota + 1 // before the request is counted and applied
	Answering                  // after it was applied, before its answer is written
)

// Request is what [Config].Observe is told.
type Request struct {
	Stage     Stage
	Endpoint  Endpoint
	MachineID string // "" where the request is about no single machine
	Number    int    // 1 for the first request to this tenant, sign-in included
}

// withDefaults returns the configuration with every default filled in.
func (c Config) withDefaults() Config {
	c.TenantID = cmp.Or(c.TenantID, DefaultTenantID)
	c.ClientID = cmp.Or(c.ClientID, DefaultClientID)
	c.ClientSecret = cmp.Or(c.ClientSecret, DefaultClientSecret)
	c.PerMinute = cmp.Or(c.PerMinute, DefaultPerMinute)
	c.PerHour = cmp.Or(c.PerHour, DefaultPerHour)
	c.SettleAfter = cmp.Or(c.SettleAfter, DefaultSettleAfter)
	c.TimeOutAfter = cmp.Or(c.TimeOutAfter, DefaultTimeOutAfter)
	c.TokenLife = cmp.Or(c.TokenLife, DefaultTokenLife)
	c.PageSize = cmp.Or(c.PageSize, DefaultPageSize)
	if c.Roles == nil {
		c.Roles = []string{"Machine.Offboard", "Machine.Read.All"}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}
