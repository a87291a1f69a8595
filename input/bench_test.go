package input_test

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"offboard/input"
)

// benchRows is small enough for every run of the benchmarks and large enough to be steady.
const benchRows = 100_000

// writeList writes rows of about 150 bytes and 8 columns, as one line of CSV or JSON each.
func writeList(tb testing.TB, row string, before, between, after string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "list")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	w.WriteString(before)
	for i := range benchRows {
		if i > 0 {
			w.WriteString(between)
		}
		fmt.Fprintf(w, row, i, i, i%500, i%40, i)
	}
	w.WriteString(after)
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	if err := f.Close(); err != nil {
		tb.Fatal(err)
	}
	return path
}

func csvList(tb testing.TB) string {
	tb.Helper()
	return writeList(tb, "%040x,pc-%07d.corp.example.com,owner-%04d@example.com,site-%02d,CHG-%07d,Windows11,Onboarded,2026-08-01T10:00:00Z\n",
		"id,name,owner,site,ticket,os,onboardingStatus,lastSeen\n", "", "")
}

func jsonList(tb testing.TB, before, between, after string) string {
	tb.Helper()
	return writeList(tb, `{"id":"%040x","computerDnsName":"pc-%07d.corp.example.com","owner":"owner-%04d@example.com","site":"site-%02d",`+
		`"ticket":"CHG-%07d","osPlatform":"Windows11","onboardingStatus":"Onboarded","lastSeen":"2026-08-01T10:00:00Z"}`, before, between, after)
}

// benchRead reports rows a second and how many bytes of memory a byte of the file costs once it is read.
func benchRead(b *testing.B, path string) {
	b.Helper()
	info, err := os.Stat(path)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(info.Size())
	b.ReportAllocs()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var l *input.List
	for b.Loop() {
		if l, err = input.Read(b.Context(), path, input.Options{}); err != nil {
			b.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	kept := 0
	for m := range l.Machines.All() {
		kept += len(m.ID) + len(m.Name)
		for _, v := range m.Carried {
			kept += len(v)
		}
	}
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(kept), "B/B")
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

// reference runs a plain reader from the standard library over the same file.
func reference(b *testing.B, path string, read func(io.Reader) int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		text, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
		if rows := read(bytes.NewReader(text)); rows != benchRows {
			b.Fatalf("%d rows", rows)
		}
	}
	b.ReportMetric(float64(b.N)*benchRows/b.Elapsed().Seconds(), "rows/s")
}

func BenchmarkCSV(b *testing.B) {
	path := csvList(b)
	b.Run("Read", func(b *testing.B) { benchRead(b, path) })
	b.Run("encoding/csv", func(b *testing.B) {
		reference(b, path, plainCSV)
	})
}

func BenchmarkJSON(b *testing.B) {
	path := jsonList(b, `{"value":[`, ",", "]}")
	b.Run("Read", func(b *testing.B) { benchRead(b, path) })
	b.Run("encoding/json", func(b *testing.B) {
		reference(b, path, plainJSON)
	})
}

func BenchmarkNDJSON(b *testing.B) { benchRead(b, jsonList(b, "", "\n", "\n")) }

// plainCSV keeps id and name, as a careful script would.
func plainCSV(text io.Reader) int {
	r := csv.NewReader(text)
	r.ReuseRecord = true
	var kept [][2]string
	for {
		row, err := r.Read()
		if err != nil {
			return len(kept) - 1
		}
		kept = append(kept, [2]string{row[0], row[1]})
	}
}

// plainJSON streams the rows of an OData reply and keeps nothing.
func plainJSON(text io.Reader) int {
	dec, rows := json.NewDecoder(text), 0
	for range 3 { // {, "value", [
		if _, err := dec.Token(); err != nil {
			return 0
		}
	}
	for dec.More() {
		var row struct{ ID, ComputerDNSName, Owner, Site, Ticket, OSPlatform, OnboardingStatus, LastSeen string }
		if err := dec.Decode(&row); err != nil {
			return 0
		}
		rows++
	}
	return rows
}
