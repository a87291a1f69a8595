//go:build unix

package main

import (
	"fmt"
	"io/fs"
	"runtime"
	"syscall"
)

// machineDirectory is where the settings are that hold for everybody.
func machineDirectory() (string, error) {
	if runtime.GOOS == "darwin" {
		return "/Library/Application Support", nil
	}
	return "/etc", nil
}

// stranger says why others than root and the owner could have changed a file or
// directory, "" if they could not.
func stranger(info fs.FileInfo, owner int) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || stat.Uid != 0 && int(stat.Uid) != owner:
		return "does not belong to root"
	case info.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("can be written by others than its owner (mode %04o)", info.Mode().Perm())
	}
	return ""
}
