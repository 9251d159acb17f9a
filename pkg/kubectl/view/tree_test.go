package view_test

import (
	"testing"

	"github.com/example/sequential-job-operator/pkg/apis/batch/v1alpha1"
	"github.com/example/sequential-job-operator/pkg/kubectl/view"
)

func TestTree(t *testing.T) {
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			mustBeGolden(t, name, view.Tree(story().Input, view.Style{Width: 100, Unicode: true}))
		})
	}
}

func TestTreeFitsTheTerminal(t *testing.T) {
	wide := func() *story {
		s := tell("抽出データベース", "a-step-with-a-name-that-is-longer-than-most-that-people-think-of").counts("1/2", 0).
			progressing(v1alpha1.SequentialJobRunning, v1alpha1.ReasonPodFailed,
				"Job 1 had a pod that failed: the Job tries again: テーブルがありません。テーブルがありません。テーブルがありません。")
		return s.step("抽出データベース", "etl-0", done, 0, 20, "").
			step("a-step-with-a-name-that-is-longer-than-most-that-people-think-of", "etl-1", runs, 20, -1, "")
	}
	for name, test := range map[string]struct {
		story *story
		style view.Style
	}{
		"ascii":                        {retried(), view.Style{Width: 100}},
		"colour":                       {failedSequence(), view.Style{Width: 100, Unicode: true, Color: true}},
		"narrow":                       {failedSequence(), view.Style{Width: 40, Unicode: true}},
		"very narrow":                  {failedSequence(), view.Style{Width: 20, Unicode: true}},
		"wide characters":              {wide(), view.Style{Width: 60, Unicode: true}},
		"no limit":                     {failedSequence(), view.Style{Unicode: true}},
		"100 steps in 24 lines":        {hundredSteps(40), view.Style{Width: 100, Height: 24, Unicode: true}},
		"100 steps at the start":       {hundredSteps(0), view.Style{Width: 100, Height: 10, Unicode: true}},
		"failed in 12 lines":           {failedSequence(), view.Style{Width: 100, Height: 12, Unicode: true}},
		"failed in 8 lines":            {failedSequence(), view.Style{Width: 100, Height: 8, Unicode: true}},
		"retried in 5 lines":           {retried(), view.Style{Width: 100, Height: 5, Unicode: true}},
		"a long cause in 9 short rows": {failedSequence(), view.Style{Width: 30, Height: 9, Unicode: true}},
		"in 1 line":                    {retried(), view.Style{Width: 100, Height: 1, Unicode: true}},
		"100 steps":                    {hundredSteps(97), view.Style{Width: 100, Unicode: true}},
	} {
		t.Run(name, func(t *testing.T) { mustBeGolden(t, name, view.Tree(test.story.Input, test.style)) })
	}
}
