// Command picture asks a Prometheus for what the panels of the dashboard show, and draws it. It fails if a panel has no data.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	prometheus "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

type panel struct {
	Title, Type string
	Targets     []struct{ Expr, LegendFormat string }
	FieldConfig struct{ Defaults struct{ Unit string } }
}

func main() {
	file := flag.String("dashboard", "../../manifests/monitoring/dashboard.json", "the dashboard")
	url := flag.String("prometheus", "http://127.0.0.1:9090", "where Prometheus is")
	out := flag.String("out", "../../docs/dashboard.png", "the picture to write")
	since := flag.Duration("since", 5*time.Minute, "how much of the past to draw")
	flag.Parse()
	if err := run(*file, *url, *out, *since); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(file, url, out string, since time.Duration) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var dashboard struct{ Panels []panel }
	if err := json.Unmarshal(content, &dashboard); err != nil {
		return err
	}
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return err
	}
	var plots []*plot.Plot
	for _, p := range dashboard.Panels {
		if p.Type == "row" {
			continue
		}
		drawn, err := drawPanel(prometheus.NewAPI(client), p, since)
		if err != nil {
			return fmt.Errorf("panel %q: %w", p.Title, err)
		}
		plots = append(plots, drawn)
	}
	return save(plots, out)
}

// drawPanel asks the queries of a panel.
func drawPanel(source prometheus.API, p panel, since time.Duration) (*plot.Plot, error) {
	const points = 100
	end := time.Now()
	drawn := plot.New()
	drawn.Title.Text = fmt.Sprintf("%s (%s)", p.Title, p.FieldConfig.Defaults.Unit)
	drawn.X.Tick.Marker = plot.TimeTicks{Format: "15:04"}
	drawn.Y.Min = 0
	drawn.Legend.Top, drawn.Legend.Left = true, true
	lines := 0
	for _, target := range p.Targets {
		query := strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "[1h]", "[5m]").Replace(target.Expr)
		value, _, _, err := source.QueryRange(context.Background(), query,
			prometheus.Range{Start: end.Add(-since), End: end, Step: since / points})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", query, err)
		}
		for _, series := range value.(model.Matrix) {
			line, err := plotter.NewLine(xys(series))
			if err != nil {
				continue // no value that is a number
			}
			line.Color, line.Width = plotutil.Color(lines), vg.Points(1.5)
			drawn.Add(line)
			drawn.Legend.Add(legend(target.LegendFormat, series.Metric), line)
			lines++
		}
	}
	if lines == 0 {
		return nil, errors.New("no data")
	}
	return drawn, nil
}

func xys(series *model.SampleStream) plotter.XYs {
	var points plotter.XYs
	for _, sample := range series.Values {
		if value := float64(sample.Value); !math.IsNaN(value) && !math.IsInf(value, 0) {
			points = append(points, plotter.XY{X: float64(sample.Timestamp.Unix()), Y: value})
		}
	}
	return points
}

// legend puts the labels of a series into Grafana's format for legends.
func legend(format string, labels model.Metric) string {
	for name, value := range labels {
		format = strings.ReplaceAll(format, "{{"+string(name)+"}}", string(value))
	}
	return format
}

func save(plots []*plot.Plot, out string) error {
	const columns = 3
	rows := (len(plots) + columns - 1) / columns
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], plots[i*columns:min((i+1)*columns, len(plots))])
	}
	picture := vgimg.NewWith(vgimg.UseWH(vg.Length(columns)*vg.Points(330), vg.Length(rows)*vg.Points(190)), vgimg.UseDPI(96))
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Points(10), PadY: vg.Points(10)}
	for i, canvases := range plot.Align(grid, tiles, draw.New(picture)) {
		for j, canvas := range canvases {
			if grid[i][j] != nil {
				grid[i][j].Draw(canvas)
			}
		}
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = vgimg.PngCanvas{Canvas: picture}.WriteTo(file)
	return err
}
