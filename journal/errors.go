package journal

import (
	"errors"
	"strings"
	"time"
)

// Errors of [Open].
var (
	// ErrLocked: another process has the journal open.
	ErrLocked = errors.New("the journal is locked by another process")
	// ErrForeign: the journal belongs to another tenant or cloud.
	ErrForeign = errors.New("the journal belongs to another tenant")
	// ErrNotAJournal: the file is something else; it was not touched.
	ErrNotAJournal = errors.New("not a journal")
	// ErrVersion: the journal was written by a newer version of this program.
	ErrVersion = errors.New("the journal has a newer schema version")
)

// Errors of any use of a journal.
var (
	// ErrDamaged: a checksum does not match, or the file holds what cannot be.
	ErrDamaged = errors.New("the journal is damaged")
	// ErrStopped: a commit failed before, or the journal was closed; nothing
	// more is written until it is opened anew.
	ErrStopped = errors.New("the journal takes no more writes")
	// ErrReplaced: the file was moved, deleted or replaced while it was open.
	// What was written is in the file that was there before.
	ErrReplaced = errors.New("the journal is not where it was")
	// ErrReadOnly: the journal was opened for reading.
	ErrReadOnly = errors.New("the journal is open for reading only")
)

// Errors of campaigns and their machines.
var (
	// ErrNoCampaign: no campaign of this name.
	ErrNoCampaign = errors.New("no such campaign")
	// ErrCampaignExists: a campaign of this name was started before.
	ErrCampaignExists = errors.New("the campaign exists already")
	// ErrCampaignName: the name is empty, too long or not printable.
	ErrCampaignName = errors.New("unusable campaign name")
	// ErrRules: the rules of a campaign are no JSON.
	ErrRules = errors.New("the campaign's rules are no JSON")
	// ErrCommentFixed: a campaign's comment was set before and stays.
	ErrCommentFixed = errors.New("the campaign's comment cannot change")
	// ErrNotEnlisted: no list was taken to its end, so nothing may be sent.
	ErrNotEnlisted = errors.New("the campaign's list was not taken to its end")
	// ErrMachineID: not 40 hexadecimal digits.
	ErrMachineID = errors.New("not a machine id")
	// ErrNotFound: the machine is not in the campaign.
	ErrNotFound = errors.New("the machine is not in the campaign")
	// ErrTransition: the machine's state does not allow this.
	ErrTransition = errors.New("not possible in this state")
	// ErrSettled: the machine was accepted or has succeeded; see Error.By.
	ErrSettled = errors.New("already settled")
	// ErrInDoubt: a request for the machine is under way or its outcome is
	// unknown; see Error.By.
	ErrInDoubt = errors.New("an earlier request is in doubt")
	// ErrOtherAction: the action is not the one that this attempt can have made:
	// it was recorded before, or the machine's record names another.
	ErrOtherAction = errors.New("the action belongs to something else")
	// ErrNotOurs: the campaign did not ask for the action, or nobody knows it.
	ErrNotOurs = errors.New("the campaign did not ask for this action")
)

// Error says what the journal could not do. Errors.Is finds the sentinel that
// it wraps.
type Error struct {
	Path     string // the journal's absolute path
	Op       string // what was tried, such as "begin"
	Machine  string // machine id, if it concerns one
	Campaign string // campaign, if it concerns one
	From, To State  // the transition that was tried, if any
	// By and At tell, with ErrSettled and ErrInDoubt, which campaign holds the
	// machine's live record, and since when it stands as From says.
	By   string
	At   time.Time
	Hint string // what a person can do about it
	Err  error
}

// Error describes all fields but the hint in one line.
func (e *Error) Error() string {
	var s strings.Builder
	s.WriteString("journal")
	if e.Path != "" {
		s.WriteString(" " + e.Path)
	}
	if e.Op != "" {
		s.WriteString(": " + e.Op)
	}
	if e.Machine != "" {
		s.WriteString(" machine " + e.Machine)
	}
	if e.Campaign != "" {
		s.WriteString(" in campaign " + e.Campaign)
	}
	if e.From.valid() && e.To.valid() {
		s.WriteString(" from " + e.From.String() + " to " + e.To.String())
	}
	s.WriteString(": " + e.Err.Error())
	if e.By != "" {
		s.WriteString(" (" + e.From.String() + " in campaign " + e.By + " since " + e.At.UTC().Format(time.RFC3339) + ")")
	}
	return s.String()
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
