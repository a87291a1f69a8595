package input_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"offboard/input"
)

const dir = "../testdata/input"

// Ids that stand in testdata.
const (
	firstID  = "b66ec7f8162f3b2f20a898db8c63bef560e7e703"
	secondID = "56f18844cec46b794bf3beae9e1cc08ca6babb22"
	fourthID = "776a8d2c5cb56c6d1d168cc59e30ee149baccca9"
)

// files says what is in each file of testdata: the machines as line:name, and what else the list tells.
var files = map[string]struct {
	o          input.Options
	format     input.Format
	machines   string
	unresolved string
	left       string
	portal     bool
	duplicates int
	columns    string
	values     string // of the first machine
}{
	"portal-a.csv": {
		format: input.CSV, portal: true, machines: "2:pc-001.corp.example 4:srv-003.corp.example", left: "3:pc-002.corp.example",
		columns: "Domain|First Seen|Last device update|OS Platform|OS Distribution|OS Version|OS Build|Windows 10 Version|" +
			"Tags|Group|Is AAD Joined|Device IPs|Risk Level|Exposure Level|Health Status|Onboarding Status|Device Role|" +
			"Cloud Platforms|Managed By|Antivirus status|Is Internet Facing",
		values: "|||Windows11|||||kiosk,berlin||||None|Low|Active|Onboarded||||Not-Supported",
	},
	"portal-b.csv": {
		format: input.CSV, portal: true, machines: "2:pc-001", left: "3:pc-002",
		columns: "Device Category|Device Type|Device Subtype|Discovery sources|Domain|AAD Device Id|First Seen|Last device update|" +
			"OS Platform|OS Distribution|OS Version|OS Build|Windows 10 Version|Tags|Group|Is AAD Joined|Device IPs|Device MACs|" +
			"Risk Level|Exposure Level|Health Status|Onboarding Status|Device Role|Cloud Platforms|Is Internet Facing|" +
			"Enrollment Status Code|Managed By|Enrollment Status|Vendor|Model",
		values: "|||||1F0E3DAD-9990-4B2C-8D6A-0C7F5A9B1E01||||||||||||||||Onboarded||||||||X1",
	},
	"utf16le.csv": {
		format: input.CSV, machines: "2:pc-001 3:pc-002 4:pc-003", columns: "owner|site|ticket", values: "Zoë|Łódź|CHG-1",
	},
	"utf16be.csv": {
		format: input.CSV, machines: "2:pc-001 3:pc-002 4:pc-003", columns: "owner|site|ticket", values: "Zoë|Łódź|CHG-1",
	},
	"basic.csv.gz": {
		format: input.CSV, machines: "2:pc-001 3:pc-002 4:pc-003", columns: "owner|site|ticket", values: "Zoë|Łódź|CHG-1",
	},
	"semicolon.csv":  {format: input.CSV, machines: "3:pc-001 4:pc-002", columns: "Owner", values: "Smith, Ann"},
	"tabs.tsv":       {format: input.CSV, machines: "2:pc-001 3:pc-002", columns: "Owner", values: "Ann"},
	"powershell.csv": {format: input.CSV, machines: "3:pc-001(replaced by pc-101) 4:pc-002"},
	"newlines.csv": {
		format: input.CSV, machines: "2:pc-001 5:pc-002", columns: "notes", values: "first\nsecond, and a \"quote\"",
	},
	"duplicates.csv": {format: input.CSV, machines: "2:pc-001 3:pc-002", duplicates: 1},
	"bad-rows.csv":   {o: input.Options{SkipBadRows: true}, format: input.CSV, machines: "2:pc-001 8:pc-007"},
	"names.csv": {
		o: input.Options{Resolve: true}, format: input.CSV, machines: "4:pc-003",
		unresolved: "2:pc-001 3:1f0e3dad-9990-4b2c-8d6a-0c7f5a9b1e01", columns: "aadDeviceId",
	},
	"odata.json": {
		format: input.JSON, machines: "1:pc-001.corp.example 1:pc-003.corp.example", left: "1:pc-002.corp.example",
		columns: "aadDeviceId|osPlatform|onboardingStatus|machineTags|lastSeen|isExcluded|osBuild|ipAddresses",
		values:  `|Windows11|Onboarded|["kiosk","berlin"]|2026-08-01T10:00:00Z|false|22631|[{"ipAddress":"10.0.0.1"}]`,
	},
	"hunting.json": {
		format: input.JSON, machines: "16:pc-001 22:pc-002", columns: "AadDeviceId|OnboardingStatus", values: "|Onboarded",
	},
	"array.json": {
		format: input.JSON, machines: "2:pc-001.corp.example 21:pc-002.corp.example",
		columns: "aadDeviceId|osPlatform|onboardingStatus|machineTags|lastSeen|isExcluded|osBuild|ipAddresses",
		values:  `|Windows11|Onboarded|["kiosk","berlin"]|2026-08-01T10:00:00Z|false|22631|[{"ipAddress":"10.0.0.1"}]`,
	},
	"ids.json":             {format: input.JSON, machines: "1: 1:"},
	"rows.ndjson":          {format: input.NDJSON, machines: "1:pc-001 2:pc-002", columns: "owner", values: "Ann"},
	"plain.txt":            {format: input.Plain, machines: "3: 4:", duplicates: 1},
	"plain-crlf-utf16.txt": {format: input.Plain, machines: "1: 2:"},
}

