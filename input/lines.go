package input

import (
	"bufio"
	"bytes"
	"errors"
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// lineReader reads lines of any length that the guard lets through.
type lineReader struct {
	src    *source
	number int
	offset int64
	long   []byte // a line that did not fit into the reader's buffer
}

// next returns the next line that is not blank, trimmed and valid until the next call, and its number. It returns
// io.EOF after the last.
func (l *lineReader) next() ([]byte, int, error) {
	for {
		l.src.begin(l.offset)
		line, err := l.read()
		l.offset += int64(len(line))
		l.number++
		if line := bytes.TrimSpace(line); len(line) > 0 && (err == nil || errors.Is(err, io.EOF)) {
			return line, l.number, nil
		}
		if err != nil {
			return nil, 0, l.src.because(err)
		}
	}
}

func (l *lineReader) read() ([]byte, error) {
	line, err := l.src.text.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, err
	}
	l.long = l.long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		l.long = append(l.long, line...)
		line, err = l.src.text.ReadSlice('\n')
	}
	l.long = append(l.long, line...)
	return l.long, err
}

// readPlain reads one id a line. Everything else on a line is an error, so that half of a CSV file is not taken for a list.
func readPlain(src *source, f *feed) error {
	lines := &lineReader{src: src}
	for {
		line, number, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case line[0] != '#':
			f.put(row{line: number}, record{ID: string(line)}, len(line))
		}
	}
}

// readNDJSON reads one row a line. A line that is no JSON is a bad row, since the next line is sound again.
func readNDJSON(src *source, columns *columns, f *feed) error {
	lines, rows := &lineReader{src: src}, newObjectReader(columns, f)
	text := new(bytes.Buffer)
	dec := jsontext.NewDecoder(text, jsontext.AllowDuplicateNames(true))
	for {
		line, number, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		text.Reset()
		text.Write(line)
		dec.Reset(text, jsontext.AllowDuplicateNames(true))
		if err := readLine(rows, dec, number); err != nil {
			return err
		}
	}
}

// readLine reads the one row of a line.
func readLine(rows *objectReader, dec *jsontext.Decoder, number int) error {
	err := rows.read(dec, func(int64) int { return number })
	if err == nil {
		if _, err = dec.ReadToken(); errors.Is(err, io.EOF) {
			return rows.add()
		}
	}
	var ours *Error
	switch {
	case errors.As(err, &ours):
		ours.Line = number
		return ours
	case err == nil:
		rows.feed.put(row{line: number, fault: "the line goes on after its row"}, record{}, 0)
	default:
		rows.feed.put(row{line: number, fault: jsonError(err, number).Reason}, record{}, 0)
	}
	return nil
}
