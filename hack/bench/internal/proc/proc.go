// Package proc reads what Linux tells of processes and of the machine.
package proc

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// ticksPerSecond is the unit of /proc/PID/stat. Linux reports it as 100 on every architecture that Go supports.
const ticksPerSecond = 100

var errFormat = errors.New("/proc has another format than expected")

// CPU returns the CPU time that a process has used, in and out of the kernel.
func CPU(pid int) (time.Duration, error) {
	raw, err := os.ReadFile(of(pid, "stat"))
	if err != nil {
		return 0, err
	}
	return parseStat(string(raw))
}

func parseStat(stat string) (time.Duration, error) {
	// The second field, the name in parentheses, may hold spaces. After it, utime and stime are the 12th and 13th.
	_, rest, ok := cutLast(stat, ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errFormat
	}
	return sumTicks(fields[11:13])
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func sumTicks(fields []string) (time.Duration, error) {
	var sum time.Duration
	for _, field := range fields {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * time.Second / ticksPerSecond
	}
	return sum, nil
}

// Memory is what a process holds in RAM, in KiB.
type Memory struct {
	RSS  int64 `json:"rssKiB"`
	Peak int64 `json:"peakKiB"`
}

// MemoryOf returns VmRSS and VmHWM of a process.
func MemoryOf(pid int) (Memory, error) {
	raw, err := os.ReadFile(of(pid, "status"))
	if err != nil {
		return Memory{}, err
	}
	rss, err := kibibytes(string(raw), "VmRSS:")
	if err != nil {
		return Memory{}, err
	}
	peak, err := kibibytes(string(raw), "VmHWM:")
	return Memory{RSS: rss, Peak: peak}, err
}

// kibibytes returns a line's value of a file that has "Name:  123 kB" in each.
func kibibytes(text, name string) (int64, error) {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == name {
			return strconv.ParseInt(fields[1], 10, 64)
		}
	}
	return 0, fmt.Errorf("%s: %w", name, errFormat)
}

// Busy returns for how long the processors of this machine have been at work, all of them together, since it was started.
func Busy() (time.Duration, error) {
	raw, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0, errFormat
	}
	// user nice system, not idle iowait, irq softirq, not steal: that was somebody else's time.
	return sumTicks(append(fields[1:4:4], fields[6:8]...))
}

func of(pid int, file string) string { return filepath.Join("/proc", strconv.Itoa(pid), file) }
