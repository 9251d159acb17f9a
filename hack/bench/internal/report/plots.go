package report

import (
	"fmt"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/example/sequential-job-operator/hack/bench/internal/contest"
	"github.com/example/sequential-job-operator/hack/bench/internal/stats"
)

const plotWidth, plotHeight = 7 * vg.Inch, 4 * vg.Inch

// WritePlots writes a plot of each kind that there are figures for, and returns the names of the files.
func (r *Results) WritePlots(folder string) ([]string, error) {
	var files []string
	for _, each := range []struct {
		file string
		make func() (*plot.Plot, error)
		ok   bool
	}{
		{"ratios.svg", r.plotRatios, len(r.Ratios) > 0},
		{"job-gaps.svg", func() (*plot.Plot, error) { return r.plotGaps("Job Complete to next Job", jobGap) }, len(r.Ratios) > 0},
		{"pod-gaps.svg", func() (*plot.Plot, error) { return r.plotGaps("Pod Succeeded to next pod", podGap) }, len(r.Ratios) > 0},
		{"memory.svg", r.plotMemory, len(r.Memory) > 1},
	} {
		if !each.ok {
			continue
		}
		p, err := each.make()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", each.file, err)
		}
		if err := p.Save(plotWidth, plotHeight, filepath.Join(folder, each.file)); err != nil {
			return nil, err
		}
		files = append(files, each.file)
	}
	return files, nil
}

func jobGap(f *contest.Figures) stats.Summary { return f.JobGap }

func podGap(f *contest.Figures) stats.Summary { return f.PodGap }

// plotRatios has a pair of bars for each shape: 1 is what the ideal loop does.
func (r *Results) plotRatios() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = "Controller to ideal loop, median of the rounds"
	p.Y.Label.Text = "ratio"
	p.Y.Min = 0
	var shapes []string
	var throughput, cpu plotter.Values
	for _, ratio := range r.Ratios {
		shapes = append(shapes, ratio.Shape)
		throughput = append(throughput, ratio.StepsPerSecond.Median)
		cpu = append(cpu, ratio.APIServerCPU.Median)
	}
	width := vg.Points(20)
	for i, series := range []struct {
		name   string
		values plotter.Values
	}{{"steps/s (more is better)", throughput}, {"CPU of the API server a step (less is better)", cpu}} {
		bars, err := plotter.NewBarChart(series.values, width)
		if err != nil {
			return nil, err
		}
		bars.LineStyle.Width = 0
		bars.Color = plotutil.Color(i)
		bars.Offset = width * vg.Length(2*i-1) / 2
		p.Add(bars)
		p.Legend.Add(series.name, bars)
		p.Y.Max = max(p.Y.Max, bars.Values[0])
	}
	ideal := plotter.NewFunction(func(float64) float64 { return 1 })
	ideal.Dashes = plotutil.Dashes(1)
	p.Add(ideal)
	p.Legend.Top = true
	const room = 1.4 // for the legend
	p.Y.Max *= room
	nominal(p, shapes)
	return p, nil
}

// plotGaps has points for p50 and p99 of each contestant, over the shapes.
func (r *Results) plotGaps(title string, gap func(*contest.Figures) stats.Summary) (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = title
	p.Y.Label.Text = "ms (log scale)"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plain(plot.LogTicks{})
	p.Legend.Top, p.Legend.Left = true, true
	shapes := shapesOf(r.Runs)
	var points []any
	for _, contestant := range contestants {
		points = append(points,
			contestant+" p50", r.gapPoints(shapes, contestant, func(f *contest.Figures) float64 { return gap(f).P50 }),
			contestant+" p99", r.gapPoints(shapes, contestant, func(f *contest.Figures) float64 { return gap(f).P99 }))
	}
	if err := plotutil.AddScatters(p, points...); err != nil {
		return nil, err
	}
	const room = 10 // for the legend
	p.Y.Max *= room
	nominal(p, shapes)
	return p, nil
}

func (r *Results) gapPoints(shapes []string, contestant string, value func(*contest.Figures) float64) plotter.XYs {
	// A step that goes by its pod may come before the Job is Complete; a logarithm cannot show that.
	const least = 0.1
	var out plotter.XYs
	for x, shape := range shapes {
		var values []float64
		for _, f := range figuresOf(r.Runs, shape, contestant) {
			values = append(values, value(f))
		}
		if len(values) > 0 {
			out = append(out, plotter.XY{X: float64(x), Y: max(stats.Median(values), least)})
		}
	}
	return out
}

func (r *Results) plotMemory() (*plot.Plot, error) {
	p := plot.New()
	p.Title.Text = fmt.Sprintf("Memory of the controller at rest, finished sequences of %d steps", r.Memory[0].Steps)
	p.X.Label.Text, p.Y.Label.Text = "sequences", "MiB"
	p.X.Min, p.Y.Min = 0, 0
	p.X.Tick.Marker = plain(plot.DefaultTicks{})
	p.Legend.Top, p.Legend.Left = true, true
	var rss, heap plotter.XYs
	for i := range r.Memory {
		point := &r.Memory[i]
		x := float64(point.Sequences)
		rss = append(rss, plotter.XY{X: x, Y: float64(point.Memory.RSS) / kibibytesPerMebibyte})
		heap = append(heap, plotter.XY{X: x, Y: point.HeapInUseKiB / kibibytesPerMebibyte})
	}
	err := plotutil.AddLinePoints(p, "RSS", rss, "heap in use", heap)
	const room = 1.08 // for the last number below the axis
	p.X.Max *= room
	return p, err
}

// nominal has names below the X axis, and room for the first and the last of them.
func nominal(p *plot.Plot, names []string) {
	const room = 0.5
	p.NominalX(names...)
	p.X.Min, p.X.Max = -room, float64(len(names)-1)+room
}

// plain writes numbers without an exponent.
func plain(ticker plot.Ticker) plot.Ticker {
	return plot.TickerFunc(func(least, most float64) []plot.Tick {
		ticks := ticker.Ticks(least, most)
		for i := range ticks {
			if ticks[i].Label != "" {
				ticks[i].Label = strconv.FormatFloat(ticks[i].Value, 'f', -1, 64)
			}
		}
		return ticks
	})
}
