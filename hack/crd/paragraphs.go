package main

import (
	"regexp"
	"strings"
)

// listItem is how an item of a list begins in the comments of Kubernetes' types.
var listItem = regexp.MustCompile(`^\s*([-*]|\d+\.) `)

// joinParagraphs undoes the line breaks of Go's comments, because `kubectl explain` breaks lines itself and keeps those that it finds.
func joinParagraphs(e *editor) {
	walk(e.root, func(s *schema) { s.Description = paragraphs(s.Description) })
}

// paragraphs joins the lines of each paragraph and of each item of a list.
func paragraphs(text string) string {
	var lines []string
	inParagraph := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \n")
		switch {
		case line == "":
			inParagraph = false
			lines = append(lines, "")
		case inParagraph && !listItem.MatchString(line):
			lines[len(lines)-1] += " " + strings.TrimLeft(line, " ")
		default:
			inParagraph = true
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}
