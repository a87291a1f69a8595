//go:build unix

package main

import (
	"fmt"
	"os"
	"syscall"
)

func fileOwner(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "", nil
	}
	return fmt.Sprint(stat.Uid), nil
}
