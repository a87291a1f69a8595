package failpoint_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"offboard/internal/failpoint"
)

// declared returns the constants of the table, by name.
func declared(t *testing.T) map[string]failpoint.Point {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "points.go", nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]failpoint.Point{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		points[spec.Names[0].Name] = failpoint.Point(value)
		return false
	})
	return points
}

var hit = regexp.MustCompile(`\bfailpoint\.Hit\(failpoint\.(\w+)\)`)

// hits counts the places in the product's code that name each constant.
func hits(t *testing.T, root string) map[string]int {
	t.Helper()
	places := map[string]int{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, found := range hit.FindAllSubmatch(source, -1) {
			places[string(found[1])]++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return places
}

// TestEveryPointIsHit: the table and the product's code name the same points. That
// the torture kills at each of All is its own test's affair.
func TestEveryPointIsHit(t *testing.T) {
	t.Parallel()
	points, places := declared(t), hits(t, filepath.Join("..", ".."))
	if len(points) == 0 || len(points) != len(failpoint.All()) {
		t.Errorf("%d constants, and All has %d", len(points), len(failpoint.All()))
	}
	names := map[failpoint.Point]bool{}
	for constant, name := range points {
		if places[constant] == 0 {
			t.Errorf("nothing hits %s", constant)
		}
		if names[name] || !slices.Contains(failpoint.All(), name) {
			t.Errorf("%s is %q, which another is too or All lacks", constant, name)
		}
		names[name] = true
	}
	for constant := range places {
		if _, ok := points[constant]; !ok {
			t.Errorf("%s is hit and is no point", constant)
		}
	}
}
