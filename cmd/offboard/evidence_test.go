package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	named    = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9]+|[a-z]+\\.txtar)`")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Za-z0-9]+)\(`)
)

// TestNamedEvidence: every test that a document names as evidence exists.
func TestNamedEvidence(t *testing.T) {
	t.Parallel()
	root := filepath.Join("..", "..")
	exist := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || d.IsDir():
			return err
		case strings.HasSuffix(path, ".txtar"):
			exist[filepath.Base(path)] = true
		case strings.HasSuffix(path, "_test.go"):
			text, err := os.ReadFile(path)
			for _, f := range declared.FindAllSubmatch(text, -1) {
				exist[string(f[1])] = true
			}
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for document, atLeast := range map[string]int{"security.md": 30, "guarantees.md": 0} {
		text, err := os.ReadFile(filepath.Join(root, "docs", document))
		if errors.Is(err, fs.ErrNotExist) && atLeast == 0 {
			continue
		}
		names := named.FindAllSubmatch(text, -1)
		if err != nil || len(names) < atLeast {
			t.Errorf("%s names %d tests, %v", document, len(names), err)
		}
		for _, name := range names {
			if !exist[string(name[1])] {
				t.Errorf("%s names %s, which does not exist", document, name[1])
			}
		}
	}
}
