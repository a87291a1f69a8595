package main

import (
	"io/fs"

	"golang.org/x/sys/windows"
)

// machineDirectory is where the settings are that hold for everybody. It is asked
// of the system: %ProgramData% is whatever the environment says.
func machineDirectory() (string, error) {
	return windows.KnownFolderPath(windows.FOLDERID_ProgramData, windows.KF_FLAG_DEFAULT)
}

// stranger says nothing: whoever may write to the directory is a matter of its
// access rights (docs/policy.md).
func stranger(fs.FileInfo, int) string { return "" }
