package proc

import (
	"os"
	"testing"
	"time"
)

func TestParseStat(t *testing.T) {
	// A name with spaces and parentheses, 250 ticks in user mode and 50 in the kernel.
	const stat = "42 (a (b) c) S 1 42 42 0 -1 4194304 10 20 30 40 250 50 7 8 20 0 9 0 123 456 789"
	got, err := parseStat(stat)
	if want := 3 * time.Second; err != nil || got != want {
		t.Errorf("%v, error %v; want %v", got, err, want)
	}
	for _, broken := range []string{"", "42 (a) S 1", "42 (a) S 1 42 42 0 -1 4194304 10 20 30 40 x 50 7"} {
		if got, err := parseStat(broken); err == nil {
			t.Errorf("%q: %v, want an error", broken, got)
		}
	}
}

func TestThisProcess(t *testing.T) {
	if _, err := CPU(os.Getpid()); err != nil {
		t.Error(err)
	}
	memory, err := MemoryOf(os.Getpid())
	if err != nil || memory.RSS <= 0 || memory.Peak < memory.RSS {
		t.Errorf("%+v, error %v", memory, err)
	}
	if busy, err := Busy(); err != nil || busy <= 0 {
		t.Errorf("%v, error %v", busy, err)
	}
}

func TestOneThatIsGone(t *testing.T) {
	const never = 1 << 30 // more than Linux has
	if _, err := CPU(never); err == nil {
		t.Error("CPU: no error")
	}
	if _, err := MemoryOf(never); err == nil {
		t.Error("memory: no error")
	}
}
