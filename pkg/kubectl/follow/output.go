package follow

import "io"

// Output is where logs go. It knows whether it is in the middle of a line.
type Output struct {
	w         io.Writer
	isMidLine bool
}

// NewOutput returns an output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w} }

// IsMidLine says whether the last line that was written has no end yet.
func (o *Output) IsMidLine() bool { return o.isMidLine }

// StartLine makes what is written next begin a line, and ends the one before by a byte of its own if it is asked to.
func (o *Output) StartLine(end bool) error {
	if !o.isMidLine {
		return nil
	}
	o.isMidLine = false
	if !end {
		return nil
	}
	_, err := o.w.Write([]byte{'\n'})
	return err
}

// write writes a part of a line, and before it what belongs to the beginning of one if this is the beginning.
func (o *Output) write(before, p []byte) error {
	if !o.isMidLine && len(before) > 0 {
		if _, err := o.w.Write(before); err != nil {
			return err
		}
	}
	o.isMidLine = p[len(p)-1] != '\n'
	_, err := o.w.Write(p)
	return err
}