func TestFiles(t *testing.T) {
	t.Parallel()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) == 0 {
		t.Fatalf("no files to test with: %v", err)
	}
	if len(entries) != len(files) {
		t.Errorf("%d files, %d expectations", len(entries), len(files))
	}
	for _, entry := range entries {
		t.Run(entry.Name(), func(t *testing.T) {
			t.Parallel()
			want, known := files[entry.Name()]
			if !known {
				t.Fatal("nothing is expected of this file")
			}
			path := filepath.Join(dir, entry.Name())
			l, err := input.Read(t.Context(), path, want.o)
			if err != nil {
				t.Fatal(err)
			}
			checkList(t, l)
			raw, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			sum := sha256.Sum256(raw)
			equal(t, "hash", l.SHA256, hex.EncodeToString(sum[:]))
			equal(t, "format", l.Format, want.format)
			equal(t, "portal", l.Portal, want.portal)
			equal(t, "machines", show(all(l)), want.machines)
			equal(t, "unresolved", show(l.Unresolved), want.unresolved)
			equal(t, "not onboarded", show(l.NotOnboarded), want.left)
			equal(t, "duplicates", l.Duplicates, want.duplicates)
			equal(t, "columns", strings.Join(l.Columns, "|"), want.columns)
			equal(t, "values", strings.Join(l.Machines.At(0).Carried, "|"), want.values)
		})
	}
}

// TestSameIDs: the first machine of every file is the same machine.
func TestSameIDs(t *testing.T) {
	t.Parallel()
	for name, want := range files {
		if name == "names.csv" {
			continue // its first rows have no id
		}
		l, err := input.Read(t.Context(), filepath.Join(dir, name), want.o)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, name, l.Machines.At(0).ID, firstID)
	}
}

func TestBadRows(t *testing.T) {
	t.Parallel()
	path := filepath.Join(dir, "bad-rows.csv")
	want := []string{
		`line 3: column "id": "1f0e3dad-9990-4b2c-8d6a-0c7f5a9b1e01" looks like an Entra device id (a GUID); a Defender machine id is 40 hexadecimal digits`,
		`line 4: column "id": the machine id is missing; it can be looked up with --resolve`,
		`line 5: column "id": "` + fourthID + `ff" is no machine id: 40 hexadecimal digits are needed`,
		`line 6: the row has 3 values, the header 2 columns`,
		`line 7: bare " in non-quoted-field`,
	}
	var rejects strings.Builder
	_, err := input.Read(t.Context(), path, input.Options{Rejects: &rejects})
	var bad *input.BadRowsError
	if !errors.As(err, &bad) {
		t.Fatalf("got %v", err)
	}
	equal(t, "file", bad.File, path)
	equal(t, "total", bad.Total, len(want))
	var got []string
	for _, row := range bad.Rows {
		got = append(got, strings.TrimPrefix(row.String(), path+": "))
	}
	equal(t, "rows", strings.Join(got, "\n"), strings.Join(want, "\n"))
	equal(t, "lines of rejects", strings.Count(rejects.String(), "\n"), len(want)+1)

	l, err := input.Read(t.Context(), path, input.Options{SkipBadRows: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "bad rows", l.BadRows, len(want))
	if !slices.Equal(l.Bad, bad.Rows) {
		t.Errorf("skipped %v, refused %v", l.Bad, bad.Rows)
	}
}

func all(l *input.List) []input.Machine { return slices.Collect(l.Machines.All()) }

// show writes machines as line:name, or the Entra device id of one without a name, and (comment).
func show(machines []input.Machine) string {
	var all []string
	for _, m := range machines {
		text := fmt.Sprintf("%d:%s", m.Line, m.Name)
		if m.Name == "" {
			text += m.AADDeviceID
		}
		if m.Comment != "" {
			text += "(" + m.Comment + ")"
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got\n%v\nwant\n%v", what, got, want)
	}
}
