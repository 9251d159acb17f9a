// Command sequentialjob-controller runs SequentialJobs in a Kubernetes cluster.
package main

import (
	"os"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register" // --logging-format=json

	"github.com/example/sequential-job-operator/cmd/sequentialjob-controller/app"
)

func main() {
	os.Exit(cli.Run(app.NewCommand()))
}
