package capacity

import (
	"math"
	"strings"
	"testing"
	"time"
)

func testModel() *Model { return &Model{Costs: Provisional(), Assumptions: DefaultAssumptions()} }

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-6*max(math.Abs(a), math.Abs(b), 1) }

func TestUtilisationGrowsWithTheLoad(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	for _, load := range Loads() {
		double := Load{SequencesPerDay: 2 * load.SequencesPerDay, Steps: load.Steps}
		for _, r := range m.Resources(load.Steps) {
			once, twice := r.Utilisation(load, &s), r.Utilisation(double, &s)
			if !near(2*once, twice) || once <= 0 {
				t.Errorf("%s, %s: %g, and of twice the load %g", load, r.Name, once, twice)
			}
			atItsLimit := Load{SequencesPerDay: r.Holds(&s) * day.Seconds() / float64(load.Steps), Steps: load.Steps}
			if used := r.Utilisation(atItsLimit, &s); !near(used, 1) {
				t.Errorf("%s, %s: what it is enough for uses %g of it", load, r.Name, used)
			}
		}
	}
}

func TestOnceTheFirstIsRaisedTheNextOneIsTheBottleneck(t *testing.T) {
	m, load := testModel(), Load{SequencesPerDay: 1e6, Steps: 10}
	s := DefaultSettings()
	for range knobs {
		order := ByUtilisation(m.Resources(load.Steps), load, &s)
		first := order[0]
		s[first.Knob] = math.Inf(1)
		var want string
		for _, r := range order {
			if r.Knob != first.Knob && !math.IsInf(s[r.Knob], 1) {
				want = r.Name
				break
			}
		}
		if want == "" {
			return
		}
		if got := ByUtilisation(m.Resources(load.Steps), load, &s)[0].Name; got != want {
			t.Errorf("without %s: %s, want %s", first.Name, got, want)
		}
	}
	t.Error("never came to an end")
}

// What was measured with the defaults of kube-controller-manager: about three Jobs a second.
func TestTheJobControllersDefaultsAreTheFirstBottleneck(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	for _, load := range Loads() {
		first := ByUtilisation(m.Resources(load.Steps), load, &s)[0]
		if first.Name != "Job controller: requests" {
			t.Errorf("%s: %s", load, first.Name)
		}
		if holds := first.Holds(&s); holds < 3 || holds > 3.5 {
			t.Errorf("%g Jobs a second", holds)
		}
	}
}

func TestWhatIsAdvisedIsEnoughAndNoMoreThanNeeded(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	for _, load := range Loads() {
		advised := m.Advise(load, s)
		if again := m.Advise(load, advised); again != advised {
			t.Errorf("%s: what was advised is not enough: %v", load, again.Raised(&advised))
		}
		for _, r := range m.Resources(load.Steps) {
			if used := r.Utilisation(load, &advised); used > 1/m.Assumptions.Headroom+1e-9 {
				t.Errorf("%s, %s: %g", load, r.Name, used)
			}
		}
		for k := range advised {
			if advised[k] < s[k] {
				t.Errorf("%s: %s is turned down", load, table[k].text(advised[k]))
			}
		}
		if got := m.tooLittle(load, &advised); len(got) > 0 {
			t.Errorf("%s: too little in spite of what was advised: %v", load, got)
		}
	}
}

func TestRaisedIsWrittenAsItIsSet(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	advised := m.Advise(Load{SequencesPerDay: 1e5, Steps: 3}, s)
	const want = "kube-controller-manager `--kube-api-qps=50 --kube-api-burst=75`"
	if got := strings.Join(advised.Raised(&s), ";"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	s[EtcdQuota], advised = 2, s
	advised[EtcdQuota] = 4
	if got := strings.Join(advised.Raised(&s), ";"); got != "etcd `--quota-backend-bytes=4294967296`" {
		t.Errorf("%q", got)
	}
}

func TestControllersAreAsManyAsTheMemoryNeeds(t *testing.T) {
	m, s := testModel(), DefaultSettings()
	load := Load{SequencesPerDay: 1e6, Steps: 3}
	n := m.Controllers(load, &s)
	for _, tc := range []struct {
		controllers int
		enough      bool
	}{{n, true}, {n - 1, false}} {
		each := Load{SequencesPerDay: load.SequencesPerDay / float64(tc.controllers), Steps: load.Steps}
		if enough := m.Stock(each).ControllerMemory <= s[ControllerMemory]*memoryShare; enough != tc.enough {
			t.Errorf("%d controllers of %d: enough is %t", tc.controllers, n, enough)
		}
	}
	m.Costs.MemoryBase = 1000 // no sharding makes that less
	if got := m.Controllers(load, &s); got != 0 {
		t.Errorf("%d controllers, want 0: it does not help", got)
	}
}

func TestStock(t *testing.T) {
	m := testModel()
	load := Load{SequencesPerDay: 86400, Steps: 3} // one a second
	s := m.Stock(load)
	for _, tc := range []struct {
		name      string
		got, want float64
	}{
		{"running", s.Running, 180},
		{"exist", s.Sequences, 180 + 3600},
		{"pods", s.Pods, 180},
		{"memory", s.ControllerMemory, m.Costs.MemoryBase + 3780*m.Costs.MemoryEach},
		{"seconds until 12,500 pods have ended", s.PodsFor.Seconds(), 3600},
	} {
		if !near(tc.got, tc.want) {
			t.Errorf("%s: %g, want %g", tc.name, tc.got, tc.want)
		}
	}
	m.Assumptions.Kept = s.MostKept
	if got, want := m.Stock(load).ControllerMemory, table[ControllerMemory].value*memoryShare; math.Abs(got-want) > 0.01 {
		t.Errorf("kept for %s: %g MiB, want %g", s.MostKept, got, want)
	}
	if got := m.Stock(Load{SequencesPerDay: 1e6, Steps: 100}).MostKept; got != 0 {
		t.Errorf("kept for %s, although those that run need more already", got)
	}
}

func TestMemoryGrowsWithObjects(t *testing.T) {
	c := &Costs{MemoryBase: 50, MemoryEach: 4, MemorySteps: 3}
	for _, tc := range []struct {
		sequences float64
		steps     int
		want      float64
	}{{0, 3, 50}, {10, 3, 90}, {10, 7, 130}, {20, 1, 90}} {
		if got := c.Memory(tc.sequences, tc.steps); !near(got, tc.want) {
			t.Errorf("%g of %d: %g, want %g", tc.sequences, tc.steps, got, tc.want)
		}
	}
}

func TestMarkdownIsAlwaysTheSame(t *testing.T) {
	m := testModel()
	m.Assumptions.StepTime = 10 * time.Minute // so that the test does not take long
	s := DefaultSettings()
	var first, second strings.Builder
	m.writeUtilisation(&first, &s)
	m.writeAdvice(&first, &s)
	m.writeUtilisation(&second, &s)
	m.writeAdvice(&second, &s)
	if first.String() != second.String() || !strings.Contains(first.String(), "**10 %**") {
		t.Error(first.String())
	}
}
