package main

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/rs/zerolog"
)

// logFile is the file of --log-file. It may be opened anew while many write to
// it, for a program that rotates logs has given it another name by then.
type logFile struct {
	mu   sync.Mutex
	path string
	file *os.File // nil: not asked for
}

func (l *logFile) open(path string) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.path, err = filepath.Abs(path); err != nil {
		return err
	}
	return l.replace()
}

// reopen goes on in a new file of the same name and reports whether there is a
// log file at all. When that fails the old one is written on.
func (l *logFile) reopen() (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return false, nil
	}
	return true, l.replace()
}

func (l *logFile) replace() error {
	fresh, err := os.OpenFile(l.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if l.file != nil {
		_ = l.file.Close() // every line was written as it came
	}
	l.file = fresh
	return nil
}

// Write appends a line.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Write(line)
}

// hangUp opens the log file anew, and reports false when a hang-up means that the
// terminal is gone, or when there is no log file.
func (e environment) hangUp() bool {
	if e.attached {
		return false
	}
	reopened, err := e.logFile.reopen()
	if err != nil {
		log := newLogger(e, "auto", zerolog.WarnLevel)
		log.Warn().Err(err).Msg("the log file could not be opened anew; going on in the old one")
	}
	return reopened
}
