package audit

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// Log follows the file that the API server writes.
type Log struct {
	file   *os.File
	reader *bufio.Reader
	rest   []byte // of a line that is not written to its end
}

// Open returns the log, to be read from its present end on.
func Open(path string) (*Log, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if _, err := file.Seek(0, io.SeekEnd); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Log{file: file, reader: bufio.NewReaderSize(file, 1<<20)}, nil
}

// ReadOn returns what was written since the last call.
func (l *Log) ReadOn() ([]Event, error) {
	var events []Event
	for {
		line, err := l.reader.ReadBytes('\n')
		l.rest = append(l.rest, line...)
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return nil, err
		}
		var event Event
		if err := json.Unmarshal(l.rest, &event); err != nil {
			return nil, fmt.Errorf("audit log: %w: %s", err, l.rest)
		}
		l.rest = l.rest[:0]
		events = append(events, event)
	}
}

// Close closes the file.
func (l *Log) Close() error { return l.file.Close() }
