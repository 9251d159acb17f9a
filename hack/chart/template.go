package main

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// marks are what a template is made with: words in an object that stand for actions of the template language. As plain words they let
// the object be written as YAML, and they sort last, so that none begins an item of a list. They are replaced in the written text,
// once everything else in it that looks like an action is escaped.
type marks struct{ actions []string }

// value returns a mark that stands for a value, in the place of a string or within one.
func (m *marks) value(action string) string {
	m.actions = append(m.actions, "{{ "+action+" }}")
	return fmt.Sprintf("zzchartmark%04dzz", len(m.actions)-1)
}

// block returns a mark that stands for whole lines. It is the key of an entry that is null, or an item of a list. The lines are
// indented as far as the mark is.
func (m *marks) block(lines string) string {
	m.actions = append(m.actions, strings.Trim(lines, "\n"))
	return fmt.Sprintf("zzchartmark%04dzz", len(m.actions)-1)
}

var (
	mark      = regexp.MustCompile(`zzchartmark(\d{4})zz`)
	blockMark = regexp.MustCompile(`(?m)^( *)(?:- )?zzchartmark(\d{4})zz(?:: null)?$`)
)

// write returns the template of an object.
func (m *marks) write(object map[string]any) (string, error) {
	content, err := yaml.Marshal(object)
	if err != nil {
		return "", err
	}
	text := escape(string(content))
	text = blockMark.ReplaceAllStringFunc(text, func(line string) string {
		parts := blockMark.FindStringSubmatch(line)
		return indent(parts[1], m.action(parts[2]))
	})
	text = mark.ReplaceAllStringFunc(text, func(word string) string { return m.action(mark.FindStringSubmatch(word)[1]) })
	return text, nil
}

func (m *marks) action(number string) string {
	var index int
	if _, err := fmt.Sscanf(number, "%d", &index); err != nil || index >= len(m.actions) {
		panic("no mark has the number " + number)
	}
	return m.actions[index]
}

// escape makes what looks like an action a text that renders as itself.
func escape(text string) string { return strings.ReplaceAll(text, "{{", "{{ `{{` }}") }

// indent also says what "nindent +2" comes to there: Helm counts from the margin.
func indent(prefix, lines string) string {
	lines = strings.ReplaceAll(lines, "nindent +2", fmt.Sprintf("nindent %d", len(prefix)+2))
	return prefix + strings.ReplaceAll(lines, "\n", "\n"+prefix)
}
