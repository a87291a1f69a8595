// Package door lets the processes of one account speak to the one that holds a
// journal: a Unix socket, or a named pipe on Windows, that only this account can
// open, with HTTP and JSON over it.
//
// Each journal has a door of its own, named by a hash of the path that symbolic
// links lead to. Only who holds the journal's lock may listen at its door: what
// is found there then was left by a process that is dead, and is replaced.
//
// Whoever comes is taken for hostile until the system has said which account it
// is, and for clumsy after that: its time, its bytes and the number of its
// connections are bounded.
package door
