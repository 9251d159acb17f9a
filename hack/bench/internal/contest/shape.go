// Package contest has the contestants, what they run, and a run of one of them.
package contest

import (
	"errors"
	"fmt"
	"time"
)

// Shape is how many sequences run, of how many steps, and for how long each step's pod.
type Shape struct {
	Sequences int
	Steps     int
	StepTime  time.Duration
}

var errShape = errors.New("a shape is SEQUENCESxSTEPS or SEQUENCESxSTEPS@DURATION, such as 200x5 or 200x5@15s")

// ParseShape reads "200x5" or "200x5@15s".
func ParseShape(text string) (Shape, error) {
	var shape Shape
	var duration string
	if n, _ := fmt.Sscanf(text, "%dx%d@%s", &shape.Sequences, &shape.Steps, &duration); n < 2 {
		return Shape{}, fmt.Errorf("%w: %q", errShape, text)
	}
	if duration != "" {
		var err error
		if shape.StepTime, err = time.ParseDuration(duration); err != nil {
			return Shape{}, fmt.Errorf("%w: %q", errShape, text)
		}
	}
	if shape.String() != text || shape.Sequences < 1 || shape.Steps < 1 {
		return Shape{}, fmt.Errorf("%w: %q", errShape, text)
	}
	return shape, nil
}

func (s Shape) String() string {
	if s.StepTime == 0 {
		return fmt.Sprintf("%dx%d", s.Sequences, s.Steps)
	}
	return fmt.Sprintf("%dx%d@%s", s.Sequences, s.Steps, s.StepTime)
}

// Total is how many steps there are in all.
func (s Shape) Total() int { return s.Sequences * s.Steps }

// Names are those of the Jobs, sequence by sequence, in the order of the steps.
func (s Shape) Names() [][]string {
	out := make([][]string, s.Sequences)
	for i := range out {
		for step := range s.Steps {
			out[i] = append(out[i], jobName(i, step))
		}
	}
	return out
}

func sequenceName(sequence int) string { return fmt.Sprintf("sequence-%05d", sequence) }

func jobName(sequence, step int) string { return fmt.Sprintf("%s-%d", sequenceName(sequence), step) }
