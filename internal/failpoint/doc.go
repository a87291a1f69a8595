// Package failpoint has names for the moments between two steps at which the
// torture tests kill the program.
//
// A build with the tag failpoint reads OFFBOARD_FAILPOINT=name:n, and ends as by
// kill -9 when it passes that point for the nth time; every other build has
// nothing of it but the calls of an empty function, which the compiler removes.
//
// A build tag, and not go.etcd.io/gofail, since that tool rewrites the sources in
// place for as long as its points are enabled, under every other test and under
// the eyes of version control. It also has no way to die but a panic, and a panic
// runs the deferred functions that a kill does not.
package failpoint
