package main

import "testing"

func TestLinesOfAParagraphAreJoined(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"one line":        {"image is required.", "image is required."},
		"two lines":       {"image of the\nstep.", "image of the step."},
		"two paragraphs":  {"One\nparagraph.\n\nAnd\nanother.", "One paragraph.\n\nAnd another."},
		"a list":          {"Values:\n- In: one of\n  the values.\n- NotIn: none\n  of them.", "Values:\n- In: one of the values.\n- NotIn: none of them."},
		"a numbered list": {"1. first\n2. second", "1. first\n2. second"},
		"a dash inside":   {"a value\n-1 means none", "a value -1 means none"},
		"nothing":         {"", ""},
	} {
		if got := paragraphs(c.text); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDescriptionsOfTheCRDHaveNoBrokenLines(t *testing.T) {
	e := &editor{root: &schema{Description: "SequentialJob runs\ncontainers."}}
	joinParagraphs(e)
	if want := "SequentialJob runs containers."; e.root.Description != want {
		t.Errorf("got %q, want %q", e.root.Description, want)
	}
}
