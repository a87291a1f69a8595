package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Options says how to open a journal.
type Options struct {
	// ReadOnly opens an existing journal without changing it. Any number of
	// readers may have it open at once, but none while a writer has it.
	ReadOnly bool
	// LockTimeout is how long to wait for other processes. Default 1 s.
	LockTimeout time.Duration
	// Now is the clock of records and events. Default [time.Now].
	Now func() time.Time
	// Operator is recorded with what a person decides, such as "account@host".
	Operator string
}

// Journal is the journal of one tenant. Its methods may be called by many
// goroutines at once. It has to be closed.
type Journal struct {
	db       *database
	path     string
	tenant   Tenant
	created  bool
	readOnly bool
	now      func() time.Time
	operator string
	identity fs.FileInfo // of the file that is open
	ahead    sync.Once   // see readAll

	mu        sync.RWMutex
	campaigns map[uint32]*Campaign // written by the committer alone

	operations chan *operation
	closing    chan struct{}
	closeOnce  sync.Once
	closeErr   error
	stopped    chan struct{}         // closed when the committer has ended
	broken     atomic.Pointer[error] // why nothing is written any more
}

// Open opens the journal at path, and creates it, together with missing
// directories, when it does not exist: file mode 0600, directories 0700. With
// Options.ReadOnly or the zero Tenant it has to exist; the zero Tenant takes it
// whosever it is.
//
// The error is an *[Error] that wraps [ErrLocked], [ErrForeign],
// [ErrNotAJournal], [ErrVersion], [ErrDamaged], [io/fs.ErrNotExist] or what the
// operating system says. A file that is no journal is never written to.
func Open(path string, t Tenant, o Options) (*Journal, error) {
	if o.LockTimeout <= 0 {
		o.LockTimeout = time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, &Error{Path: path, Op: "open", Err: err}
	}
	t.ID = strings.ToLower(t.ID)
	j := &Journal{
		path: abs, tenant: t, readOnly: o.ReadOnly, now: o.Now, operator: o.Operator,
		campaigns:  map[uint32]*Campaign{},
		operations: make(chan *operation), closing: make(chan struct{}), stopped: make(chan struct{}),
	}
	if err := j.open(o.LockTimeout); err != nil {
		return nil, &Error{Path: abs, Op: "open", Hint: hintFor(err), Err: err}
	}
	if j.readOnly {
		close(j.stopped)
	} else {
		go j.commitAll()
	}
	return j, nil
}

// open looks before it leaps: the file is read without any right to write
// before it is opened for writing, since bbolt may write to whatever it opens.
func (j *Journal) open(timeout time.Duration) error {
	err := inspect(j.path)
	if errors.Is(err, fs.ErrNotExist) && !j.readOnly && j.tenant != (Tenant{}) {
		j.created, err = create(j.path, binding{Tenant: j.tenant, Created: j.now().UTC()})
	}
	if err != nil {
		return err
	}
	db, _, err := openBolt(j.path, true, timeout)
	if err == nil && !j.readOnly {
		if err = errors.Join(j.load(db), db.Close()); err != nil {
			return err
		}
		db, j.identity, err = openBolt(j.path, false, timeout)
	}
	if err != nil {
		return err
	}
	if err := j.load(db); err != nil {
		return errors.Join(err, db.Close())
	}
	j.db = db
	return nil
}

// load verifies that the file is a journal of the tenant and reads its campaigns.
func (j *Journal) load(db *database) error {
	bound, err := readBinding(db.DB)
	if err != nil {
		return err
	}
	if j.tenant != (Tenant{}) && j.tenant != bound.Tenant {
		return foreignError(bound.Tenant)
	}
	j.tenant = bound.Tenant
	return guard(func() error {
		return db.View(func(tx *bolt.Tx) error { return j.loadCampaigns(tx.Bucket(campaignBucket)) })
	})
}

// hintFor returns what a person can do about an error.
func hintFor(err error) string {
	switch {
	case errors.Is(err, ErrLocked):
		return "wait for the other run to end, or stop it with 'offboard stop'"
	case errors.Is(err, ErrForeign):
		return "name another journal, or sign in to the tenant that this one belongs to"
	case errors.Is(err, ErrNotAJournal):
		return "name another file; this one was not touched"
	case errors.Is(err, ErrVersion):
		return "use the version of the program that wrote it, or a newer one"
	case errors.Is(err, ErrNotEnlisted):
		return "run the campaign again with its list"
	case errors.Is(err, ErrInDoubt):
		return "a look at the tenant's actions settles it, or a person's verdict"
	case errors.Is(err, ErrDamaged):
		return "keep the file; 'offboard journal recover' makes a new one of what can be read of it"
	case errors.Is(err, ErrReplaced):
		return "put the file back before you resume: it alone knows what was sent; if it is lost, a new journal takes over what the tenant's action list shows"
	case errors.Is(err, ErrStopped) && !errors.Is(err, os.ErrClosed):
		return "see to the disk and run again; what was acknowledged is not lost"
	}
	return ""
}

// Created says whether this Open created the journal: it knows nothing yet of
// what other hosts did.
func (j *Journal) Created() bool { return j.created }

// Path returns the journal's absolute path.
func (j *Journal) Path() string { return j.path }

// Tenant returns what the journal is bound to.
func (j *Journal) Tenant() Tenant { return j.tenant }

// Close waits for the changes under way and gives the file free. Changes that
// are tried later fail with [ErrStopped]. A second Close does nothing.
func (j *Journal) Close() error {
	j.closeOnce.Do(func() {
		close(j.closing)
		<-j.stopped
		if err := guard(j.db.Close); err != nil {
			j.closeErr = &Error{Path: j.path, Op: "close", Err: err}
		}
	})
	return j.closeErr
}

// view runs fn in a read transaction. What fn keeps it has to copy.
func (j *Journal) view(op string, fn func(tx *bolt.Tx) error) error {
	err := guard(func() error { return j.db.View(fn) })
	if errors.Is(err, berrors.ErrDatabaseNotOpen) {
		err = errClosed
	}
	return j.explain(op, err)
}

// explain makes an *Error of an error that is none yet.
func (j *Journal) explain(op string, err error) error {
	var known *Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &Error{Path: j.path, Op: op, Hint: hintFor(err), Err: err}
}
