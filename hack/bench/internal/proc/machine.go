package proc

import (
	"os"
	"runtime"
	"strings"
)

// Machine says where something was measured.
type Machine struct {
	CPU       string `json:"cpu"`
	Cores     int    `json:"cores"`
	MemoryMiB int64  `json:"memoryMiB"`
	Kernel    string `json:"kernel"`
	OS        string `json:"os"`
	// Load is the load average of the minute before.
	Load string `json:"loadBefore"`
}

// ThisMachine describes the machine. What Linux does not tell is left empty: nothing depends on it.
func ThisMachine() Machine {
	const kibibytesPerMebibyte = 1024
	memory, _ := kibibytes(read("/proc/meminfo"), "MemTotal:")
	load, _, _ := strings.Cut(read("/proc/loadavg"), " ")
	return Machine{
		CPU: lineOf(read("/proc/cpuinfo"), "model name"), Cores: runtime.NumCPU(), MemoryMiB: memory / kibibytesPerMebibyte,
		Kernel: strings.TrimSpace(read("/proc/sys/kernel/osrelease")), OS: runtime.GOOS + "/" + runtime.GOARCH, Load: load,
	}
}

func read(file string) string {
	raw, _ := os.ReadFile(file)
	return string(raw)
}

func lineOf(text, name string) string {
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
